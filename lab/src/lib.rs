//! A small AWS on loopback: Route 53, DNS, Regional endpoints and the ocean between them.

mod accept;
pub mod apigateway;
pub mod atlas;
mod bucket;
mod ca;
mod clock;
pub mod cloudwatch;
mod endpoint;
mod facts;
mod faults;
mod ground;
mod http;
#[cfg(target_os = "linux")]
pub mod packet;
pub mod prefix;
pub mod random;
mod resolver;
pub mod route53;
mod run;
pub mod scenario;
mod scope;
mod wan;
pub mod world;

pub use ca::{Authority, CaError};
pub use cloudwatch::CloudWatch;
pub use endpoint::{EndpointError, Endpoints, FaultHandle};
pub use facts::{AliasFacts, EndpointFacts, Facts, TargetFacts, VantageFacts};
pub use faults::FaultQueue;
pub use ground::{Ground, GroundError};
pub use resolver::Resolver;
pub use run::{Lab, LabError, LabOptions};
pub use wan::{NameLookup, Wan};
