//! What an edge of `CloudFront` answers: the static page from its cache, the API by forwarding, both over an origin
//! hop that takes as long as the matrix says. No sockets here; the origin answers in the same process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;

use super::asked::{Answered, Answers, Asked, put, response};
use super::cache::{Cache, Look};
use super::respond::Responder;
use crate::clock::{Timer, millis, now};
use crate::random::{alphanumeric, hexadecimal, lognormal, stream};
use crate::scenario::Faults;
use crate::world::{Behavior, Distribution, Pop, World};

/// How long an edge keeps a connection to an origin without a request: `CloudFront`'s own default.
const ORIGIN_KEPT: Duration = Duration::from_secs(5);
/// Looking up an origin's name at an edge, ms.
const ORIGIN_DNS_MS: f64 = 1.0;
/// Median time of the bucket to its first byte, ms, and the spread of its logarithm.
const BUCKET_MS: (f64, f64) = (20.0, 0.25);
/// What lies in the bucket: path, media type, body.
const OBJECTS: [(&str, &str, &str); 3] = [
    ("/", "text/html", PAGE),
    ("/index.html", "text/html", PAGE),
    ("/app.js", "text/javascript", "export const api = '/ping';\n"),
];
const PAGE: &str = "<!doctype html><title>myapp</title><script type=module src=/app.js></script>\n";

/// An endpoint that edges reach, and its faults.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) region: String,
    pub(super) api: Arc<Responder>,
    pub(super) faults: watch::Receiver<Faults>,
}

/// One edge.
pub(super) struct Edge {
    pop: String,
    served: Vec<Served>,
    sampled: f64,
    cache: Mutex<Cache>,
    /// When the connection to the origin of a distribution, by number, was last of use.
    kept: Mutex<BTreeMap<usize, Instant>>,
    rng: Mutex<ChaCha8Rng>,
    timer: Timer,
}

/// A distribution as one edge sees it.
struct Served {
    distribution: Distribution,
    hosts: [String; 2],
    /// The API that this edge reaches, and the round trip to it or to the bucket.
    origin: Origin,
    hop_ms: f64,
}

/// How a request came to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Hit,
    RefreshHit,
    Miss,
    Error,
}

impl How {
    fn x_cache(self) -> &'static str {
        match self {
            Self::Hit => "Hit from cloudfront",
            Self::RefreshHit => "RefreshHit from cloudfront",
            Self::Miss => "Miss from cloudfront",
            Self::Error => "Error from cloudfront",
        }
    }

    fn metric(self) -> &'static str {
        match self {
            Self::Hit => "cdn-cache-hit",
            Self::RefreshHit => "cdn-cache-refresh",
            Self::Miss | Self::Error => "cdn-cache-miss",
        }
    }
}

/// The way to the origin, ms; a connection that was kept costs nothing to have.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::struct_field_names, reason = "units stand last in names")]
struct Upstream {
    dns_ms: f64,
    connect_ms: f64,
    first_byte_ms: f64,
}

/// What an edge adds to an answer.
struct Mark {
    how: How,
    upstream: Option<Upstream>,
    age: Option<Duration>,
}

impl Edge {
    pub(super) fn new(world: &World, pop: &Pop, origins: &[Origin], timer: Timer) -> Self {
        let distributions = world.app().map(|app| app.distributions.clone()).unwrap_or_default();
        let served = distributions.into_iter().filter_map(|d| served(world, pop, origins, d));
        let spec = world.scenario().app.clone().unwrap_or_default();
        let number = u64::from(u32::from(pop.ipv4));
        Self {
            pop: pop.id.clone(),
            served: served.collect(),
            sampled: spec.server_timing_percent / 100.0,
            cache: Mutex::new(Cache::new(millis(spec.static_ttl_s * 1000.0))),
            kept: Mutex::new(BTreeMap::new()),
            rng: Mutex::new(stream(world.seed(), "edge", number)),
            timer,
        }
    }

    async fn route(&self, asked: &Asked, faults: &Faults) -> Response<Full<Bytes>> {
        let arrived = now();
        let mut served = self.served.iter().enumerate();
        let Some((number, served)) = served.find(|(_, s)| asked.for_one_of(&s.hosts)) else {
            return broken(StatusCode::FORBIDDEN, "The request could not be satisfied.");
        };
        let behavior = served.distribution.behavior;
        let fails = self.draw(|rng| rng.random_bool(faults.fail_share.clamp(0.0, 1.0)));
        let (answer, mark) = if fails {
            let status =
                StatusCode::from_u16(faults.fail_status).unwrap_or(StatusCode::BAD_GATEWAY);
            let text = "CloudFront wasn't able to connect to the origin.";
            (broken(status, text), error(None))
        } else if behavior == Behavior::Static {
            self.page(number, served, asked, faults, arrived).await
        } else {
            self.forward(number, served, asked).await
        };
        let timing = behavior != Behavior::EdgeOptimized && self.speaks(asked);
        let answer =
            if behavior == Behavior::Twice { self.marked(answer, &mark, None) } else { answer };
        self.marked(answer, &mark, timing.then(|| now() - arrived))
    }

