//! Whole reports: golden files, the same bytes again, hostile text, and little or no data.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]

mod support;

use advisor::advice::{LabelSet, Reason};
use advisor::name::Label;
use advisor::program::{Value, WEIGHT_PARTS};
use advisor::shares::{Shares, parse};
use advisor::topology::Shares as Split;
use reports::document::{Document, TruthFacts};
use reports::period::{Period, time_zone};
use reports::{Asked, Report, Samples, collect};
use serde_json::json;
use support::{END_MS, HOSTILE, SLOS, Service, hours};

fn render(document: Document, period: &Period) -> Report {
    Report::render(document, period, false).unwrap()
}

#[tokio::test]
async fn golden_files() {
    let (document, period) = Service::new(SLOS).document("Europe/Berlin").await;
    let report = render(document, &period);
    insta::assert_snapshot!("markdown", report.markdown);
    insta::assert_snapshot!("json", report.json);
}

#[tokio::test]
async fn made_again_it_is_the_same() {
    let once = Service::new(SLOS).document("Asia/Tokyo").await;
    let again = Service::new(SLOS).document("Asia/Tokyo").await;
    let (once, again) = (
        Report::render(once.0, &once.1, true).unwrap(),
        Report::render(again.0, &again.1, true).unwrap(),
    );
    assert!(once.png.len() >= 6, "{} charts", once.png.len());
    for (one, other) in once.files().zip(again.files()) {
        assert_eq!(one.0, other.0);
        assert!(one.1 == other.1, "{} differs", one.0);
    }
}

/// The page and the files of charts, by their digests: another machine must find the same.
#[tokio::test]
async fn the_bytes_are_those_of_any_machine() {
    let (document, period) = Service::new(SLOS).document("Europe/Berlin").await;
    let report = Report::render(document, &period, true).unwrap();
    let mut lines = Vec::new();
    for (name, bytes) in report.files() {
        // FNV-1a: enough to see a change.
        let digest = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        lines.push(format!("{name} {} {digest:016x}", bytes.len()));
    }
    insta::assert_snapshot!("digests", lines.join("\n"));
}

#[tokio::test]
async fn the_answer_comes_first_with_figures_of_the_data() {
    let (document, period) = Service::new(SLOS).document("UTC").await;
    assert_eq!(document.answer.len(), 3);
    let change = document.changes.as_ref().unwrap();
    let slower: Vec<&str> = change.cells.iter().map(|cell| cell.endpoint.as_str()).collect();
    assert_eq!(slower, ["ap-southeast-1"; 5], "every vantage sees the slow backend: {change:?}");
    for cell in &change.cells {
        let difference = cell.difference;
        assert!(difference.low_ms <= 160.0 && 160.0 <= difference.high_ms, "{cell:?}");
    }
    let effect = &document.applies[0].moves[0];
    assert_eq!((effect.blocks_before, effect.blocks_after), (18, 18), "{effect:?}");
    assert!(effect.before_ms.unwrap() > effect.after_ms.unwrap() + 50.0, "{effect:?}");
    let statuses: Vec<&str> = document.objectives.iter().map(|one| one.status).collect();
    assert_eq!(statuses, ["met", "met", "breached", "breached"]);
    let report = render(document, &period);
    assert!(report.breached());
    assert!(report.html.find("class=\"answer\"") < report.html.find("<h2>"));
}

