//! How much of an endpoint's time is far storage, and which replica would help most.
//!
//! Arithmetic on what functions told in `server-timing` and on measured round trips. What is far is
//! what an endpoint's storage takes longer, block by block, than that of the endpoint nearest to the
//! data; it is only called distance where the round trips between the Regions bear it out.

use std::collections::{BTreeMap, BTreeSet};

use crate::statistics::{median, median_interval};

/// Fewer round trips than this between the Regions do not explain a difference: it is not distance.
const TRIPS_MIN: f64 = 0.5;

/// Storage behind functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Storage {
    /// `DynamoDB`
    DynamoDb,
    /// S3
    S3,
    /// Cognito
    Cognito,
}

impl Storage {
    /// The storage that a metric of `server-timing` is about, by its name up to a dot, a hyphen or
    /// an underscore.
    #[must_use]
    pub fn of_metric(name: &str) -> Option<Self> {
        let first = name.split(['.', '-', '_']).next()?;
        match first.to_ascii_lowercase().as_str() {
            "dynamodb" | "ddb" => Some(Self::DynamoDb),
            "s3" => Some(Self::S3),
            "cognito" => Some(Self::Cognito),
            _ => None,
        }
    }

    /// The name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DynamoDb => "dynamodb",
            Self::S3 => "s3",
            Self::Cognito => "cognito",
        }
    }

    /// What a replica is, and what it cannot do (AWS's guides of 2026; see docs/methodology.md).
    #[must_use]
    pub fn replica_limits(self) -> &'static [&'static str] {
        match self {
            Self::DynamoDb => &[
                "a global table: UpdateTable with ReplicaUpdates, which every write pays for again",
                "by default a replica is behind for about a second, and of two writes to one item \
                 at once the later wins; reads that must see the last write stay far",
                "strong consistency between Regions (MultiRegionConsistency STRONG) needs three \
                 Regions from the start, and makes writes wait for another Region",
                "a transaction holds in the Region it is made in only",
            ],
            Self::S3 => &[
                "replication needs versioning, and copies new objects only; older ones go by S3 \
                 Batch Replication",
                "it is asynchronous: most objects within 15 minutes, with Replication Time Control \
                 99.9 % of them",
                "the function must ask the bucket in its own Region, or a Multi-Region Access Point",
            ],
            Self::Cognito => &[
                "CreateUserPoolReplica: sign-in and tokens in a second Region; sign-up, passwords \
                 and administration stay with the primary",
                "needs the Essentials or Plus plan, a multi-Region KMS key and an eligible pool",
                "checking a token needs no call: the pool's keys can be kept by the function",
            ],
        }
    }
}

/// What one endpoint's functions told of one storage, in one block.
#[derive(Debug, Clone, PartialEq)]
pub struct StorageTold {
    /// The endpoint's id.
    pub endpoint: String,
    /// The Region that it stands in.
    pub region: String,
    /// The metric of `server-timing`. Outside text: escape it.
    pub metric: String,
    /// Which storage it is about.
    pub storage: Storage,
    /// The start of the block, in ms since 1970.
    pub block_ms: i64,
    /// The median over its answers, in ms.
    pub took_ms: f64,
}

/// A vantage as it weighs, and what it pays at each endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// Its weight.
    pub weight: f64,
    /// `cost_ms` by endpoint; those that are not known are not there.
    pub costs: BTreeMap<String, f64>,
}

/// What is known beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Surroundings<'a> {
    /// Median processing phase of each endpoint, in ms.
    pub processing_ms: &'a BTreeMap<String, f64>,
    /// Round trips in ms from a vantage, named after its Region, to the data tier in a Region.
    pub to_data_ms: &'a BTreeMap<(String, String), f64>,
    /// Who calls the endpoints, and what each costs them today.
    pub callers: &'a [Caller],
    /// Blocks that a verdict needs.
    pub blocks_min: usize,
    /// The level of intervals is `1 - alpha`.
    pub alpha: f64,
}

/// A median over blocks and its interval by order statistics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effective {
    /// The median, in ms.
    pub ms: f64,
    /// Its interval.
    pub interval_ms: (f64, f64),
    /// How many blocks.
    pub blocks: usize,
}

