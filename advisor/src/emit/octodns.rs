//! YAML for octoDNS: its Route 53 provider has no latency records, so what can be said is that these
//! names are left to Nearside.

use crate::name::Name;
use crate::plan::Plan;

pub(super) fn text(plan: &Plan) -> String {
    let relative = Name::parse(&plan.service).ok().zip(Name::parse(&plan.zone).ok());
    let relative = relative.map_or_else(String::new, |(service, zone)| {
        let cut = service.as_str().strip_suffix(zone.as_str()).unwrap_or(service.as_str());
        cut.trim_end_matches('.').to_owned()
    });
    let below =
        if relative.is_empty() { "$".to_owned() } else { format!("\\.{}$", regex(&relative)) };
    format!(
        "# octoDNS has no latency records: for Route 53 its dynamic records are geolocation rules over pools of\n\
         # addresses, so those of {service} cannot be kept in it. With this in its configuration it leaves the\n\
         # names of Nearside plan {id} alone.\n\
         processors:\n  nearside:\n    class: octodns.processor.filter.NameRejectlistFilter\n    rejectlist:\n      - {name}\n      - {ours}\n\
         zones:\n  {zone}:\n    processors:\n      - nearside\n",
        service = plan.service,
        id = plan.id(),
        name = quoted(&relative),
        ours = quoted(&format!("/^_nearside-[a-z0-9-]+{below}/")),
        zone = quoted(&format!("{}.", plan.zone)),
    )
}

/// A single-quoted YAML string.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Names are letters, digits, `-`, `_`, `.` and octal escapes: of those, dots and backslashes are special.
fn regex(text: &str) -> String {
    text.replace('\\', "\\\\").replace('.', "\\.")
}