/// Most of the traffic comes from where the slow backend answers.
#[tokio::test]
async fn vantages_weigh_as_their_shares_of_the_traffic() {
    let mut service = Service::new(SLOS);
    let (equal, _) = service.document("UTC").await;
    let text = "vantage,weight\nap-south-1,6\nus-east-1,2\neu-west-1,1\nelsewhere,1\n";
    service.traffic =
        Shares::of(&parse(text, "traffic.csv").unwrap(), &service.config, "traffic.csv");
    let (weighed, period) = service.document("UTC").await;
    let gain = |document: &Document, vantage: &str| {
        let lines = document.routing.vantages.iter();
        lines.filter(|line| line.vantage == vantage).find_map(|line| line.proven_gain_ms).unwrap()
    };
    let slow_ms = gain(&equal, "ap-south-1");
    let mean = |document: &Document| document.routing.proven[0].mean_gain_ms;
    assert!((mean(&equal) - slow_ms / 4.0).abs() < 0.01, "{:?}", equal.routing.proven);
    // Of the 90 % that cloud vantages stand for, two thirds.
    assert!((mean(&weighed) - slow_ms * 6.0 / 9.0).abs() < 0.01, "{:?}", weighed.routing.proven);
    let (known, unknown) = (weighed.routing.proven[0].traffic, weighed.routing.traffic_unknown);
    assert!((known - 0.9).abs() < 1e-9 && (unknown - 0.1).abs() < 1e-9, "{known} {unknown}");
    assert_eq!(weighed.routing.proven[1].population, "eyeball", "populations stand apart");

    // us-east-1 within 120 ms: from there and from eu-west-1, which have 3 of 9.
    let within = |document: &Document| {
        let line = document.objectives.iter().find(|one| one.target == "us-east-1").unwrap();
        line.share_within.unwrap()
    };
    assert_eq!((within(&equal), within(&weighed)), (0.5, 0.333_333));
    let first = |document: &Document| document.deployment[0].choices[0].chosen.clone();
    assert_eq!(
        (first(&equal), first(&weighed)),
        (vec!["eu-west-1".into()], vec!["eu-west-1".into()])
    );
    let cost = |document: &Document| document.deployment[0].choices[0].cost_ms.unwrap();
    assert!(cost(&weighed) > cost(&equal) + 1.0, "the far ones weigh more");
    let routed = |document: &Document| document.changes.as_ref().unwrap().routed.unwrap().now_ms;
    assert!(routed(&weighed) > routed(&equal) + 10.0, "most are sent to the slow one");
    let markdown = render(weighed, &period).markdown;
    for words in
        ["which stand for 90.0 % of the traffic", "No vantage stands for 10.0 %", "traffic.csv"]
    {
        assert!(markdown.contains(words), "{words}: {markdown}");
    }
}

#[tokio::test]
async fn candidates_stand_in_the_frontier_and_are_said_to_be_estimates() {
    let config = support::config_with("candidates = [\"ap-south-1\"]\n", "");
    let service = Service::of(config);
    let (document, period) = service.document("UTC").await;
    let [measured, estimated, ..] = &document.deployment[..] else {
        panic!("{:?}", document.deployment)
    };
    assert!(measured.estimated.is_empty() && measured.choices.len() == 3);
    assert_eq!(
        (estimated.population, &estimated.estimated[..]),
        ("cloud", &["ap-south-1".to_owned()][..])
    );
    assert_eq!(estimated.choices.len(), 4);
    for (with, without) in estimated.choices.iter().zip(&measured.choices) {
        // The medians of series are mixed here, and there the mixture of each block.
        let (with_ms, without_ms) = (with.cost_ms.unwrap(), without.cost_ms.unwrap());
        assert!(with_ms < without_ms + 0.1, "one more to choose from: {with:?} {without:?}");
    }
    assert!(estimated.choices[2].chosen.contains(&"ap-south-1".to_owned()), "{estimated:?}");
    let models: Vec<&str> = estimated.models.iter().map(|model| model.connection).collect();
    assert_eq!(models, ["cold", "warm"]);
    assert!(estimated.models.iter().all(|model| model.error_p90.is_some()), "{estimated:?}");
    let report = render(document, &period);
    assert!(report.markdown.contains("ap-south-1 (estimate)"), "{}", report.markdown);
    assert!(report.markdown.contains("Nothing is deployed in ap-south-1"), "{}", report.markdown);
}

