//! The real figures the world is made from: Regions, the matrix of round trips between them, cities.
//!
//! Parsed once from `lab/data`. It must hold no random figure; what had to be estimated is marked.

use std::collections::BTreeMap;

const REGIONS: &str = include_str!("../data/regions.csv");
const P50: &str = include_str!("../data/p50.csv");
const LOCATIONS: &str = include_str!("../data/pops.csv");
const CITIES: &str = include_str!("../data/cities.csv");

/// How many Regions are legal as latency labels.
pub const LABELS: usize = 39;

/// A built-in table that does not parse: the build itself is wrong.
#[derive(Debug, thiserror::Error)]
#[error("built-in table {table} line {line}: {cause}")]
pub struct AtlasError {
    table: &'static str,
    line: usize,
    cause: String,
}

/// One AWS Region.
#[derive(Clone, Debug)]
pub struct Region {
    /// Its code, such as `eu-west-1`.
    pub code: String,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// Hosted zone id of API Gateway's regional domain names, where a trustworthy one is known.
    pub apigateway_zone: Option<String>,
    /// Whether its row and column of the matrix are measured.
    pub measured: bool,
}

impl Region {
    /// Whether it is one of the 34 commercial Regions.
    #[must_use]
    pub fn commercial(&self) -> bool {
        !["cn-", "us-gov-", "eusc-"].iter().any(|p| self.code.starts_with(p))
    }
}

/// A city that clients can live in.
#[derive(Clone, Debug)]
pub struct City {
    /// Name, without commas.
    pub name: String,
    /// ISO country code.
    pub country: String,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// Inhabitants.
    pub population: f64,
}

/// A location of `CloudFront`.
#[derive(Clone, Debug)]
pub struct Location {
    /// Three letters, those that `x-amz-cf-pop` begins with.
    pub code: String,
    /// Its city, without commas.
    pub city: String,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Atlas {
    /// The 39 Regions, in the order of AWS's own list.
    pub regions: Vec<Region>,
    /// Cities by falling population.
    pub cities: Vec<City>,
    /// Locations of `CloudFront`.
    pub locations: Vec<Location>,
    index: BTreeMap<String, usize>,
    p50_ms: Vec<Vec<f64>>,
}

impl Atlas {
    /// Reads the built-in tables and estimates the rows and columns that were never measured.
    pub fn built_in() -> Result<Self, AtlasError> {
        let measured = parse_matrix(P50)?;
        let mut regions = parse_regions(REGIONS)?;
        for region in &mut regions {
            region.measured = measured.contains_key(&region.code);
        }
        let index = regions.iter().enumerate().map(|(i, r)| (r.code.clone(), i)).collect();
        let p50_ms = complete(&regions, &measured);
        let (cities, locations) = (parse_cities(CITIES)?, parse_locations(LOCATIONS)?);
        Ok(Self { regions, cities, locations, index, p50_ms })
    }

    /// The Region's place in `regions`.
    #[must_use]
    pub fn index_of(&self, code: &str) -> Option<usize> {
        self.index.get(code).copied()
    }

    /// Median round trip in ms from Region number `from` to Region number `to`.
    #[must_use]
    pub fn p50_ms(&self, from: usize, to: usize) -> f64 {
        self.p50_ms[from][to]
    }