/// The storage of one endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct FarStorage {
    /// The endpoint's id.
    pub endpoint: String,
    /// Its Region.
    pub region: String,
    /// What its functions told, the median over blocks, in ms.
    pub told_ms: f64,
    /// That as a share of the median processing phase, where this is known.
    pub of_processing: Option<f64>,
    /// What of it is longer than at the endpoint nearest to the data; `None` with too few blocks.
    pub far: Option<Effective>,
    /// How many round trips to the data's Region that is, where a vantage in the endpoint's Region
    /// measured them.
    pub trips: Option<f64>,
}

/// What to do about one storage.
#[derive(Debug, Clone, PartialEq)]
pub enum TierVerdict {
    /// Too few blocks in which all endpoints told.
    InsufficientData {
        /// How many there are.
        blocks: usize,
    },
    /// One endpoint alone: its storage's own work cannot be told from the way there.
    OneEndpoint,
    /// No replica gains anything that its interval tells from zero.
    Near,
    /// What differs is less than the round trips between the Regions: a replica would not help.
    NotDistance,
    /// This replica helps most.
    Replica(Replica),
}

impl TierVerdict {
    /// The word for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InsufficientData { .. } => "insufficient-data",
            Self::OneEndpoint => "one-endpoint",
            Self::Near => "near",
            Self::NotDistance => "not-distance",
            Self::Replica(_) => "replica",
        }
    }
}

/// A replica of the data in one more Region.
#[derive(Debug, Clone, PartialEq)]
pub struct Replica {
    /// Where.
    pub region: String,
    /// What the weighted mean cost gains, when everybody goes where it is cheapest, then as now.
    pub gain: Effective,
    /// The share of weight that gains.
    pub share: f64,
    /// Whether round trips bear out that the difference is distance; otherwise none were measured.
    pub is_borne_out: bool,
    /// The other Regions and what they would gain, in ms, best first.
    pub refused: Vec<(String, f64)>,
}

/// One metric of one storage, behind all endpoints.
#[derive(Debug, Clone, PartialEq)]
pub struct DataTier {
    /// The metric of `server-timing`. Outside text: escape it.
    pub metric: String,
    /// Which storage it is about.
    pub storage: Storage,
    /// The Region of the endpoint that is nearest to the data.
    pub home: String,
    /// Each endpoint that told of it, the nearest first.
    pub endpoints: Vec<FarStorage>,
    /// What to do.
    pub verdict: TierVerdict,
}

/// Looks at each metric of storage that functions told. Metrics are not added: each is a median.
#[must_use]
pub fn data_tiers(told: &[StorageTold], around: &Surroundings<'_>) -> Vec<DataTier> {
    let metrics: BTreeSet<&str> = told.iter().map(|one| one.metric.as_str()).collect();
    metrics.into_iter().filter_map(|metric| data_tier(metric, told, around)).collect()
}

/// One endpoint's told times by block.
struct Series<'a> {
    endpoint: &'a str,
    region: &'a str,
    blocks: BTreeMap<i64, f64>,
    told_ms: f64,
}

fn data_tier(metric: &str, told: &[StorageTold], around: &Surroundings<'_>) -> Option<DataTier> {
    let storage = told.iter().find(|one| one.metric == metric)?.storage;
    let series = series(metric, told);
    let home = series.first()?;
    let endpoints: Vec<FarStorage> = series.iter().map(|one| far(one, home, around)).collect();
    let verdict = verdict(&series, &endpoints, around);
    let (metric, home) = (metric.to_owned(), home.region.to_owned());
    Some(DataTier { metric, storage, home, endpoints, verdict })
}

/// All endpoints that told a metric, the one with the least time first, ties by name.
fn series<'a>(metric: &str, told: &'a [StorageTold]) -> Vec<Series<'a>> {
    let mut by_endpoint: BTreeMap<&str, Series<'_>> = BTreeMap::new();
    for one in told.iter().filter(|one| one.metric == metric) {
        let (endpoint, region) = (&one.endpoint[..], &one.region[..]);
        let empty = || Series { endpoint, region, blocks: BTreeMap::new(), told_ms: 0.0 };
        by_endpoint.entry(endpoint).or_insert_with(empty).blocks.insert(one.block_ms, one.took_ms);
    }
    let mut all: Vec<Series<'_>> = by_endpoint.into_values().collect();
    for one in &mut all {
        let values: Vec<f64> = one.blocks.values().copied().collect();
        one.told_ms = median(&values).unwrap_or(0.0);
    }
    all.sort_by(|a, b| a.told_ms.total_cmp(&b.told_ms));
    all
}

