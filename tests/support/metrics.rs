//! Prometheus' text format, read into a map.

use std::collections::BTreeMap;

/// All series of one reading; keys are as printed, with labels.
#[derive(Clone, Debug, Default)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads an exposition; lines that are no samples are skipped.
    pub fn read(text: &str) -> Metrics {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let read = samples.filter_map(|line| {
            let (key, value) = line.rsplit_once(' ')?;
            Some((key.to_owned(), value.parse().ok()?))
        });
        Metrics(read.collect())
    }

    /// The sum of the series of `name` that have all these labels; 0 where there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        let named = |key: &str| key == name || key.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'));
        let matching = self
            .0
            .iter()
            .filter(|(key, _)| named(key) && wanted.iter().all(|label| key.contains(label)));
        matching.map(|(_, value)| value).sum()
    }

    /// How much a sum grew since `before`.
    pub fn grown(&self, before: &Metrics, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.sum(name, labels) - before.sum(name, labels)
    }
}
