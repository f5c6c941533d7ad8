//! `advisor traffic`: who the clients are, what they weigh, and which vantages stand for them.
//!
//! It opens files; `advisor::traffic` counts.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use advisor::traffic::{LogKind, Tally, Vantage, assign, cities, count_log};
use flate2::bufread::MultiGzDecoder;

use crate::cli::TrafficArgs;
use crate::failure::{Exit, Failure};
use crate::show::traffic::{Source, TrafficView};
use crate::terminal::Terminal;

/// Bytes that are read at once.
const BUFFER: usize = 256 * 1024;
/// How a gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Counts and prints; writes weights where asked to.
pub fn run(terminal: Terminal, args: &TrafficArgs) -> Result<(), Failure> {
    let vantages = vantages(&args.vantage)?;
    let (source, files) = source(args);
    let mut tally = Tally::default();
    if let Source::Log(kind) = source {
        for file in files {
            count(kind, file, &mut tally)?;
        }
    }
    let view = view(source, tally, &vantages, f64::from(args.within));
    if let Some(out) = &args.out {
        write_weights(out, &view.weights(args.by)?)?;
    }
    terminal.result(&view.text(), &view.json())
}

fn source(args: &TrafficArgs) -> (Source, &[PathBuf]) {
    if !args.cloudfront.is_empty() {
        (Source::Log(LogKind::CloudFront), &args.cloudfront)
    } else if !args.apigateway.is_empty() {
        (Source::Log(LogKind::ApiGateway), &args.apigateway)
    } else if !args.query_log.is_empty() {
        (Source::Log(LogKind::QueryLog), &args.query_log)
    } else {
        (Source::Population, &[])
    }
}

fn view(source: Source, tally: Tally, vantages: &[Vantage], within_km: f64) -> TrafficView {
    let mut unplaced = 0.0;
    let places = match source {
        Source::Population => assign(
            cities()
                .map(|city| (format!("{} {}", city.name, city.country), city.millionths, city.at)),
            vantages,
        ),
        Source::Log(_) => {
            let mut known = Vec::new();
            let placed: u64 = tally.places.values().sum();
            unplaced += (tally.counted - placed) as f64;
            for (code, count) in tally.codes() {
                match probe::place::point_of_pop(&code) {
                    Some(at) => known.push((code, count as f64, at)),
                    None => unplaced += count as f64,
                }
            }
            assign(known, vantages)
        }
    };
    TrafficView { source, tally, places, unplaced, within_km }
}

fn vantages(names: &[String]) -> Result<Vec<Vantage>, Failure> {
    let vantage = |place: probe::place::RegionPlace| Vantage {
        id: place.region.to_owned(),
        at: (place.latitude, place.longitude),
    };
    if names.is_empty() {
        return Ok(probe::place::commercial_regions().map(vantage).collect());
    }
    let found = names.iter().map(|name| {
        probe::place::region(name).map(vantage).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("--vantage {name}: no such Region is known"))
                .hint("name AWS Regions, like eu-west-1")
        })
    });
    found.collect()
}

fn count(kind: LogKind, path: &Path, tally: &mut Tally) -> Result<(), Failure> {
    let cannot = |cause: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot read {}: {cause}", path.display()))
            .hint("name log files, plain or gzip, that are whole")
    };
    let name = path.display().to_string();
    let mut log = open(path).map_err(cannot)?;
    count_log(kind, &name, &mut log, tally).map_err(cannot)
}

fn open(path: &Path) -> std::io::Result<Box<dyn BufRead>> {
    let mut file = File::open(path)?;
    let mut start = [0; 2];
    let read = file.read(&mut start)?;
    file.rewind()?;
    let plain = BufReader::with_capacity(BUFFER, file);
    if start[..read] != GZIP {
        return Ok(Box::new(plain));
    }
    Ok(Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(plain))))
}

fn write_weights(path: &Path, weights: &[(String, f64)]) -> Result<(), Failure> {
    let cannot = |cause: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot write {}: {cause}", path.display()))
    };
    let mut file = std::io::BufWriter::new(File::create(path).map_err(cannot)?);
    writeln!(file, "client,weight").map_err(cannot)?;
    for (client, weight) in weights {
        writeln!(file, "{client},{weight}").map_err(cannot)?;
    }
    file.flush().map_err(cannot)
}
