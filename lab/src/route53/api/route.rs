//! From method and path to an operation with its arguments.

use hyper::{Method, Uri};

use super::query::{Query, decode};
use crate::route53::error::{ApiError, Code};
use crate::route53::operation::Operation;
use crate::route53::state::Tagged;
use crate::route53::validate::facet;

/// A call of the API, arguments of the path taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::route53) struct Call {
    operation: Operation,
    /// The id in the path; empty where there is none.
    pub(super) id: String,
    /// The kind of a tagged resource.
    pub(super) tagged: Option<Tagged>,
    /// The parameters.
    pub(super) query: Query,
}

impl Call {
    pub(super) fn operation(&self) -> Operation {
        self.operation
    }
}

/// Finds the operation. What AWS has and the lab has not answers 501.
pub(super) fn route(method: &Method, uri: &Uri) -> Result<Call, ApiError> {
    let path = decode(uri.path(), false)?;
    let Some(rest) = path.strip_prefix("/2013-04-01/") else {
        return Err(ApiError::new(Code::UnknownOperation, format!("no operation at {path}")));
    };
    let mut segments: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    // An id may come with its prefix: /hostedzone//hostedzone/Z1/rrset.
    if segments.len() > 2 && segments[0] == segments[1] {
        segments.remove(0);
    }
    let Some((operation, id, tagged)) = find(method, &segments)? else {
        let text = format!("the lab's Route 53 has no {method} {path}");
        return Err(ApiError::new(Code::NotImplemented, text));
    };
    let (kind, max) = match segments[0] {
        "hostedzone" => ("ResourceId", 32),
        "change" => ("ChangeId", 6500),
        _ => ("HealthCheckId", 64),
    };
    facet::length(kind, 0, max, id)?;
    let query = Query::parse(uri.query().unwrap_or_default())?;
    Ok(Call { operation, id: id.to_owned(), tagged, query })
}

type Found<'a> = Option<(Operation, &'a str, Option<Tagged>)>;

fn find<'a>(method: &Method, segments: &[&'a str]) -> Result<Found<'a>, ApiError> {
    use Operation as Op;
    let is = |wanted: &Method| method == wanted;
    let (get, post, delete) = (is(&Method::GET), is(&Method::POST), is(&Method::DELETE));
    let plain = |operation| Ok(Some((operation, "", None)));
    let with = |operation, id| Ok(Some((operation, id, None)));
    match *segments {
        ["hostedzone"] if post => plain(Op::CreateHostedZone),
        ["hostedzone"] if get => plain(Op::ListHostedZones),
        ["hostedzonesbyname"] if get => plain(Op::ListHostedZonesByName),
        ["hostedzonecount"] if get => plain(Op::GetHostedZoneCount),
        ["hostedzone", id] if get => with(Op::GetHostedZone, id),
        ["hostedzone", id] if delete => with(Op::DeleteHostedZone, id),
        ["hostedzone", id, "rrset"] if post => with(Op::ChangeResourceRecordSets, id),
        ["hostedzone", id, "rrset"] if get => with(Op::ListResourceRecordSets, id),
        ["hostedzone", id, "rrsetprotection"] if post => {
            with(Op::CreateResourceRecordSetProtections, id)
        }
        ["hostedzone", id, "rrsetprotection"] if get => {
            with(Op::ListResourceRecordSetProtections, id)
        }
        ["hostedzone", id, "rrsetprotection", "delete"] if post => {
            with(Op::DeleteResourceRecordSetProtections, id)
        }
        ["change", id] if get => with(Op::GetChange, id),
        ["testdnsanswer"] if get => plain(Op::TestDNSAnswer),
        ["healthcheck"] if post => plain(Op::CreateHealthCheck),
        ["healthcheck"] if get => plain(Op::ListHealthChecks),
        ["healthcheckcount"] if get => plain(Op::GetHealthCheckCount),
        ["healthcheck", id] if get => with(Op::GetHealthCheck, id),
        ["healthcheck", id] if post => with(Op::UpdateHealthCheck, id),
        ["healthcheck", id] if delete => with(Op::DeleteHealthCheck, id),
        ["healthcheck", id, "status"] if get => with(Op::GetHealthCheckStatus, id),
        ["healthcheck", id, "lastfailurereason"] if get => {
            with(Op::GetHealthCheckLastFailureReason, id)
        }
        ["checkeripranges"] if get => plain(Op::GetCheckerIpRanges),
        ["tags", kind] if post => Ok(Some((Op::ListTagsForResources, "", Some(tagged(kind)?)))),
        ["tags", kind, id] if post => {
            Ok(Some((Op::ChangeTagsForResource, id, Some(tagged(kind)?))))
        }
        ["tags", kind, id] if get => Ok(Some((Op::ListTagsForResource, id, Some(tagged(kind)?)))),
        _ => Ok(None),
    }
}

fn tagged(kind: &str) -> Result<Tagged, ApiError> {
    match kind {
        "healthcheck" => Ok(Tagged::HealthCheck),
        "hostedzone" => Ok(Tagged::HostedZone),
        _ => Err(facet::not_in_enumeration(kind, &["healthcheck", "hostedzone"])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let check = |method: Method, path: &str, expect: Option<(Operation, &str)>| {
            let call = route(&method, &path.parse().unwrap());
            let found = call.as_ref().ok().map(|call| (call.operation, call.id.as_str()));
            assert_eq!(found, expect, "{method} {path}");
        };
        let rrset = Some((Operation::ChangeResourceRecordSets, "Z1"));
        check(Method::POST, "/2013-04-01/hostedzone/Z1/rrset/", rrset);
        check(Method::POST, "/2013-04-01/hostedzone/Z1/rrset", rrset);
        check(Method::POST, "/2013-04-01/hostedzone/%2Fhostedzone%2FZ1/rrset/", rrset);
        check(Method::POST, "/2013-04-01/hostedzone//hostedzone/Z1/rrset/", rrset);
        check(Method::GET, "/2013-04-01/change/C1", Some((Operation::GetChange, "C1")));
        check(Method::GET, "/2013-04-01/change/%2Fchange%2FC1", Some((Operation::GetChange, "C1")));
        check(Method::GET, "/2013-04-01/trafficpolicies", None);
        check(Method::GET, "/", None);
        check(Method::GET, &format!("/2013-04-01/hostedzone/{}", "Z".repeat(63)), None);
    }

    #[test]
    fn refusals_have_their_codes() {
        let code = |path: &str| route(&Method::GET, &path.parse().unwrap()).unwrap_err().code;
        assert_eq!(code("/2013-04-01/trafficpolicies"), Code::NotImplemented);
        assert_eq!(code("/elsewhere"), Code::UnknownOperation);
        assert_eq!(code("/2013-04-01/tags/bucket/b"), Code::InvalidInput);
    }
}
