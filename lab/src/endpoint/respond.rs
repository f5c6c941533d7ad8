//! What a regional endpoint answers: routes by host name as API Gateway does, and wears its headers.
//!
//! `/` and `/ping` take a drawn service time, `/health` none. Where the scenario has a table the function reads it
//! over the hop between the Regions, and tells how long that took. No sockets here.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::asked::{Answered, Answers, Asked, json_response, put};
use crate::clock::{Timer, calendar, millis, now};
use crate::cloudwatch::{CloudWatch, Served};
use crate::random::{alphanumeric, hexadecimal, lognormal, stream};
use crate::scenario::{EndpointKind, Faults};
use crate::world::{Endpoint, World, service_ms};

/// Median time of one read of a table in its own Region, ms, and the spread of its logarithm.
const READ_MS: f64 = 4.0;
const READ_SIGMA: f64 = 0.2;

/// Answers for one endpoint.
pub(super) struct Responder {
    region: String,
    kind: EndpointKind,
    api_id: String,
    hosts: [String; 2],
    slow_ms: f64,
    sigma: f64,
    rng: Mutex<ChaCha8Rng>,
    table: Option<Table>,
    timer: Timer,
    metrics: CloudWatch,
    /// Requests in the function.
    inside: AtomicU32,
}

/// The table that the function reads.
struct Table {
    calls: u32,
    hop_ms: f64,
    rng: Mutex<ChaCha8Rng>,
}

impl Table {
    fn new(world: &World, region: &str) -> Option<Self> {
        let spec = world.scenario().app.as_ref().filter(|app| app.api_data_calls > 0)?;
        let atlas = world.atlas();
        let (from, to) = (atlas.index_of(region)?, atlas.index_of(&spec.api_data_region)?);
        Some(Self {
            calls: spec.api_data_calls,
            hop_ms: atlas.p50_ms(from, to),
            rng: Mutex::new(stream(world.seed(), "table", from as u64)),
        })
    }

    /// How long all calls of one request take.
    fn read_ms(&self) -> f64 {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        (0..self.calls).map(|_| self.hop_ms + READ_MS * lognormal(&mut *rng, 0.0, READ_SIGMA)).sum()
    }
}

/// One request in the function. Given up requests leave it too.
struct Inside<'a> {
    counter: &'a AtomicU32,
    /// Those inside when it came, itself too.
    count: u32,
}

