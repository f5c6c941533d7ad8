//! Which vantages stand near which clients, and which clients nothing stands for. Distances only.

use probe::place::great_circle_km;

/// Vantages that are named for each place.
const NAMED: usize = 3;

/// A vantage and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Vantage {
    /// Its id.
    pub id: String,
    /// Degrees north and east.
    pub at: (f64, f64),
}

/// One vantage near a place.
#[derive(Debug, Clone, PartialEq)]
pub struct Near {
    /// Its id.
    pub vantage: String,
    /// How far away, along the great circle.
    pub km: f64,
}

/// A place with its weight, and the vantages nearest to it, nearest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Nearest {
    /// The name of the place.
    pub place: String,
    /// What it weighs.
    pub weight: f64,
    /// The nearest vantages.
    pub near: Vec<Near>,
}

/// Ties each place (name, weight, degrees north and east) to its nearest vantages.
#[must_use]
pub fn assign(
    places: impl IntoIterator<Item = (String, f64, (f64, f64))>,
    vantages: &[Vantage],
) -> Vec<Nearest> {
    let nearest = |at: (f64, f64)| {
        let of = |vantage: &Vantage| Near {
            vantage: vantage.id.clone(),
            km: great_circle_km(at, vantage.at),
        };
        let mut near: Vec<Near> = vantages.iter().map(of).collect();
        near.sort_by(|a, b| a.km.total_cmp(&b.km).then(a.vantage.cmp(&b.vantage)));
        near.truncate(NAMED);
        near
    };
    let places = places.into_iter();
    places.map(|(place, weight, at)| Nearest { place, weight, near: nearest(at) }).collect()
}