fn far(one: &Series<'_>, home: &Series<'_>, around: &Surroundings<'_>) -> FarStorage {
    let longer = one.blocks.iter().filter_map(|(at, ms)| Some(ms - home.blocks.get(at)?));
    let far = effective(&longer.collect::<Vec<f64>>(), around);
    let hop_ms = (one.region != home.region).then(|| hop(one.region, home.region, around));
    let processing = around.processing_ms.get(one.endpoint).filter(|ms| **ms > 0.0);
    FarStorage {
        endpoint: one.endpoint.to_owned(),
        region: one.region.to_owned(),
        told_ms: one.told_ms,
        of_processing: processing.map(|ms| one.told_ms / ms),
        trips: far.zip(hop_ms.flatten()).map(|(far, hop_ms)| far.ms / hop_ms),
        far,
    }
}

fn hop(from: &str, to: &str, around: &Surroundings<'_>) -> Option<f64> {
    let key = (from.to_owned(), to.to_owned());
    around.to_data_ms.get(&key).copied().filter(|ms| *ms > 0.0)
}

fn effective(values: &[f64], around: &Surroundings<'_>) -> Option<Effective> {
    let interval_ms = median_interval(values, around.alpha)?;
    let enough = values.len() >= around.blocks_min;
    enough.then_some(Effective { ms: median(values)?, interval_ms, blocks: values.len() })
}

fn verdict(
    series: &[Series<'_>],
    endpoints: &[FarStorage],
    around: &Surroundings<'_>,
) -> TierVerdict {
    let [home, others @ ..] = series else { return TierVerdict::OneEndpoint };
    if others.is_empty() {
        return TierVerdict::OneEndpoint;
    }
    let is_common = |at: &&i64| others.iter().all(|other| other.blocks.contains_key(*at));
    let common: Vec<i64> = home.blocks.keys().filter(is_common).copied().collect();
    let regions = others.iter().map(|other| other.region);
    let data = around.to_data_ms.keys().map(|(_, region)| region.as_str());
    let places: BTreeSet<&str> = regions.chain(data).filter(|r| *r != home.region).collect();
    let total = |region: &str| {
        let gains: Vec<f64> = common
            .iter()
            .map(|at| gain_ms(&saved(series, region, around, |one| one.blocks[at]), around))
            .collect();
        effective(&gains, around)
    };
    let mut gains: Vec<(&str, Effective)> =
        places.iter().filter_map(|region| Some((*region, total(region)?))).collect();
    gains.sort_by(|a, b| b.1.ms.total_cmp(&a.1.ms));
    let Some((region, gain)) = gains.first().copied() else {
        return TierVerdict::InsufficientData { blocks: common.len() };
    };
    if gain.interval_ms.0 <= 0.0 {
        return TierVerdict::Near;
    }
    let nearer = |one: &&FarStorage| {
        one.region != home.region && left(&one.region, region, home, around) < 1.0
    };
    let trips: Vec<f64> = endpoints.iter().filter(nearer).filter_map(|one| one.trips).collect();
    if !trips.is_empty() && trips.iter().all(|trips| *trips < TRIPS_MIN) {
        return TierVerdict::NotDistance;
    }
    TierVerdict::Replica(Replica {
        region: region.to_owned(),
        gain,
        share: share(series, region, around),
        is_borne_out: trips.iter().any(|trips| *trips >= TRIPS_MIN),
        refused: gains.iter().skip(1).map(|(r, gain)| ((*r).to_owned(), gain.ms)).collect(),
    })
}

/// What each endpoint saves with a replica in `region`, in ms. `took` is what it needs today.
fn saved<'a>(
    series: &[Series<'a>],
    region: &str,
    around: &Surroundings<'_>,
    took: impl Fn(&Series<'a>) -> f64,
) -> BTreeMap<&'a str, f64> {
    let [home, others @ ..] = series else { return BTreeMap::new() };
    let of = |one: &Series<'a>| {
        let far_ms = took(one) - took(home);
        (one.endpoint, far_ms * (1.0 - left(one.region, region, home, around)))
    };
    others.iter().map(of).collect()
}

