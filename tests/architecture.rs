//! The house rules that can be checked: which crate may lean on which, and how files look.
//!
//! It reads what `cargo tree` and git print and the files themselves; exit codes prove nothing
//! there. It judges no behaviour.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails as the test does"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every crate of the workspace, and those of ours that it may depend on.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("lab", &[]),
    ("probe", &[]),
    ("advisor", &["probe"]),
    ("reports", &["probe", "advisor"]),
    ("tui", &["probe", "advisor"]),
    ("aws", &["probe", "advisor", "reports"]),
    ("nearside", &["probe", "advisor", "reports", "tui", "aws", "lab"]),
];

/// What may stand at the top of the repository, beside dotfiles.
const TOP_LEVEL: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "NOTICE",
    "README.md",
    "advisor",
    "aws",
    "deploy",
    "docs",
    "lab",
    "probe",
    "reports",
    "src",
    "tests",
    "tui",
];

/// Lines of a file without its tests.
const LINES_MAX: usize = 600;
/// Lines of a file that is a test.
const TEST_LINES_MAX: usize = 800;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn stdout_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// What cargo says of the workspace's own crates.
fn packages() -> Vec<serde_json::Value> {
    let metadata = stdout_of(
        env!("CARGO"),
        &["metadata", "--offline", "--locked", "--no-deps", "--format-version", "1"],
    );
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// The names of the workspace's own crates.
fn members() -> BTreeSet<String> {
    packages().iter().map(|package| package["name"].as_str().unwrap().to_owned()).collect()
}

/// `name vVERSION` of everything that a crate of ours is built from, itself among them.
fn tree(package: &str, edges: &str) -> BTreeSet<String> {
    // Another crate of the same name may hide deep in the tree, so the version is said too.
    let package = format!("{package}@{}", env!("CARGO_PKG_VERSION"));
    let arguments = ["tree", "-q", "--offline", "--locked", "-p", &package, "-e", edges];
    let text = stdout_of(env!("CARGO"), &[&arguments[..], &["--prefix", "none"]].concat());
    let two_words = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    text.lines().filter(|line| !line.is_empty()).map(two_words).collect()
}

fn starting<'a>(tree: &'a BTreeSet<String>, start: &str) -> Vec<&'a str> {
    tree.iter().map(String::as_str).filter(|name| name.starts_with(start)).collect()
}