/// A label split in two that stays, one that is added for measured clients, and what was compared.
fn split_and_compared(decision: &mut support::Decision) {
    let label = |id: &str| Label::new(id);
    let weights = [("ap-southeast-1".to_owned(), 1), ("us-east-1".to_owned(), 3)];
    let split = Split::weighted(weights).unwrap();
    decision.split = [(label("ap-southeast-1"), split)].into();
    for line in &mut decision.advice.labels {
        line.advised.clone_from(&line.current);
        line.reason = Reason::Keep;
    }
    let mut added = decision.advice.labels[0].clone();
    added.label = label("eu-north-1");
    (added.current, added.advised) = (None, Some("eu-west-1".into()));
    (added.reason, added.catchment, added.considered) = (Reason::Add, vec![], vec![]);
    let installed = decision.advice.installed();
    decision.advice.labels.push(added);
    decision.advice.labels.sort_by(|a, b| a.label.cmp(&b.label));
    let set = |more: &[&str], asked, regret_ms: Option<u64>| LabelSet {
        labels: installed.iter().cloned().chain(more.iter().map(|id| label(id))).collect(),
        asked,
        value: regret_ms.map(|ms| Value {
            regret: ms * 1_000 * WEIGHT_PARTS,
            failover_regret: 0,
            installed: 0,
            names: vec![],
        }),
    };
    decision.advice.heard.sets = vec![
        set(&[], true, Some(12)),
        set(&["eu-north-1"], true, Some(3)),
        set(&["eu-north-1", "il-central-1"], true, None),
        set(&["eu-central-1"], false, Some(1)),
    ];
}

#[tokio::test]
async fn split_labels_and_compared_labels_are_told_whole() {
    let service = Service::new("");
    let mut decision = service.decision().await;
    split_and_compared(&mut decision);
    let (document, period) = service.collected("UTC", Ok(decision.facts()), &[], None).await;
    let split = document.advice.iter().find(|line| line.label == "ap-southeast-1").unwrap();
    assert_eq!(split.current, "ap-southeast-1 25.0 % + us-east-1 75.0 %");
    assert_eq!(split.advised, split.current, "it stays");
    assert!(document.answer[0].contains("to 3 endpoints"), "{:?}", document.answer);
    assert!(
        document.answer[1].starts_with("Label eu-north-1 should be added and point at eu-west-1,"),
        "{:?}",
        document.answer
    );
    let chosen: Vec<bool> = document.label_sets.iter().map(|set| set.chosen).collect();
    assert_eq!(chosen, [false, true, false, false]);
    let markdown = render(document, &period).markdown;
    let [since, until] =
        ["## Routing and regret", "## How many"].map(|head| markdown.find(head).unwrap());
    insta::assert_snapshot!("split_and_compared", markdown[since..until].trim_end());
}

/// Markup that was not ours, and characters that nobody sees.
fn assert_harmless(report: &Report) {
    for (name, text) in [("html", &report.html), ("markdown", &report.markdown)] {
        let unseen = |c: char| {
            c.is_control() && c != '\n'
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!text.contains(unseen), "{name} holds {:?}", text.chars().find(|c| unseen(*c)));
        // The page ends with the one script of its own.
        let own = usize::from(name == "html");
        assert_eq!(text.matches("<script").count(), own, "{name}");
    }
    assert!(report.html.contains("&lt;script&gt;"), "the text is shown as text");
    assert!(!report.html.contains("\"'`"), "quotes are escaped");
    // Nothing of a document's own can become an attribute that is obeyed.
    assert!(!report.html.contains("href=\"javascript"));
    let handler = |rest: &str| {
        let word = rest.trim_start_matches(char::is_alphabetic);
        word.len() < rest.len() && word.starts_with('=')
    };
    assert!(!report.html.split(" on").skip(1).any(handler), "an attribute that runs code");
    let parsed: serde_json::Value = serde_json::from_str(&report.json).unwrap();
    assert!(parsed.to_string().contains("<script>"), "JSON holds it as it was");
}

/// Reports in which every text from outside is hostile: with routing, and without.
async fn hostile() -> [Report; 2] {
    let mut service = Service::new(SLOS);
    let mut decision = service.decision().await;
    service.traffic.source = HOSTILE.into();
    for line in &mut decision.advice.labels {
        line.current = Some(HOSTILE.into());
        line.advised = Some(format!("{HOSTILE}2"));
        line.catchment = vec![HOSTILE.into()];
        for one in &mut line.considered {
            one.challenger = HOSTILE.into();
            one.at = Some(HOSTILE.into());
        }
    }
    service.config.name = HOSTILE.into();
    service.config.slos[0].target = HOSTILE.into();
    for label in decision.routing.live.values_mut() {
        *label = HOSTILE.into();
    }
    for vantage in service.config.vantages.iter_mut().take(1) {
        vantage.id = HOSTILE.into();
        let label = decision.routing.live.keys().next().unwrap().clone();
        decision.routing.preferred.insert(HOSTILE.into(), label);
    }
    service.config.endpoints[0].id = HOSTILE.into();
    let operations = service.operations(&json!({"unverified": HOSTILE}));
    let mut facts = decision.facts();
    facts.preferred = HOSTILE;
    let (with, period) = service.collected("UTC", Ok(facts), &operations, None).await;
    let (without, _) = service.collected("UTC", Err(HOSTILE), &operations, None).await;
    [render(with, &period), render(without, &period)]
}