/// What one caller gains.
fn gain_of(caller: &Caller, saved: &BTreeMap<&str, f64>) -> f64 {
    let then = |(id, cost): (&String, &f64)| cost - saved.get(id.as_str()).unwrap_or(&0.0);
    let least = |costs: &mut dyn Iterator<Item = f64>| costs.fold(f64::INFINITY, f64::min);
    let now = least(&mut caller.costs.values().copied());
    if now.is_finite() { now - least(&mut caller.costs.iter().map(then)) } else { 0.0 }
}

fn gain_ms(saved: &BTreeMap<&str, f64>, around: &Surroundings<'_>) -> f64 {
    let whole: f64 = around.callers.iter().map(|caller| caller.weight).sum();
    let gains = around.callers.iter().map(|caller| caller.weight * gain_of(caller, saved));
    gains.sum::<f64>() / whole
}

/// The share of weight that gains, by medians over all blocks.
fn share(series: &[Series<'_>], region: &str, around: &Surroundings<'_>) -> f64 {
    let saved = saved(series, region, around, |one| one.told_ms);
    let whole: f64 = around.callers.iter().map(|caller| caller.weight).sum();
    let gaining = around.callers.iter().filter(|caller| gain_of(caller, &saved) > 0.0);
    gaining.map(|caller| caller.weight).sum::<f64>() / whole
}

/// The share of the way to the data that is left for functions in `from` with a replica in `region`:
/// none in the same Region, and all where the round trips are not known.
fn left(from: &str, region: &str, home: &Series<'_>, around: &Surroundings<'_>) -> f64 {
    if from == region {
        return 0.0;
    }
    let now_ms = hop(from, home.region, around);
    let then_ms = hop(from, region, around);
    then_ms.zip(now_ms).map_or(1.0, |(then_ms, now_ms)| (then_ms / now_ms).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCKS: i64 = 20;

    /// Endpoints by Region, the median time that each told, and the share that it serves.
    fn tier(endpoints: &[(&str, f64, f64)], hops: &[(&str, &str, f64)]) -> DataTier {
        let mut told = Vec::new();
        for (region, took_ms, _) in endpoints {
            for block in 0..BLOCKS {
                told.push(StorageTold {
                    endpoint: format!("api-{region}"),
                    region: (*region).to_owned(),
                    metric: "dynamodb".to_owned(),
                    storage: Storage::DynamoDb,
                    block_ms: block,
                    // Up and down by 1 ms.
                    took_ms: took_ms + f64::from(i8::try_from(block % 3).unwrap() - 1),
                });
            }
        }
        let id = |region: &str| format!("api-{region}");
        let processing = endpoints.iter().map(|(region, took, _)| (id(region), took + 50.0));
        // Each endpoint has callers of its own.
        let caller = |(region, _, weight): &(&str, f64, f64)| Caller {
            weight: *weight,
            costs: BTreeMap::from([(id(region), 500.0)]),
        };
        let callers: Vec<Caller> = endpoints.iter().map(caller).collect();
        let to_data_ms =
            hops.iter().map(|(a, b, ms)| (((*a).to_owned(), (*b).to_owned()), *ms)).collect();
        let around = Surroundings {
            processing_ms: &processing.collect(),
            to_data_ms: &to_data_ms,
            callers: &callers,
            blocks_min: 18,
            alpha: 0.05,
        };
        data_tiers(&told, &around).remove(0)
    }

    fn replica(tier: &DataTier) -> &Replica {
        match &tier.verdict {
            TierVerdict::Replica(replica) => replica,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_replica_stands_where_the_most_weighted_time_is_far() {
        let found = tier(&[("us", 5.0, 0.3), ("eu", 145.0, 0.5), ("ap", 305.0, 0.2)], &[]);
        assert_eq!(found.home, "us");
        let far: Vec<f64> = found.endpoints.iter().filter_map(|one| Some(one.far?.ms)).collect();
        assert_eq!(far, [0.0, 140.0, 300.0]);
        assert!((found.endpoints[1].of_processing.unwrap() - 145.0 / 195.0).abs() < 1e-9);
        let replica = replica(&found);
        assert_eq!((replica.region.as_str(), replica.share), ("eu", 0.5));
        assert!((replica.gain.ms - 70.0).abs() < 1e-9);
        assert_eq!(replica.gain.interval_ms, (70.0, 70.0));
        assert_eq!(replica.refused, [("ap".to_owned(), 60.0)]);
        assert!(!replica.is_borne_out, "no round trip was measured");
    }

    #[test]
    fn a_replica_between_two_helps_both_by_what_it_saves_of_the_way() {
        let hops = [("eu", "us", 70.0), ("me", "us", 150.0), ("me", "eu", 75.0)];
        let found = tier(&[("us", 5.0, 0.2), ("eu", 145.0, 0.4), ("me", 305.0, 0.4)], &hops);
        let trips: Vec<f64> = found.endpoints.iter().filter_map(|one| one.trips).collect();
        assert_eq!(trips, [2.0, 2.0]);
        // All 140 ms of eu, and half of the 300 ms of me; in me its own 300 ms alone.
        let replica = replica(&found);
        assert_eq!((replica.region.as_str(), replica.is_borne_out), ("me", true));
        assert!((replica.gain.ms - 120.0).abs() < 1e-9, "{replica:?}");
        assert_eq!(replica.refused[0].0, "eu");
        assert!((replica.refused[0].1 - (56.0 + 60.0)).abs() < 1e-9, "{replica:?}");
    }

    #[test]
    fn what_needs_no_replica_says_why() {
        assert_eq!(tier(&[("us", 5.0, 1.0)], &[]).verdict, TierVerdict::OneEndpoint);
        let near = tier(&[("us", 5.0, 0.5), ("eu", 5.0, 0.5)], &[]);
        assert_eq!(near.verdict, TierVerdict::Near);
        let slow = tier(&[("us", 5.0, 0.5), ("eu", 25.0, 0.5)], &[("eu", "us", 70.0)]);
        assert_eq!(slow.verdict, TierVerdict::NotDistance);
    }

    #[test]
    fn those_whom_far_data_keeps_away_come_with_the_replica() {
        // At the endpoint beside them they would pay 20 and 140 for the data; elsewhere 100.
        let costs = [("a", 160.0), ("b", 100.0)].map(|(id, ms)| (id.to_owned(), ms));
        let caller = Caller { weight: 2.0, costs: costs.into() };
        let at_home = Caller { weight: 2.0, costs: BTreeMap::from([("b".to_owned(), 30.0)]) };
        let saved = BTreeMap::from([("a", 140.0)]);
        assert!((gain_of(&caller, &saved) - 80.0).abs() < 1e-9);
        let around = Surroundings {
            processing_ms: &BTreeMap::new(),
            to_data_ms: &BTreeMap::new(),
            callers: &[caller, at_home],
            blocks_min: 18,
            alpha: 0.05,
        };
        assert!((gain_ms(&saved, &around) - 40.0).abs() < 1e-9);
    }

    #[test]
    fn few_blocks_are_too_few() {
        let told: Vec<StorageTold> = (0..17)
            .flat_map(|block_ms| ["a", "b"].map(|region| (block_ms, region)))
            .map(|(block_ms, region)| StorageTold {
                endpoint: region.to_owned(),
                region: region.to_owned(),
                metric: "s3".to_owned(),
                storage: Storage::S3,
                block_ms,
                took_ms: if region == "a" { 1.0 } else { 90.0 },
            })
            .collect();
        let none = BTreeMap::new();
        let around = Surroundings {
            processing_ms: &none,
            to_data_ms: &BTreeMap::new(),
            callers: &[],
            blocks_min: 18,
            alpha: 0.05,
        };
        let found = data_tiers(&told, &around);
        assert_eq!(found[0].verdict, TierVerdict::InsufficientData { blocks: 17 });
        assert_eq!(found[0].endpoints[1].far, None);
    }

    #[test]
    fn metrics_name_their_storage() {
        let cases = [
            ("dynamodb", Some(Storage::DynamoDb)),
            ("DDB-get_order", Some(Storage::DynamoDb)),
            ("s3.assets", Some(Storage::S3)),
            ("cognito", Some(Storage::Cognito)),
            ("s3x", None),
            ("cdn-upstream-fbl", None),
        ];
        for (name, want) in cases {
            assert_eq!(Storage::of_metric(name), want, "{name}");
        }
    }
}
