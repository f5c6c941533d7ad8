//! What the types say of `nearside.toml`: its JSON Schema, and the page that people read.
//!
//! Pure: the same types give the same bytes. The types are those of `raw`; defaults are the built-in ones.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::layers::DEFAULTS;
use super::raw::RawConfig;

/// The page before its tables.
const HEAD: &str = include_str!("head.txt");

/// The sections of the page: the heading, and the definition of the schema.
const SECTIONS: [(&str, &str); 15] = [
    ("[[vantage]]", "vantage"),
    ("[[endpoint]]", "endpoint"),
    ("alias of an endpoint", "alias"),
    ("metrics of an endpoint", "metrics"),
    ("[[target]]", "target"),
    ("[[journey]]", "journey"),
    ("[probe]", "probe"),
    ("[evidence]", "evidence"),
    ("[guard]", "guard"),
    ("[weights]", "weights"),
    ("[dns]", "dns"),
    ("[[slo]]", "slo"),
    ("[traffic]", "traffic"),
    ("[cloudwatch]", "cloudwatch"),
    ("[aws]", "aws"),
];

/// The JSON Schema (draft 2020-12) of `nearside.toml`, with the built-in defaults.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(RawConfig).to_value();
    tidy(&mut schema);
    // They are parsed in every run of every program.
    let defaults: toml::Table = DEFAULTS.parse().unwrap_or_default();
    for (key, value) in defaults {
        match value {
            toml::Value::Table(section) => {
                let at = format!("/$defs/{key}/properties");
                for (key, value) in section {
                    set_default(schema.pointer_mut(&at), &key, &value);
                }
            }
            value => set_default(schema.pointer_mut("/properties"), &key, &value),
        }
    }
    schema
}

/// The schema as a file.
#[must_use]
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}

fn set_default(properties: Option<&mut Value>, key: &str, value: &toml::Value) {
    let property = properties.and_then(|all| all.get_mut(key)).and_then(Value::as_object_mut);
    if let (Some(property), Ok(value)) = (property, serde_json::to_value(value)) {
        property.insert("default".to_owned(), value);
    }
}

