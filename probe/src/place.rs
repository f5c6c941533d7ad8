//! Where things stand: AWS Regions and `CloudFront` locations, from built-in tables, and the bound
//! that the speed of light sets. Pure: tables and arithmetic.

/// Kilometres that light goes in fibre in one millisecond.
const FIBRE_KM_PER_MS: f64 = 200.0;
/// The mean radius of the Earth, in km.
const EARTH_KM: f64 = 6_371.0;

const REGIONS: &str = include_str!("../data/regions.csv");
const EDGES: &str = include_str!("../data/edges.csv");

/// An AWS Region and its approximate coordinates, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegionPlace {
    /// Its name, such as `eu-west-1`.
    pub region: &'static str,
    /// The city or area that AWS names.
    pub place: &'static str,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Whether anybody may use it now, unlike those announced or of another partition.
    pub commercial: bool,
}

/// All Regions of the built-in table.
pub fn regions() -> impl Iterator<Item = RegionPlace> {
    REGIONS.lines().skip(1).filter_map(|line| {
        let mut cells = line.split(',');
        Some(RegionPlace {
            region: cells.next()?,
            place: cells.next()?,
            latitude: cells.next()?.parse().ok()?,
            longitude: cells.next()?.parse().ok()?,
            commercial: cells.next()? == "commercial",
        })
    })
}

/// The commercial Regions: what `candidates = "all"` means.
pub fn commercial_regions() -> impl Iterator<Item = RegionPlace> {
    regions().filter(|place| place.commercial)
}

/// The Region of this name.
#[must_use]
pub fn region(name: &str) -> Option<RegionPlace> {
    regions().find(|place| place.region == name)
}

/// The city of a `CloudFront` location, by the first three letters of `x-amz-cf-pop`.
#[must_use]
pub fn city_of_pop(pop: &str) -> Option<&'static str> {
    let code = pop.get(..3)?;
    let cells = EDGES.lines().skip(1).map(|line| line.splitn(3, ','));
    let mut named = cells.filter_map(|mut cells| cells.next().zip(cells.next()));
    named.find(|(found, _)| found.eq_ignore_ascii_case(code)).map(|(_, city)| city)
}

/// Where a `CloudFront` location is, degrees north and east, by the first three letters of its code.
#[must_use]
pub fn point_of_pop(pop: &str) -> Option<(f64, f64)> {
    let code = pop.get(..3)?;
    let line = EDGES.lines().skip(1).find(|line| {
        line.split(',').next().is_some_and(|found| found.eq_ignore_ascii_case(code))
    })?;
    let mut cells = line.split(',').skip(4);
    Some((cells.next()?.parse().ok()?, cells.next()?.parse().ok()?))
}

/// The great circle between two Regions, in km.
#[must_use]
pub fn distance_km(from: RegionPlace, to: RegionPlace) -> f64 {
    great_circle_km((from.latitude, from.longitude), (to.latitude, to.longitude))
}

/// The great circle between two points, degrees north and east, in km (haversine).
#[must_use]
pub fn great_circle_km(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (a, b) = (from.0.to_radians(), to.0.to_radians());
    let half_latitude = ((b - a) / 2.0).sin();
    let half_longitude = ((to.1 - from.1).to_radians() / 2.0).sin();
    let h = half_latitude.powi(2) + a.cos() * b.cos() * half_longitude.powi(2);
    2.0 * EARTH_KM * h.sqrt().min(1.0).asin()
}

/// The least round trip between two Regions, in microseconds: 2 d / 200 km per ms. What is below
/// it was not measured from where it says, or not answered from there. `None` where a Region is
/// not in the table.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "half the Earth's circumference is 200 ms, and never negative"
)]
pub fn least_round_trip_us(from: &str, to: &str) -> Option<u64> {
    let km = distance_km(region(from)?, region(to)?);
    Some((2.0 * km / FIBRE_KM_PER_MS * 1_000.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_whole() {
        assert_eq!(REGIONS.lines().count() - 1, regions().count());
        assert_eq!((regions().count(), commercial_regions().count()), (41, 34));
        assert!(regions().all(|p| p.latitude.abs() <= 90.0 && p.longitude.abs() <= 180.0));
        assert_eq!(EDGES.lines().count(), 108);
    }

    #[test]
    fn cities() {
        assert_eq!(city_of_pop("FRA2-C2"), Some("Frankfurt am Main"));
        assert_eq!(city_of_pop("fra60-P3"), Some("Frankfurt am Main"));
        for unknown in ["", "FR", "ZZZ1", "\u{e9}\u{e9}"] {
            assert_eq!(city_of_pop(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn bounds() {
        // Dublin and Ashburn are about 5,470 km apart.
        let us = least_round_trip_us("eu-west-1", "us-east-1").unwrap();
        assert!((53_000..57_000).contains(&us), "{us}");
        assert_eq!(least_round_trip_us("eu-west-1", "eu-west-1"), Some(0));
        assert_eq!(least_round_trip_us("home", "eu-west-1"), None);
        let there = least_round_trip_us("ap-southeast-6", "eu-south-2");
        assert_eq!(there, least_round_trip_us("eu-south-2", "ap-southeast-6"));
    }
}
