//! By what endpoints name their Region, if all do by the same thing. Pure.

use std::collections::BTreeSet;

use probe::exchange::Proof;
use serde_json::Value;

/// How deep a body is looked into: an answer that tells its Region says it near its top.
const DEPTH_MAX: usize = 4;
/// Pointers of one body that are kept.
const POINTERS_MAX: usize = 64;

/// What is common to all answers, each with its Region: a header whose value is the Region, else a JSON
/// pointer to it, the shortest first. `None` without answers, or where nothing is common.
#[must_use]
pub fn region_proof(answers: &[(String, Proof)]) -> Option<String> {
    let header = common(answers, |region, proof| {
        let named = proof.headers.iter().filter(|(_, value)| value == region);
        named.map(|(name, _)| name.clone()).collect()
    });
    let pointer = || {
        common(answers, |region, proof| {
            let mut found = BTreeSet::new();
            if let Ok(body) = serde_json::from_slice::<Value>(&proof.body) {
                pointers(&body, region, "", &mut found);
            }
            found
        })
    };
    header.or_else(pointer)
}

fn common(
    answers: &[(String, Proof)],
    named: impl Fn(&str, &Proof) -> BTreeSet<String>,
) -> Option<String> {
    let mut each = answers.iter().map(|(region, proof)| named(region, proof));
    let first = each.next()?;
    let all = each.fold(first, |all, next| all.intersection(&next).cloned().collect());
    all.into_iter().min_by_key(|name| (name.len(), name.clone()))
}

fn pointers(value: &Value, region: &str, at: &str, found: &mut BTreeSet<String>) {
    if at.matches('/').count() > DEPTH_MAX || found.len() >= POINTERS_MAX {
        return;
    }
    match value {
        Value::String(text) if text == region && !at.is_empty() => {
            found.insert(at.to_owned());
        }
        Value::Object(members) => {
            for (key, inner) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                pointers(inner, region, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate().take(POINTERS_MAX) {
                pointers(inner, region, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(region: &str, header: Option<&str>, body: &str) -> (String, Proof) {
        let headers = header.map(|name| (name.to_owned(), region.to_owned()));
        let proof = Proof {
            certificate_not_after_s: None,
            status: 200,
            headers: headers.into_iter().collect(),
            body: body.replace('R', region).into_bytes(),
        };
        (region.to_owned(), proof)
    }

    #[test]
    fn the_first_thing_that_all_name_their_region_by() {
        let both =
            |header, body| [answer("eu-west-1", header, body), answer("us-east-1", header, body)];
        for (answers, expected) in [
            (both(Some("x-region"), "{}"), Some("x-region")),
            (both(None, r#"{"ok": true, "where": {"region": "R"}}"#), Some("/where/region")),
            (both(None, r#"{"a": {"b": "R"}, "c/d": "R"}"#), Some("/a/b")),
            (both(None, r#"[["R"]]"#), Some("/0/0")),
            (both(None, "R"), None),
            (both(None, r#""R""#), None),
            (both(None, r#"{"a":{"b":{"c":{"d":{"e":"R"}}}}}"#), None),
        ] {
            assert_eq!(region_proof(&answers).as_deref(), expected);
        }
        let mixed =
            [answer("eu-west-1", Some("x-a"), "{}"), answer("us-east-1", Some("x-b"), "{}")];
        assert_eq!(region_proof(&mixed), None);
        assert_eq!(region_proof(&[]), None);
    }
}