#[test]
fn crates_depend_one_way() {
    let members = members();
    for member in &members {
        let (_, allowed) =
            DIRECTIONS.iter().find(|(name, _)| name == member).unwrap_or_else(|| {
                panic!("{member} is a new crate: say here what it may depend on");
            });
        let tree = tree(member, "normal");
        assert!(!starting(&tree, &format!("{member} v")).is_empty(), "{member}: {tree:?}");
        for other in members.iter().filter(|other| *other != member) {
            // A path crate is told with its version, which is the workspace's.
            let ours = format!("{other} v{}", env!("CARGO_PKG_VERSION"));
            let found = tree.contains(&ours);
            assert!(!found || allowed.contains(&other.as_str()), "{member} depends on {other}");
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    for (from, to) in [("advisor", "probe"), ("aws", "advisor"), ("nearside", "lab")] {
        assert!(tree(from, "normal").contains(&format!("{to} v{version}")), "{from} and {to}");
    }
}

#[test]
fn no_two_examples_have_one_name() {
    // They would be built into one file, and a script would run the wrong one.
    let mut names = BTreeSet::new();
    let packages = packages();
    let targets = packages.iter().flat_map(|package| package["targets"].as_array().unwrap());
    for target in targets.filter(|target| target["kind"][0] == "example") {
        let name = target["name"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "two examples are called {name}");
    }
    assert!(names.contains("bench"), "{names:?}");
}

#[test]
fn only_aws_links_an_aws_sdk() {
    for member in members().iter().filter(|name| !["aws", "nearside"].contains(&name.as_str())) {
        let tree = tree(member, "normal");
        assert_eq!(starting(&tree, "aws-"), Vec::<&str>::new(), "{member}");
    }
    let aws = tree("aws", "normal");
    assert_eq!(starting(&aws, "aws-sdk-route53 v").len(), 1, "{aws:?}");
    // People log in by SSO and by credential processes.
    assert_eq!(starting(&aws, "aws-sdk-sso v").len(), 1, "{aws:?}");
}

/// Webhooks are ordinary HTTP, and a library's; the measured path is our own.
#[test]
fn only_reports_and_what_links_them_speak_http_through_reqwest() {
    let links = ["reports", "aws", "nearside"];
    for member in members() {
        let found = starting(&tree(&member, "normal"), "reqwest v").len();
        assert_eq!(found, usize::from(links.contains(&member.as_str())), "{member}");
    }
}

#[test]
fn one_tls_provider_and_no_second_http_stack() {
    let whole = tree("nearside", "normal,build,dev");
    for banned in [
        "aws-lc",
        "openssl v",
        "openssl-sys",
        "native-tls",
        "hyper v0.14",
        "rustls v0.21",
        "h2 v0.3",
        "boring",
        "mbedtls",
    ] {
        assert_eq!(starting(&whole, banned), Vec::<&str>::new());
    }
    for present in ["ring v0.17", "hyper v1", "rustls v0.23", "tokio-rustls v0.26"] {
        assert_eq!(starting(&whole, present).len(), 1, "{present}: {whole:?}");
    }
}

/// Files that git knows or would add, as paths from the root.
fn files() -> Vec<String> {
    let listed =
        stdout_of("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let exists = |path: &&str| root().join(path).exists();
    let files: Vec<String> =
        listed.split('\0').filter(|p| !p.is_empty()).filter(exists).map(str::to_owned).collect();
    assert!(files.iter().any(|path| path == "src/main.rs"), "git lists no files: {files:?}");
    files
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn ending(path: &str, one_of: &[&str]) -> bool {
    Path::new(path).extension().is_some_and(|found| one_of.iter().any(|e| found == *e))
}

fn rust_files() -> Vec<(String, String)> {
    let rust = files().into_iter().filter(|path| ending(path, &["rs"]));
    rust.map(|path| (path.clone(), read(&path))).collect()
}

/// Whether the whole file is a test.
fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/")
}

#[test]
fn each_file_says_what_it_is_for_and_is_not_too_long() {
    for (path, text) in rust_files() {
        assert!(text.starts_with("//! "), "{path} does not open with //!");
        let own = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        let most = if is_test(&path) { TEST_LINES_MAX } else { LINES_MAX };
        assert!(own <= most, "{path} has {own} lines, over {most}: it is two files");
    }
}

/// The attributes of a file that begin with one of `starts`, each up to its closing bracket.
fn attributes(text: &str, starts: &[&str]) -> Vec<String> {
    let at_line_start = |at: usize| text[..at].rsplit('\n').next().unwrap().trim().is_empty();
    let mut found = Vec::new();
    for start in starts {
        for (at, _) in text.match_indices(start).filter(|(at, _)| at_line_start(*at)) {
            let mut depth = 0_i32;
            let end = text[at..].find(|c| {
                depth += i32::from(c == '[') - i32::from(c == ']');
                c == ']' && depth == 0
            });
            found.push(text[at..=at + end.unwrap()].to_owned());
        }
    }
    found
}

#[test]
fn a_lint_is_lifted_with_a_reason() {
    let mut seen = 0;
    for (path, text) in rust_files() {
        for lifted in attributes(&text, &["#[allow(", "#![allow(", "#[expect(", "#![expect("]) {
            assert!(lifted.contains("reason = \""), "{path}: {lifted}");
            seen += 1;
        }
    }
    assert!(seen > 0, "this very file lifts lints");
    let manifests = files().into_iter().filter(|path| path.ends_with("Cargo.toml"));
    for path in manifests {
        let manifest: toml::Table = read(&path).parse().unwrap();
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{path}");
    }
}

#[test]
fn nothing_is_unfinished_and_no_test_is_skipped() {
    // Put together here, so that this file does not hold them.
    let words = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("#[ign", "ore"),
        concat!("ignore", " = \""),
    ];
    for (path, text) in rust_files() {
        for word in words {
            assert!(!text.contains(word), "{path} has {word}");
        }
    }
    let words = [concat!("mark.", "skip"), concat!("pytest.", "skip"), concat!("x", "fail")];
    for path in files().into_iter().filter(|path| ending(path, &["py"])) {
        for word in words {
            assert!(!read(&path).contains(word), "{path} has {word}");
        }
    }
}

#[test]
fn clippy_has_one_configuration() {
    let named: Vec<String> =
        files().into_iter().filter(|path| path.ends_with("clippy.toml")).collect();
    assert_eq!(named, [".clippy.toml"], "a second one switches the root's bans off in its crate");
}

#[test]
fn the_top_level_is_the_house_itself() {
    let top: BTreeSet<String> =
        files().iter().map(|path| path.split('/').next().unwrap().to_owned()).collect();
    let foreign: Vec<&String> = top
        .iter()
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    assert_eq!(foreign, Vec::<&String>::new());
    for name in TOP_LEVEL.iter().filter(|name| name.chars().next().unwrap().is_uppercase()) {
        assert!(top.contains(*name), "{name} is missing");
    }
}

#[test]
fn what_is_shipped_speaks_of_the_product_alone() {
    let banned = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("issue", " #"),
        concat!("AWS-", "FACTS"),
        concat!("DESIGN", ".md"),
        concat!("CONTRACT", ".md"),
        concat!("STYLE", ".md"),
        concat!("../", "shared"),
        concat!("/wo", "rk/"),
        concat!("pull", " request #"),
    ];
    let kinds = ["rs", "md", "toml", "py", "snap", "txt", "yml", "yaml", "json", "sh", "tf"];
    for path in files() {
        let name = Path::new(&path).file_name().unwrap().to_string_lossy().into_owned();
        assert!(!name.ends_with(".pending-snap") && !name.ends_with(".snap.new"), "{path}");
        if !ending(&path, &kinds) && path != "NOTICE" && path != "tests/run" {
            continue;
        }
        let text = read(&path);
        for word in banned {
            assert!(!text.contains(word), "{path} says {word}");
        }
    }
}

#[test]
fn no_link_in_the_documents_leads_nowhere() {
    let documents = files().into_iter().filter(|path| ending(path, &["md"]));
    for path in documents {
        let text = read(&path);
        let folder: PathBuf = root().join(Path::new(&path).parent().unwrap());
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") || target.contains(' ') {
                continue;
            }
            assert!(folder.join(target).exists(), "{path} links to {link}, which is not there");
        }
    }
}