#[tokio::test]
async fn nothing_from_outside_is_obeyed() {
    for report in hostile().await {
        assert_harmless(&report);
    }
}

/// Pages that `tests/report_in_browser.py` opens.
#[tokio::test]
async fn pages_for_a_browser() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("report-pages");
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, report: &Report| {
        std::fs::write(folder.join(format!("{name}.html")), &report.html).unwrap();
    };
    let (document, period) = Service::new(SLOS).document("Europe/Berlin").await;
    write("fortnight", &render(document, &period));
    write("hostile", &hostile().await[0]);
    let (document, period) = Service::new(SLOS).told_by_cloudwatch("UTC").await;
    write("fleet", &render(document, &period));
    let service = Service::new(SLOS);
    let mut decision = service.decision().await;
    split_and_compared(&mut decision);
    let (document, period) = service.collected("UTC", Ok(decision.facts()), &[], None).await;
    write("compared", &render(document, &period));
    let (document, period) = Service::empty().collected("UTC", Err("no zone"), &[], None).await;
    write("empty", &render(document, &period));
}

#[tokio::test]
async fn what_cloudwatch_does_not_know_is_not_zero() {
    let (document, period) = Service::new(SLOS).told_by_cloudwatch("UTC").await;
    let report = render(document, &period);
    let line = report
        .markdown
        .lines()
        .find(|line| line.starts_with("| eu-west-1 | cloud | 2026-"))
        .unwrap();
    assert!(line.ends_with("| not known | not known |"), "{line}");
    let json: serde_json::Value = serde_json::from_str(&report.json).unwrap();
    let line = &json["coverage"][0];
    assert!(line["missed"].is_null() && line["late"].is_null(), "{line}");
    assert_eq!(line["incomplete"], 30);
    assert_eq!(json["store"], "cloudwatch");
    let connect = |line: &serde_json::Value| {
        line["phases"].as_array().unwrap().iter().all(|phase| phase["phase"] == "connect")
    };
    assert!(json["targets"].as_array().unwrap().iter().all(connect), "only what is published");
    for words in [
        "slots missed and late starts are not known from CloudWatch",
        "150 samples were taken in windows with missed slots",
        "Not in this report: page.",
        "of the samples that CloudWatch counts between fixed edges, at most 3.7 % off",
    ] {
        assert!(report.markdown.contains(words), "{words}: {}", report.markdown);
    }
}

#[tokio::test]
async fn no_data_is_said_plainly() {
    let service = Service::empty();
    let (document, period) = service.collected("UTC", Err("no zone"), &[], None).await;
    assert_eq!(document.notices[0], "Nothing was measured in this period.");
    let report = render(document, &period);
    insta::assert_snapshot!("empty", report.markdown);
    assert!(!report.html.contains("NaN") && !report.markdown.contains("NaN"));
}

#[tokio::test]
async fn thin_data_are_said_plainly() {
    let service = Service::new("");
    let period = Period::last(hours(9), END_MS, time_zone("UTC").unwrap()).unwrap();
    let before = period.previous().unwrap();
    let decision = service.decision().await;
    let asked = Asked {
        config: &service.config,
        period: &period,
        compared: Some(&before),
        decided: Ok(decision.facts()),
        traffic: &service.traffic,
        operations: &[],
        truth: None,
    };
    let source = advisor::source::StoreSource::new(service.store_path());
    let document = collect(Samples::Store(&service.store()), &source, &asked).await.unwrap();
    assert!(
        document
            .notices
            .iter()
            .any(|notice| notice.starts_with("The data are thin: no cell has more than 2 blocks")),
        "{:?}",
        document.notices
    );
    assert_eq!(document.changes.as_ref().unwrap().compared, 0);
    assert!(document.answer[2].starts_with("What changed since the period before cannot be told"));
}

