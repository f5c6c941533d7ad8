//! Documents that repeat what the code says must say the same.

/// What to do where a document is behind the types.
const RENEW: &str = "it is behind the types: run docs/generate.sh";

#[test]
fn the_page_of_the_configuration_is_what_the_types_say() {
    let document = include_str!("../docs/configuration.md");
    assert!(document == probe::config::reference(), "docs/configuration.md: {RENEW}");
    assert!(document.contains(probe::config::DEFAULTS));
}

#[test]
fn the_schema_is_what_the_types_say() {
    let document = include_str!("../docs/nearside.schema.json");
    assert!(document == probe::config::schema_text(), "docs/nearside.schema.json: {RENEW}");
}

#[test]
fn the_documented_example_is_a_configuration() {
    let document = include_str!("../docs/configuration.md");
    let example = document.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let built = probe::config::build(
        probe::config::DEFAULTS,
        example.expect("the example is the first block"),
        &std::collections::BTreeMap::new(),
        &probe::config::Flags::default(),
    );
    assert!(built.is_ok(), "{}", built.unwrap_err());
}