impl<'a> Inside<'a> {
    fn enter(counter: &'a AtomicU32) -> Self {
        let count = counter.fetch_add(1, Ordering::Relaxed) + 1;
        Self { counter, count }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What one request draws.
struct Draw {
    service_ms: f64,
    fails: bool,
    ids: HeaderMap,
}

impl Responder {
    pub(super) fn new(
        world: &World,
        endpoint: &Endpoint,
        timer: Timer,
        metrics: CloudWatch,
    ) -> Self {
        let index = world.atlas().index_of(&endpoint.region).unwrap_or_default() as u64;
        Self {
            region: endpoint.region.clone(),
            kind: endpoint.kind,
            api_id: endpoint.api_id.clone(),
            hosts: [world.scenario().name.clone(), endpoint.health_name.clone()],
            slow_ms: endpoint.slow_ms,
            sigma: world.scenario().service.sigma,
            rng: Mutex::new(stream(world.seed(), "service", index)),
            table: Table::new(world, &endpoint.region),
            timer,
            metrics,
            inside: AtomicU32::new(0),
        }
    }

    /// The answer to a request that an edge forwards: its name has been judged there.
    pub(super) async fn serve(&self, asked: &Asked, faults: &Faults) -> Response<Full<Bytes>> {
        let (arrived, at_s) = (now(), calendar().as_second());
        let routed = asked.reads() && matches!(asked.path.as_str(), "/" | "/ping" | "/health");
        let inside = routed.then(|| Inside::enter(&self.inside));
        let response = self.respond(asked, faults, arrived).await;
        self.metrics.note(Served {
            region: self.region.clone(),
            http_api: (self.kind == EndpointKind::Http).then(|| self.api_id.clone()),
            at_s,
            status: response.status().as_u16(),
            latency_ms: arrived.elapsed().as_secs_f64() * 1_000.0,
            concurrent: inside.map(|inside| inside.count),
        });
        response
    }

    async fn respond(
        &self,
        asked: &Asked,
        faults: &Faults,
        arrived: Instant,
    ) -> Response<Full<Bytes>> {
        let draw = self.draw(faults);
        if draw.fails {
            let status =
                StatusCode::from_u16(faults.fail_status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            let (kind, message) = match status {
                StatusCode::INTERNAL_SERVER_ERROR => {
                    ("InternalServerErrorException", "Internal server error")
                }
                _ => ("ServiceUnavailableException", "Service Unavailable"),
            };
            return self.refuse(draw, status, kind, message);
        }
        match asked.path.as_str() {
            "/health" if asked.reads() => {
                self.body(draw, &json!({ "status": "ok", "region": self.region }))
            }
            "/" | "/ping" if asked.reads() => {
                let service_ms = faults.fixed_service_ms.unwrap_or(draw.service_ms);
                let read_ms = self.table.as_ref().map(Table::read_ms);
                let whole_ms =
                    service_ms + self.slow_ms + faults.extra_ms + read_ms.unwrap_or_default();
                self.timer.sleep_until(arrived + millis(whole_ms)).await;
                let body = json!({ "message": "pong", "region": self.region });
                let mut response = self.body(draw, &body);
                if let Some(ms) = read_ms {
                    put(response.headers_mut(), "server-timing", &format!("dynamodb;dur={ms:.1}"));
                }
                response
            }
            _ => self.no_route(draw),
        }
    }

    /// REST and HTTP APIs differ in what they say to a path they do not have.
    fn no_route(&self, draw: Draw) -> Response<Full<Bytes>> {
        match self.kind {
            EndpointKind::Http => {
                self.refuse(draw, StatusCode::NOT_FOUND, "NotFoundException", "Not Found")
            }
            EndpointKind::Rest | EndpointKind::Cloudfront => self.refuse(
                draw,
                StatusCode::FORBIDDEN,
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            ),
        }
    }

    fn draw(&self, faults: &Faults) -> Draw {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        Draw {
            service_ms: service_ms(self.sigma, &mut *rng),
            fails: rng.random_bool(faults.fail_share.clamp(0.0, 1.0)),
            ids: ids(self.kind, &mut rng),
        }
    }

    fn body(&self, draw: Draw, body: &serde_json::Value) -> Response<Full<Bytes>> {
        let mut response = json_response(StatusCode::OK, body, draw.ids);
        if let Ok(region) = HeaderValue::from_str(&self.region) {
            response.headers_mut().insert("x-nearside-region", region);
        }
        response
    }

    fn refuse(
        &self,
        mut draw: Draw,
        status: StatusCode,
        kind: &'static str,
        message: &str,
    ) -> Response<Full<Bytes>> {
        // HTTP APIs do not name the kind, except that nothing behind a name is always Forbidden.
        if self.kind != EndpointKind::Http || status == StatusCode::FORBIDDEN {
            draw.ids.insert("x-amzn-errortype", HeaderValue::from_static(kind));
        }
        if self.kind == EndpointKind::Cloudfront {
            draw.ids.insert("x-cache", HeaderValue::from_static("Error from cloudfront"));
        }
        json_response(status, &json!({ "message": message }), draw.ids)
    }
}

impl Answers for Responder {
    fn answer<'a>(&'a self, asked: &'a Asked, faults: &'a Faults) -> Answered<'a> {
        Box::pin(async move {
            if asked.for_one_of(&self.hosts) {
                return self.serve(asked, faults).await;
            }
            let draw = self.draw(faults);
            self.refuse(draw, StatusCode::FORBIDDEN, "ForbiddenException", "Forbidden")
        })
    }
}

/// The headers by which a kind of endpoint is known.
fn ids(kind: EndpointKind, rng: &mut ChaCha8Rng) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    if kind == EndpointKind::Http {
        put("apigw-requestid", format!("{}=", alphanumeric(rng, 15)));
        return headers;
    }
    let uuid = [8, 4, 4, 4, 12].map(|n| hexadecimal(rng, n)).join("-");
    put("x-amzn-requestid", uuid);
    put("x-amz-apigw-id", format!("{}=", alphanumeric(rng, 15)));
    let (root, epoch) = (hexadecimal(rng, 24), hexadecimal(rng, 8));
    put("x-amzn-trace-id", format!("Root=1-{epoch}-{root}"));
    if kind == EndpointKind::Cloudfront {
        put("via", format!("1.1 {}.cloudfront.net (CloudFront)", hexadecimal(rng, 32)));
        put("x-cache", "Miss from cloudfront".to_owned());
        put("x-amz-cf-pop", "FRA56-P4".to_owned());
        put("x-amz-cf-id", format!("{}==", alphanumeric(rng, 54)));
    }
    headers
}