    /// Whether the figure between the two was estimated and not measured.
    #[must_use]
    pub fn estimated(&self, from: usize, to: usize) -> bool {
        !(self.regions[from].measured && self.regions[to].measured)
    }
}

/// Great-circle distance in km (haversine, mean radius 6371 km); arguments are (lat, lon) in degrees.
#[must_use]
pub fn distance_km(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (lat_a, lat_b) = (a.0.to_radians(), b.0.to_radians());
    let half_lat = ((lat_b - lat_a) / 2.0).sin();
    let half_lon = ((b.1 - a.1).to_radians() / 2.0).sin();
    let h = half_lat * half_lat + lat_a.cos() * lat_b.cos() * half_lon * half_lon;
    2.0 * 6371.0 * h.sqrt().min(1.0).asin()
}

/// The round trip below which no light in fibre (200 km per ms) can come back.
#[must_use]
pub fn light_ms(distance_km: f64) -> f64 {
    2.0 * distance_km / 200.0
}

type Measured = BTreeMap<String, BTreeMap<String, f64>>;

/// Fills the square of all Regions: measured where both ends are, else estimated.
///
/// An estimate is light in fibre times the median stretch of the measured pairs, or the best way through a
/// measured Region at the same stretch, whichever is shorter; the diagonal is the median diagonal.
fn complete(regions: &[Region], measured: &Measured) -> Vec<Vec<f64>> {
    let known = |a: usize, b: usize| {
        measured.get(&regions[a].code).and_then(|row| row.get(&regions[b].code)).copied()
    };
    let light = |a: usize, b: usize| {
        let (a, b) = (&regions[a], &regions[b]);
        light_ms(distance_km((a.lat, a.lon), (b.lat, b.lon)))
    };
    let count = regions.len();
    let pairs = || (0..count).flat_map(|a| (0..count).map(move |b| (a, b)));
    let far = |&(a, b): &(usize, usize)| light(a, b) > 5.0;
    let stretch = median(
        pairs().filter(far).filter_map(|(a, b)| known(a, b).map(|ms| ms / light(a, b))).collect(),
    );
    let diagonal = median((0..count).filter_map(|a| known(a, a)).collect());
    let direct = |a: usize, b: usize| (light(a, b) * stretch).max(diagonal);
    let estimate = |a: usize, b: usize| {
        if a == b {
            return diagonal;
        }
        let through = |h: usize| match (known(a, h), known(h, b)) {
            (Some(first), None) => Some(first + direct(h, b)),
            (None, Some(second)) => Some(direct(a, h) + second),
            _ => None,
        };
        (0..count).filter_map(through).fold(direct(a, b), f64::min)
    };
    (0..count)
        .map(|a| (0..count).map(|b| known(a, b).unwrap_or_else(|| estimate(a, b))).collect())
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(1.0)
}

fn parse_regions(text: &'static str) -> Result<Vec<Region>, AtlasError> {
    rows("regions.csv", text, 4, |cells, number| {
        Ok(Region {
            code: cells[0].to_owned(),
            lat: number(1)?,
            lon: number(2)?,
            apigateway_zone: (!cells[3].is_empty()).then(|| cells[3].to_owned()),
            measured: false,
        })
    })
}

fn parse_cities(text: &'static str) -> Result<Vec<City>, AtlasError> {
    rows("cities.csv", text, 5, |cells, number| {
        Ok(City {
            name: cells[0].to_owned(),
            country: cells[1].to_owned(),
            lat: number(2)?,
            lon: number(3)?,
            population: number(4)?,
        })
    })
}

fn parse_locations(text: &'static str) -> Result<Vec<Location>, AtlasError> {
    rows("pops.csv", text, 5, |cells, number| {
        Ok(Location {
            code: cells[0].to_owned(),
            city: cells[1].to_owned(),
            lat: number(3)?,
            lon: number(4)?,
        })
    })
}

fn parse_matrix(text: &'static str) -> Result<Measured, AtlasError> {
    let header: Vec<&str> = text.lines().next().unwrap_or_default().split(',').skip(1).collect();
    let parsed = rows("p50.csv", text, header.len() + 1, |cells, number| {
        let row = header.iter().enumerate().map(|(i, to)| Ok(((*to).to_owned(), number(i + 1)?)));
        Ok((cells[0].to_owned(), row.collect::<Result<BTreeMap<_, _>, String>>()?))
    })?;
    Ok(parsed.into_iter().collect())
}

type Number<'a> = &'a dyn Fn(usize) -> Result<f64, String>;

fn rows<T>(
    table: &'static str,
    text: &'static str,
    width: usize,
    make: impl Fn(&[&str], Number<'_>) -> Result<T, String>,
) -> Result<Vec<T>, AtlasError> {
    let one = |(i, line): (usize, &str)| {
        let fail = |cause| AtlasError { table, line: i + 1, cause };
        let cells: Vec<&str> = line.split(',').collect();
        if cells.len() != width {
            return Err(fail(format!("{} cells, not {width}", cells.len())));
        }
        let number = |at: usize| -> Result<f64, String> {
            cells[at].parse().map_err(|e| format!("{:?} is no number: {e}", cells[at]))
        };
        make(&cells, &number).map_err(fail)
    };
    text.lines().enumerate().skip(1).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_whole() {
        let atlas = Atlas::built_in().unwrap();
        assert_eq!(atlas.regions.len(), LABELS);
        assert_eq!(atlas.regions.iter().filter(|r| r.commercial()).count(), 34);
        assert_eq!(atlas.regions.iter().filter(|r| r.measured).count(), 33);
        assert_eq!(atlas.cities.len(), 1983);
        assert!(atlas.cities.iter().all(|c| c.population >= 300_000.0));
    }

    #[test]
    fn measured_figures_are_the_published_ones() {
        let atlas = Atlas::built_in().unwrap();
        let at =
            |a: &str, b: &str| atlas.p50_ms(atlas.index_of(a).unwrap(), atlas.index_of(b).unwrap());
        assert!((at("ca-central-1", "us-east-1") - 16.312).abs() < 1e-9);
        assert!((at("ca-central-1", "ap-southeast-3") - 230.334).abs() < 1e-9);
        for region in atlas.regions.iter().filter(|r| r.measured) {
            let own = at(&region.code, &region.code);
            assert!((1.0..9.0).contains(&own), "{} {own}", region.code);
        }
    }

    #[test]
    fn new_zealand_is_estimated_near_sydney_and_marked() {
        let atlas = Atlas::built_in().unwrap();
        let auckland = atlas.index_of("ap-southeast-6").unwrap();
        let sydney = atlas.index_of("ap-southeast-2").unwrap();
        let virginia = atlas.index_of("us-east-1").unwrap();
        assert!(atlas.estimated(auckland, sydney) && atlas.estimated(sydney, auckland));
        assert!(!atlas.estimated(sydney, virginia));
        let near = atlas.p50_ms(auckland, sydney);
        assert!((21.0..60.0).contains(&near), "{near}");
        assert!(atlas.p50_ms(auckland, virginia) < near + atlas.p50_ms(sydney, virginia) + 1e-9);
    }

    #[test]
    fn distances_are_great_circles() {
        let km = distance_km((51.51, -0.13), (48.86, 2.35));
        assert!((335.0..350.0).contains(&km), "{km}");
        assert!((light_ms(km) - 2.0 * km / 200.0).abs() < 1e-12);
    }
}