    /// The page from the cache or from the bucket.
    async fn page(
        &self,
        number: usize,
        served: &Served,
        asked: &Asked,
        faults: &Faults,
        arrived: Instant,
    ) -> (Response<Full<Bytes>>, Mark) {
        let object = OBJECTS.iter().find(|(path, ..)| *path == asked.path && asked.reads());
        let bucket_ms = || self.draw(|rng| BUCKET_MS.0 * lognormal(rng, 0.0, BUCKET_MS.1));
        let Some(&(path, media, body)) = object else {
            let upstream = self.hop(number, served, bucket_ms() + faults.extra_ms).await;
            return (broken(StatusCode::FORBIDDEN, "AccessDenied"), error(Some(upstream)));
        };
        let look = self.cache().look(path, arrived);
        let (how, upstream, age) = match look {
            Look::Fresh(age) => (How::Hit, None, Some(age)),
            Look::Stale | Look::Absent => {
                let how = if look == Look::Stale { How::RefreshHit } else { How::Miss };
                let wait_ms = faults.fixed_service_ms.unwrap_or_else(bucket_ms) + faults.extra_ms;
                let upstream = self.hop(number, served, wait_ms).await;
                self.cache().keep(path, now());
                (how, Some(upstream), None)
            }
        };
        let mut headers = HeaderMap::new();
        put(&mut headers, "server", "AmazonS3");
        put(&mut headers, "etag", &format!("\"{:08x}\"", body.len()));
        put(&mut headers, "last-modified", "Thu, 01 Jan 2026 00:00:00 GMT");
        let ttl = self.cache().ttl().as_secs().to_string();
        put(&mut headers, "cache-control", &format!("max-age={ttl}"));
        (response(StatusCode::OK, media, body, headers), Mark { how, upstream, age })
    }

    /// The API's own answer, after the hop there and back.
    async fn forward(
        &self,
        number: usize,
        served: &Served,
        asked: &Asked,
    ) -> (Response<Full<Bytes>>, Mark) {
        let mut upstream = self.connect(number, served).await;
        let sent = now();
        let half = millis(served.hop_ms / 2.0);
        self.timer.sleep_until(sent + half).await;
        let faults = served.origin.faults.borrow().clone();
        let answer = served.origin.api.serve(asked, &faults).await;
        self.timer.sleep_until(now() + half).await;
        upstream.first_byte_ms = since_ms(sent);
        self.keep(number);
        let how = if answer.status().is_success() { How::Miss } else { How::Error };
        (answer, Mark { how, upstream: Some(upstream), age: None })
    }

    /// There and back, with the time the bucket takes.
    async fn hop(&self, number: usize, served: &Served, origin_ms: f64) -> Upstream {
        let mut upstream = self.connect(number, served).await;
        let sent = now();
        self.timer.sleep_until(sent + millis(served.hop_ms + origin_ms)).await;
        upstream.first_byte_ms = since_ms(sent);
        self.keep(number);
        upstream
    }

    /// A connection to the origin: one that was kept, or name, TCP and TLS, which are two round trips.
    async fn connect(&self, number: usize, served: &Served) -> Upstream {
        let last = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&number).copied();
        if last.is_some_and(|at| now().saturating_duration_since(at) < ORIGIN_KEPT) {
            return Upstream { dns_ms: 0.0, connect_ms: 0.0, first_byte_ms: 0.0 };
        }
        let connect_ms = 2.0 * served.hop_ms;
        self.timer.sleep_until(now() + millis(ORIGIN_DNS_MS + connect_ms)).await;
        Upstream { dns_ms: ORIGIN_DNS_MS, connect_ms, first_byte_ms: 0.0 }
    }

    fn keep(&self, number: usize) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(number, now());
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut ChaCha8Rng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether an answer tells its timing: when it is asked for, or in the sample.
    fn speaks(&self, asked: &Asked) -> bool {
        asked.says("pragma", "server-timing")
            || self.draw(|rng| rng.random_bool(self.sampled.clamp(0.0, 1.0)))
    }

    /// The answer with the edge's headers; `took` where it tells its timing.
    fn marked(
        &self,
        mut answer: Response<Full<Bytes>>,
        mark: &Mark,
        took: Option<Duration>,
    ) -> Response<Full<Bytes>> {
        let (host, id) = self.draw(|rng| (hexadecimal(rng, 32), alphanumeric(rng, 54)));
        let id = format!("{id}==");
        let headers = answer.headers_mut();
        // What an edge behind this one has said stands before it.
        also(headers, "via", &format!("1.1 {host}.cloudfront.net (CloudFront)"));
        put(headers, "x-cache", mark.how.x_cache());
        if let Ok(pop) = HeaderValue::from_str(&self.pop) {
            headers.append("x-amz-cf-pop", pop);
        }
        put(headers, "x-amz-cf-id", &id);
        if let Some(age) = mark.age {
            put(headers, "age", &age.as_secs().to_string());
        }
        if let Some(took) = took {
            also(headers, "server-timing", &server_timing(&self.pop, &id, mark, took));
        }
        answer
    }
}