#[tokio::test]
async fn cells_and_moments_tell_their_figures_under_the_pointer() {
    let (document, period) = Service::new(SLOS).document("UTC").await;
    let html = render(document, &period).html;
    let (heat, time) = ("<title>us-east-1 to eu-west-1: ", "<title>20");
    for hint in [heat, time, "<title>ap-south-1: sent to "] {
        assert!(html.contains(hint), "{hint}");
    }
    let cell = html.split(heat).nth(1).unwrap().split("</title>").next().unwrap();
    assert!(
        cell.contains(" ms (") && cell.contains(" blocks, ") && cell.ends_with(" failed"),
        "{cell}"
    );
}

#[tokio::test]
async fn a_loss_is_called_one() {
    let (document, _) = Service::new(SLOS).document("UTC").await;
    let whys = || document.advice.iter().map(|line| line.why.as_str());
    assert!(whys().any(|why| why.contains("the witness loses ")), "{:?}", document.advice);
    assert!(!whys().any(|why| why.contains("gains -")), "{:?}", document.advice);
}

#[tokio::test]
async fn a_zone_that_was_changed_after_it_was_read_is_said() {
    let service = Service::new("");
    let decision = service.decision().await;
    let operations = service.operations(&json!("applied"));
    let read_at = |at_ms: i64| Ok(reports::Decided { at_ms, ..decision.facts() });
    let first_ms = operations[0].began_at_ms;
    let (before, _) = service.collected("UTC", read_at(first_ms), &operations, None).await;
    let said = |document: &Document| {
        document.notices.iter().any(|notice| notice.contains("those before operation 1"))
    };
    assert!(said(&before), "{:?}", before.notices);
    let last_ms = operations.last().unwrap().last_at_ms;
    let (after, _) = service.collected("UTC", read_at(last_ms + 1), &operations, None).await;
    assert!(!said(&after), "{:?}", after.notices);
}

#[tokio::test]
async fn a_lab_tells_the_truth() {
    let service = Service::new("");
    let decision = service.decision().await;
    let truth = TruthFacts {
        clients: 400,
        regret_before_ms: 30.94,
        regret_after_ms: 0.31,
        harmed_share: 0.0004,
    };
    let (document, period) = service.collected("UTC", Ok(decision.facts()), &[], Some(truth)).await;
    assert_eq!(
        document.answer[2],
        "Over 400 clients that nothing measured from, the mean regret went from 30.9 ms to 0.3 ms, and \
         0.04 % of the traffic got worse by more than 5 ms."
    );
    assert!(render(document, &period).html.contains("mean regret of clients"));
}

#[tokio::test]
async fn the_page_loads_nothing_and_runs_only_what_its_policy_names() {
    let (document, period) = Service::new(SLOS).document("UTC").await;
    let html = render(document, &period).html;
    assert_eq!(html.matches("<script").count(), 1);
    assert!(html.contains("<script>\"use strict\";") && html.contains("script-src 'sha256-"));
    for word in ["<iframe", "<img", "@import", "url(", "src=", "http-equiv=\"refresh"] {
        assert!(!html.contains(word), "{word}");
    }
    let links = html.match_indices("href=\"").map(|(at, _)| &html[at + 6..at + 12]);
    for link in links {
        assert!(link.starts_with('#') || link.starts_with("data:,"), "{link}");
    }
    assert!(html.matches("<svg ").count() >= 12, "each chart, wide and narrow");
    assert!(html.contains("default-src 'none'"));
}

#[tokio::test]
async fn what_mostly_failed_is_said() {
    let service = Service::new("");
    let (document, _) = service.collected("UTC", Err("no zone"), &[], None).await;
    let said = |document: &Document| {
        document.notices.iter().any(|notice| notice.contains("% of all samples failed"))
    };
    assert!(!said(&document), "0.2 % is none of the news: {:?}", document.notices);
    let failing = Service::failing();
    let (document, _) = failing.collected("UTC", Err("no zone"), &[], None).await;
    assert!(said(&document), "{:?}", document.notices);
}
