//! REST-XML as Route 53 speaks it: a strict, bounded reader and a plain writer.

pub mod read;
pub mod request;
pub mod response;
pub mod write;

/// The namespace of every document of the API.
pub const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";
