//! A dashboard whose clock breaks: what a test of the terminal after a panic runs.

#![allow(clippy::panic, reason = "it is what this is for")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use probe::clock::{Clock, SystemClock};
use tui::{Depth, Inbox, Model, Palette, ReaderOptions, Session, Subject, show};

/// Breaks when the first screen has been drawn.
#[derive(Default)]
struct Breaking(AtomicU32);

impl Clock for Breaking {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall_ns(&self) -> i64 {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) < 1, "the clock broke");
        SystemClock.wall_ns()
    }
}

fn main() -> io::Result<()> {
    let subject = Subject {
        service: "api.example.com".into(),
        endpoints: Vec::new(),
        store: "none".into(),
        measures: false,
        price: None,
    };
    let reader = ReaderOptions {
        store: tui::Place::File("/nonexistent/nearside.sqlite".into()),
        clock: Arc::new(SystemClock),
        vantages: Vec::new(),
        targets: Vec::new(),
        journeys: [].into(),
        window: (Duration::from_mins(1), Duration::from_secs(10)),
        events: None,
    };
    show(Session {
        model: Model::new(subject, Palette::new(Depth::None), (80, 24), 0),
        reader,
        inbox: Arc::new(Inbox::default()),
        clock: Arc::new(Breaking::default()),
        survey: Box::new(|| {}),
    })
}
