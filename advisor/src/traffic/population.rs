//! Where people with internet access live: the built-in stand-in for traffic, where no log is at hand.

const CITIES: &str = include_str!("../../data/cities.csv");

/// A city that stands for the people around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct City {
    /// Its name.
    pub name: &'static str,
    /// The country's two letters.
    pub country: &'static str,
    /// Degrees north and east.
    pub at: (f64, f64),
    /// Millionths of the world's internet users that live in it and the smaller cities next to it.
    pub millionths: f64,
}

/// All cities of the built-in table.
pub fn cities() -> impl Iterator<Item = City> {
    CITIES.lines().skip(1).filter_map(|line| {
        let mut cells = line.split(',');
        Some(City {
            name: cells.next()?,
            country: cells.next()?,
            at: (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?),
            millionths: cells.next()?.parse().ok()?,
        })
    })
}
