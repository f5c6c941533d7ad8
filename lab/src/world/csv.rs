//! The clients as a CSV, for people and for scripts.

use std::fmt::Write as _;

use super::World;

impl World {
    /// `prefix,weight,catchment,city`: one line a client; the catchment is the label that Route 53 prefers among
    /// those the zone starts with.
    #[must_use]
    pub fn clients_csv(&self) -> String {
        let labels = self.initial_labels();
        let mut csv = String::from("prefix,weight,catchment,city\n");
        for client in &self.clients {
            let catchment = self.preferred(client.place, &labels).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ =
                writeln!(csv, "{},{:.9},{catchment},{}", client.prefix, client.weight, client.city);
        }
        csv
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::Scenario;
    use crate::world::World;

    #[test]
    fn one_line_a_client_with_four_cells() {
        let world = World::generate(&Scenario::calm(), 9).unwrap();
        let csv = world.clients_csv();
        let mut lines = csv.lines();
        assert_eq!(lines.next(), Some("prefix,weight,catchment,city"));
        let rows: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).collect();
        assert_eq!(rows.len(), 400);
        assert!(rows.iter().all(|r| r.len() == 4 && world.endpoint(r[2]).is_some()));
        let total: f64 = rows.iter().map(|r| r[1].parse::<f64>().unwrap()).sum();
        assert!((total - 1.0).abs() < 1e-6);
    }
}
