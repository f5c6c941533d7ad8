//! Documents that repeat what the code says must say the same.

#[test]
fn the_documented_defaults_are_the_built_in_ones() {
    let document = include_str!("../docs/configuration.md");
    assert!(
        document.contains(probe::config::DEFAULTS),
        "docs/configuration.md does not hold probe/src/config/defaults.toml as it is"
    );
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