impl Answers for Edge {
    fn answer<'a>(&'a self, asked: &'a Asked, faults: &'a Faults) -> Answered<'a> {
        Box::pin(self.route(asked, faults))
    }
}

/// The distribution at one edge. By name it is the endpoint nearest to the edge that answers, for the edge's resolver
/// asks and not the user's.
fn served(world: &World, pop: &Pop, origins: &[Origin], d: Distribution) -> Option<Served> {
    let hop_ms = |region: &str| world.hop_ms(pop, region).unwrap_or(f64::MAX);
    let api = &world.app()?.api_region;
    let origin = if d.behavior == Behavior::ByName {
        origins.iter().min_by(|a, b| hop_ms(&a.region).total_cmp(&hop_ms(&b.region)))
    } else {
        origins.iter().find(|origin| origin.region == *api)
    }?;
    let to = if d.behavior == Behavior::ByName { &origin.region } else { &d.origin };
    Some(Served {
        hosts: [d.name.clone(), d.dns_name.clone()],
        hop_ms: world.hop_ms(pop, to)?,
        origin: origin.clone(),
        distribution: d,
    })
}

/// Adds to a list in a header, after what stands there.
fn also(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let before = headers.get(name).and_then(|text| text.to_str().ok());
    let whole = before.map_or_else(|| value.to_owned(), |before| format!("{before}, {value}"));
    put(headers, name, &whole);
}

/// An answer of the edge itself.
fn broken(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut headers = HeaderMap::new();
    put(&mut headers, "server", "CloudFront");
    let body = format!("<html><h1>{}</h1><p>{text}</p></html>\n", status.as_u16());
    response(status, "text/html", body, headers)
}

fn error(upstream: Option<Upstream>) -> Mark {
    Mark { how: How::Error, upstream, age: None }
}

fn since_ms(start: Instant) -> f64 {
    (now() - start).as_secs_f64() * 1000.0
}

/// The metrics of `CloudFront`'s guide in their order, whole milliseconds.
fn server_timing(pop: &str, id: &str, mark: &Mark, took: Duration) -> String {
    let mut metrics = Vec::new();
    if let Some(up) = mark.upstream {
        metrics.push("cdn-upstream-layer;desc=\"EDGE\"".to_owned());
        metrics.push(format!("cdn-upstream-dns;dur={:.0}", up.dns_ms));
        metrics.push(format!("cdn-upstream-connect;dur={:.0}", up.connect_ms));
        metrics.push(format!("cdn-upstream-fbl;dur={:.0}", up.first_byte_ms));
    }
    metrics.push(mark.how.metric().to_owned());
    metrics.push(format!("cdn-pop;desc=\"{pop}\""));
    metrics.push(format!("cdn-rid;desc=\"{id}\""));
    if mark.how == How::Hit {
        metrics.push("cdn-hit-layer;desc=\"EDGE\"".to_owned());
    }
    metrics.push(format!("cdn-downstream-fbl;dur={:.0}", took.as_secs_f64() * 1000.0));
    metrics.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timing_is_told_as_the_guide_tells_it() {
        let took = Duration::from_micros(436_400);
        let upstream = Upstream { dns_ms: 0.0, connect_ms: 114.2, first_byte_ms: 176.9 };
        let miss = Mark { how: How::Miss, upstream: Some(upstream), age: None };
        assert_eq!(
            server_timing("PHX50-C2", "yN==", &miss, took),
            "cdn-upstream-layer;desc=\"EDGE\",cdn-upstream-dns;dur=0,cdn-upstream-connect;dur=114,\
             cdn-upstream-fbl;dur=177,cdn-cache-miss,cdn-pop;desc=\"PHX50-C2\",\
             cdn-rid;desc=\"yN==\",cdn-downstream-fbl;dur=436"
        );
        let hit = Mark { how: How::Hit, upstream: None, age: Some(Duration::from_secs(3)) };
        assert_eq!(
            server_timing("SEA19-C1", "nQ==", &hit, Duration::from_millis(1)),
            "cdn-cache-hit,cdn-pop;desc=\"SEA19-C1\",cdn-rid;desc=\"nQ==\",\
             cdn-hit-layer;desc=\"EDGE\",cdn-downstream-fbl;dur=1"
        );
    }
}
