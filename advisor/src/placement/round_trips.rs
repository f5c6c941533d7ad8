//! Round trips by Region, from what was measured by endpoint and by candidate. Pure.

use std::collections::BTreeMap;

use probe::config::{Config, TargetKind};

/// Round trips in ms by vantage and Region, of (vantage, target, ms): those to a Region's candidate,
/// and those to its endpoint where no candidate was measured. Other targets tell of no Region.
#[must_use]
pub fn round_trips<'a>(
    config: &Config,
    measured: impl IntoIterator<Item = (&'a str, &'a str, f64)>,
) -> BTreeMap<(String, String), f64> {
    let mut found: BTreeMap<(String, String), (bool, f64)> = BTreeMap::new();
    for (vantage, target, ms) in measured {
        let Some((region, is_candidate)) = region_of(config, target) else { continue };
        let key = (vantage.to_owned(), region.to_owned());
        let kept = found.entry(key).or_insert((is_candidate, ms));
        if is_candidate >= kept.0 {
            *kept = (is_candidate, ms);
        }
    }
    found.into_iter().map(|(key, (_, ms))| (key, ms)).collect()
}

/// The Region that an id stands for, and whether it is a candidate's.
fn region_of<'a>(config: &'a Config, id: &str) -> Option<(&'a str, bool)> {
    let endpoint = config.endpoints.iter().find(|endpoint| endpoint.id == id);
    if let Some(endpoint) = endpoint {
        return Some((&endpoint.region, false));
    }
    let target = config.targets.iter().find(|target| target.id == id)?;
    let region = target.region.as_deref().filter(|_| target.kind == TargetKind::Candidate)?;
    Some((region, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_come_before_endpoints_and_other_targets_tell_nothing() {
        let text = "name = 'api.example.com'\nzone = 'example.com'\n\
            candidates = ['eu-west-1', 'sa-east-1']\n\
            [[endpoint]]\nid = 'ireland'\nregion = 'eu-west-1'\nkind = 'regional'\n\
            url = 'https://api.example.com/'\n\
            [[target]]\nid = 'page'\nkind = 'static'\nurl = 'https://example.com/'\n";
        let (nothing, flags) = (BTreeMap::new(), probe::config::Flags::default());
        let config = probe::config::build(probe::config::DEFAULTS, text, &nothing, &flags).unwrap();
        let measured = [
            ("v", "candidate-eu-west-1", 2.0),
            ("v", "ireland", 1.0),
            ("w", "ireland", 5.0),
            ("w", "page", 9.0),
            ("w", "candidate-sa-east-1", 7.0),
        ];
        let key = |vantage: &str, region: &str| (vantage.to_owned(), region.to_owned());
        let want = [
            (key("v", "eu-west-1"), 2.0),
            (key("w", "eu-west-1"), 5.0),
            (key("w", "sa-east-1"), 7.0),
        ];
        assert_eq!(round_trips(&config, measured), BTreeMap::from(want));
    }
}
