//! What publishing costs: minutes of a thousand series through the spool to a CloudWatch at a given
//! address. Prints requests and processor time for each minute; judges nothing.
//!
//!     publish URL [SERIES] [SAMPLES_A_WINDOW] [MINUTES]

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench may end with a panic"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws::{Access, CloudWatchCourier};
use probe::clock::{Clock as _, SystemClock};
use probe::publish::{Batch, Datum, Shape};
use probe::sample::{Connection, Series};
use probe::spool::{Courier, Delivery, Disk, Rules, Spool};
use probe::window::{Sink as _, Window};

/// Counts the requests of the real courier.
struct Counted {
    courier: CloudWatchCourier,
    requests: Arc<AtomicU64>,
}

impl Courier for Counted {
    fn deliver(&mut self, batch: &Batch) -> Delivery {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.courier.deliver(batch)
    }

    fn held(&mut self, datum: &Datum) -> Option<u64> {
        self.courier.held(datum)
    }
}

fn windows(series: u64, samples: u64, minute_ms: i64) -> Vec<Window> {
    let one = |at: u64| {
        let series = Series {
            vantage: format!("v{}", at / 70),
            target: format!("e{}", at % 70 / 2),
            connection: if at.is_multiple_of(2) { Connection::Cold } else { Connection::Warm },
            path: String::new(),
        };
        let mut window = Window::new(series, minute_ms, 60_000);
        window.attempts = samples;
        for n in 0..samples {
            // Spread over a factor of four, so that hardly two samples share a value.
            window.response.record(20_000 + (at * 7_919 + n * 104_729) % 60_000);
        }
        window
    };
    (0..series).map(one).collect()
}

/// User and system time of this process, in ms.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    // In hundredths of a second, as Linux tells it everywhere.
    10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, default: u64| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    let url = arguments.first().expect("usage: publish URL [SERIES] [SAMPLES] [MINUTES]");
    let (series, samples, minutes) = (number(1, 1_000), number(2, 6), number(3, 20));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let access = Access {
        cloudwatch_url: Some(url.clone()),
        credentials: Some(("lab".to_owned(), "lab".to_owned())),
        ..Access::default()
    };
    let courier = runtime.block_on(CloudWatchCourier::open(&access, "eu-west-1", "Bench"));
    let requests = Arc::new(AtomicU64::new(0));
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), 1 << 28, SystemClock.wall_ms()).unwrap();
    let settle = Duration::from_mins(5);
    let rules = Rules { shape: Shape::default(), metrics_max: 1_000_000, settle };
    let counted = Counted { courier, requests: Arc::clone(&requests) };
    let mut spool = Spool::new(disk, counted, Arc::new(SystemClock), rules);
    let counts = spool.counts();
    let now_ms = SystemClock.wall_ms();
    let start_ms = now_ms - now_ms.rem_euclid(60_000) - 60_000 * i64::try_from(minutes).unwrap();
    let mut spent_ms = 0;
    for minute in 0..minutes {
        let made = windows(series, samples, start_ms + 60_000 * i64::try_from(minute).unwrap());
        let before_ms = cpu_ms();
        spool.write(made).unwrap();
        spent_ms += cpu_ms() - before_ms;
    }
    let told = *counts.lock().unwrap();
    let per_minute = |n: u64| n as f64 / minutes as f64;
    println!(
        "{series} series of {samples} samples: {:.1} requests and {:.0} ms of processor a minute \
         ({:.2} % of one core); {told:?}",
        per_minute(requests.load(Ordering::Relaxed)),
        per_minute(spent_ms),
        per_minute(spent_ms) / 600.0,
    );
}
