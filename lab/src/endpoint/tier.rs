//! What the tiers answer that no edge stands before: Cognito's public documents and sign-in, `DynamoDB`'s `/ping`.
//!
//! Shapes only: nobody's password is judged and no table exists. No sockets here.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::HeaderMap;
use hyper::{Method, Response, StatusCode};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::asked::{Answered, Answers, Asked, json_response, put, response};
use crate::clock::{Timer, millis, now};
use crate::random::{alphanumeric, hexadecimal, lognormal, stream};
use crate::scenario::Faults;
use crate::world::{TierKind, TierServer, World};

/// Median service times, ms: a public document of a user pool, a sign-in, a ping of `DynamoDB`.
const DOCUMENT_MS: f64 = 8.0;
const SIGN_IN_MS: f64 = 60.0;
const PING_MS: f64 = 2.0;
/// Spread of their logarithm.
const SIGMA: f64 = 0.25;

/// One server of a tier.
pub(super) struct Tier {
    server: TierServer,
    rng: Mutex<ChaCha8Rng>,
    timer: Timer,
}

/// What is answered, and the median time it takes.
struct Plan {
    status: StatusCode,
    body: Body,
    service_ms: f64,
}

enum Body {
    Json(Value),
    Text(String),
}

impl Tier {
    pub(super) fn new(world: &World, server: &TierServer, timer: Timer) -> Self {
        let number = u64::from(u32::from(server.ipv4));
        let rng = Mutex::new(stream(world.seed(), "tier", number));
        Self { server: server.clone(), rng, timer }
    }

    async fn serve(&self, asked: &Asked, faults: &Faults) -> Response<Full<Bytes>> {
        let arrived = now();
        let (factor, fails, id) = self.draw(faults);
        let mut plan = if asked.host() != Some(self.server.name.as_str()) {
            refusal(StatusCode::FORBIDDEN, "AccessDeniedException")
        } else if fails {
            let status = StatusCode::from_u16(faults.fail_status);
            refusal(status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE), "ServiceUnavailable")
        } else {
            match self.server.kind {
                TierKind::SignIn => self.sign_in(asked),
                TierKind::Data => self.data(asked),
            }
        };
        plan.service_ms *= factor;
        let whole_ms = faults.fixed_service_ms.unwrap_or(plan.service_ms) + faults.extra_ms;
        self.timer.sleep_until(arrived + millis(whole_ms)).await;
        let mut headers = HeaderMap::new();
        put(&mut headers, "x-amzn-requestid", &id);
        match plan.body {
            Body::Json(body) => json_response(plan.status, &body, headers),
            Body::Text(body) => {
                put(&mut headers, "server", "Server");
                response(plan.status, "text/plain", body, headers)
            }
        }
    }

    fn draw(&self, faults: &Faults) -> (f64, bool, String) {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let factor = lognormal(&mut *rng, 0.0, SIGMA);
        let fails = rng.random_bool(faults.fail_share.clamp(0.0, 1.0));
        let id = match self.server.kind {
            TierKind::SignIn => [8, 4, 4, 4, 12].map(|n| hexadecimal(&mut *rng, n)).join("-"),
            TierKind::Data => alphanumeric(&mut *rng, 52).to_ascii_uppercase(),
        };
        (factor, fails, id)
    }

    /// `InitiateAuth` as Cognito's JSON protocol has it, and the keys of the pool.
    fn sign_in(&self, asked: &Asked) -> Plan {
        let pool = self.server.path.split('/').nth(1).unwrap_or_default();
        let issuer = format!("https://{}/{pool}", self.server.name);
        if asked.reads() && asked.path == self.server.path {
            let key =
                json!({ "alg": "RS256", "e": "AQAB", "kid": "lab", "kty": "RSA", "use": "sig" });
            return document(json!({ "keys": [key] }));
        }
        if asked.reads() && asked.path == format!("/{pool}/.well-known/openid-configuration") {
            let keys = format!("{issuer}/.well-known/jwks.json");
            return document(json!({ "issuer": issuer, "jwks_uri": keys }));
        }
        let called = asked.says("x-amz-target", "AWSCognitoIdentityProviderService.InitiateAuth");
        if asked.method == Method::POST && asked.path == "/" && called {
            let result = json!({ "ExpiresIn": 3600, "TokenType": "Bearer", "IdToken": "lab", "AccessToken": "lab" });
            let body = json!({ "AuthenticationResult": result, "ChallengeParameters": {} });
            return Plan { status: StatusCode::OK, body: Body::Json(body), service_ms: SIGN_IN_MS };
        }
        refusal(StatusCode::BAD_REQUEST, "UnknownOperationException")
    }

    fn data(&self, asked: &Asked) -> Plan {
        if asked.reads() && matches!(asked.path.as_str(), "/" | "/ping") {
            let body = Body::Text(format!("healthy: {} ", self.server.name));
            return Plan { status: StatusCode::OK, body, service_ms: PING_MS };
        }
        refusal(StatusCode::BAD_REQUEST, "MissingAuthenticationTokenException")
    }
}

impl Answers for Tier {
    fn answer<'a>(&'a self, asked: &'a Asked, faults: &'a Faults) -> Answered<'a> {
        Box::pin(self.serve(asked, faults))
    }
}

fn document(body: Value) -> Plan {
    Plan { status: StatusCode::OK, body: Body::Json(body), service_ms: DOCUMENT_MS }
}

fn refusal(status: StatusCode, kind: &str) -> Plan {
    Plan { status, body: Body::Json(json!({ "__type": kind })), service_ms: PING_MS }
}