/// TOML has no null: what may be left out is not written, so that no type allows it.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("format");
            members.remove("default");
            without_null(members);
            members.values_mut().for_each(tidy);
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = one_line(text);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn without_null(members: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = members.get("type") {
        let rest: Vec<&Value> = types.iter().filter(|one| *one != "null").collect();
        if let [one] = rest.as_slice() {
            let one = (*one).clone();
            members.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(choices)) = members.get("anyOf") {
        let rest: Vec<&Value> = choices.iter().filter(|one| one["type"] != "null").collect();
        if let [Value::Object(one)] = rest.as_slice() {
            let one = one.clone();
            members.remove("anyOf");
            for (key, value) in one {
                members.entry(key).or_insert(value);
            }
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// docs/configuration.md, whole.
#[must_use]
pub fn reference() -> String {
    let schema = schema();
    let mut page = format!("{HEAD}## Top level\n\n");
    table(&mut page, &schema);
    for (heading, name) in SECTIONS {
        let definition = &schema["$defs"][name];
        let about = definition["description"].as_str().unwrap_or_default();
        let _ = write!(page, "## {heading}\n\n{}\n\n", wrapped(about));
        table(&mut page, definition);
    }
    let _ = write!(page, "## Defaults\n\n```toml\n{DEFAULTS}```\n");
    page
}

/// The keys of one section; those that must be there first.
fn table(page: &mut String, definition: &Value) {
    let Some(properties) = definition["properties"].as_object() else { return };
    let is_required = |key: &str| {
        definition["required"].as_array().is_some_and(|all| all.iter().any(|one| one == key))
    };
    page.push_str("| key | value | default | what |\n|---|---|---|---|\n");
    for required in [true, false] {
        for (key, property) in properties {
            // Sections have a table of their own.
            if is_required(key) == required && !is_section(property) {
                let default = match (&property["default"], required) {
                    (Value::Null, true) => "must be there".to_owned(),
                    (Value::Null, false) => String::new(),
                    (value, _) => format!("`{value}`"),
                };
                let (value, what) = (kind(property), property["description"].as_str());
                let what = what.unwrap_or_default().replace('|', "\\|");
                let _ = writeln!(page, "| `{key}` | {value} | {default} | {what} |");
            }
        }
    }
    page.push('\n');
}

fn is_section(property: &Value) -> bool {
    let reference = property["$ref"].as_str().or(property["items"]["$ref"].as_str());
    let name = reference.and_then(|at| at.rsplit('/').next()).unwrap_or_default();
    name != "alias" && SECTIONS.iter().any(|(_, section)| *section == name)
}

/// What may stand there, in words.
fn kind(property: &Value) -> String {
    if let Some(words) = property["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    let bounds = match (least(property), &property["maximum"]) {
        (Some(least), Value::Null) => format!(", {least}"),
        (Some(least), most) => format!(", {least} to {most}"),
        (None, _) => String::new(),
    };
    match property["type"].as_str() {
        Some("array") => format!("list: {}", kind(&property["items"])),
        Some("object") => "table of texts".to_owned(),
        Some("boolean") => "`true`, `false`".to_owned(),
        Some("string") if is_duration(property) => "duration".to_owned(),
        Some("string") => "text".to_owned(),
        Some("integer") => format!("whole number{bounds}"),
        Some(other) => format!("{other}{bounds}"),
        None if property["$ref"] == "#/$defs/candidates" => {
            "`\"all\"`, or a list of texts".to_owned()
        }
        None => "table".to_owned(),
    }
}

fn least(property: &Value) -> Option<String> {
    let above = property["exclusiveMinimum"].as_f64().map(|least| format!("above {least}"));
    above.or_else(|| property["minimum"].as_f64().map(|least| format!("{least}")))
}

fn is_duration(property: &Value) -> bool {
    property["pattern"].as_str().is_some_and(|pattern| pattern.contains("ms|s|m|h|d"))
}

/// At most 110 columns a line, broken at spaces.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, String::len);
        if line > 0 && line + 1 + word.len() > 110 {
            lines.push(word.to_owned());
        } else if let Some(last) = lines.last_mut() {
            if line > 0 {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::layers::{Flags, build};
    use super::*;

    /// A whole configuration with one more line in one section.
    fn with(section: &str, line: &str) -> Result<(), String> {
        let needed = match section {
            "cloudwatch" => "namespace = \"N\"\nregion = \"eu-west-1\"\n",
            _ => "",
        };
        let text = format!(
            "name = \"a.b.c\"\nzone = \"b.c\"\n[[endpoint]]\nid = \"e\"\nregion = \"eu-west-1\"\n\
             url = \"https://a.b.c/\"\n[{section}]\n{needed}{line}\n"
        );
        let built = build(DEFAULTS, &text, &BTreeMap::new(), &Flags::default());
        built.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn every_definition_has_a_section_and_every_key_a_word() {
        let schema = schema();
        let mut names: Vec<&str> = SECTIONS.iter().map(|(_, name)| *name).collect();
        names.push("candidates");
        names.sort_unstable();
        let defined: Vec<&String> = schema["$defs"].as_object().unwrap().keys().collect();
        assert_eq!(defined, names);
        for (_, name) in SECTIONS {
            let definition = &schema["$defs"][name];
            assert_eq!(definition["additionalProperties"], false, "{name}");
            for (key, property) in definition["properties"].as_object().unwrap() {
                assert!(property["description"].is_string(), "{name}.{key} is not described");
            }
        }
        assert!(!schema.to_string().contains("null"));
    }

    /// The bounds of the schema are those of the checks: at a bound it is accepted, beyond it refused.
    #[test]
    fn bounds_and_words_are_those_of_the_checks() {
        let schema = schema();
        let (mut bounds, mut words) = (0, 0);
        for section in ["probe", "evidence", "guard", "cloudwatch"] {
            for (key, property) in schema["$defs"][section]["properties"].as_object().unwrap() {
                let said = |value: String| with(section, &format!("{key} = {value}"));
                let blames = |value: String| {
                    let error = said(value.clone()).err();
                    let named = format!("{section}.{key}");
                    assert!(
                        error.as_ref().is_some_and(|e| e.contains(&named)),
                        "{named} = {value}: {error:?}"
                    );
                };
                let whole = property["type"] == "integer";
                let write =
                    |value: f64| if whole { format!("{value}") } else { format!("{value:?}") };
                if let Some(most) = property["maximum"].as_f64() {
                    let least = property["minimum"].as_f64();
                    let step = if whole { 1.0 } else { 0.001 };
                    blames(write(most + step));
                    blames(write(least.unwrap_or(0.0) - step));
                    // Bounds between keys are others' business.
                    if !["blocks", "volatile_blocks"].contains(&key.as_str()) {
                        assert_eq!(said(write(most)), Ok(()), "{section}.{key}");
                        assert_eq!(said(write(least.unwrap_or(most))), Ok(()), "{section}.{key}");
                    }
                    bounds += 1;
                }
                let list = property["type"] == "array";
                let of = if list { &property["items"] } else { property };
                if let Some(known) = of["enum"].as_array() {
                    let wrap =
                        |text: &str| if list { format!("[{text}]") } else { text.to_owned() };
                    for word in known {
                        assert_eq!(said(wrap(&word.to_string())), Ok(()), "{section}.{key}");
                    }
                    let other = if of["type"] == "string" { "\"other\"" } else { "0.33" };
                    blames(wrap(other));
                    words += 1;
                }
            }
        }
        assert!(bounds >= 12 && words >= 4, "{bounds} bounds, {words} lists of words");
    }

    #[test]
    fn the_defaults_stand_beside_their_keys() {
        let schema = schema();
        assert_eq!(schema["$defs"]["evidence"]["properties"]["blocks"]["default"], 18);
        assert_eq!(schema["$defs"]["probe"]["properties"]["interval"]["default"], "10s");
        assert_eq!(schema["properties"]["stateless"]["default"], false);
    }
}
