//! What an evaluation counts: pictures by set, kind and province; characters by what they were read as; how far the
//! claimed probabilities can be believed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Row;
use crate::cli::read::PlateLine;

/// Counts of one set, kind or province.
#[derive(Clone, Copy, Default, Serialize)]
pub struct Tally {
    /// Pictures with a plate.
    pub pictures: u32,
    /// Pictures without one: rows whose text is empty.
    pub blanks: u32,
    /// Read exactly, province included.
    pub exact: u32,
    /// Read exactly but for the first character.
    pub exact_without_province: u32,
    /// A plate was read where one is.
    pub detected: u32,
    /// Wrong texts whose weakest slot claimed at least 0.99.
    pub wrong_and_sure: u32,
    /// Plates read on pictures that have none.
    pub false_plates: u32,
}

impl Tally {
    /// What one picture counts.
    fn of(row: &Row, plate: Option<&PlateLine>, read: usize) -> Tally {
        if row.text.is_empty() {
            return Tally { false_plates: read as u32, blanks: 1, ..Tally::default() };
        }
        let without = |text: &str| text.chars().skip(1).collect::<String>();
        let counts = |what: bool| u32::from(what);
        Tally {
            pictures: 1,
            exact: counts(plate.is_some_and(|p| p.text == row.text)),
            exact_without_province: counts(plate.is_some_and(|p| without(&p.text) == without(&row.text))),
            detected: counts(plate.is_some()),
            wrong_and_sure: counts(plate.is_some_and(|p| p.text != row.text && p.min_slot >= 0.99)),
            ..Tally::default()
        }
    }

    fn add(&mut self, other: Tally) {
        self.pictures += other.pictures;
        self.blanks += other.blanks;
        self.exact += other.exact;
        self.exact_without_province += other.exact_without_province;
        self.detected += other.detected;
        self.wrong_and_sure += other.wrong_and_sure;
        self.false_plates += other.false_plates;
    }

    /// A count as a share of the pictures with a plate, in words.
    pub fn percent(&self, count: u32) -> String {
        format!("{:.2} %", 100.0 * f64::from(count) / f64::from(self.pictures.max(1)))
    }
}

/// How often a character stood on a plate, and how often it was read right.
#[derive(Clone, Copy, Default, Serialize)]
pub struct Character {
    /// Plates read with as many characters as they have, times this character on them.
    pub shown: u32,
    /// Of these, read right.
    pub right: u32,
}

/// A character read as another.
#[derive(Clone, Serialize)]
pub struct Confusion {
    /// What stands on the plate.
    pub truth: char,
    /// What was read.
    pub read: char,
    /// How often.
    pub count: u32,
}

/// How far claimed probabilities hold: slots of detected plates, in fifteen bins of the claimed probability.
#[derive(Clone, Copy, Default, Serialize)]
pub struct Calibration {
    /// Slots counted.
    pub slots: u32,
    /// The mean distance between claimed and true share, weighted by the bins' sizes (expected calibration error; Naeini
    /// et al., 2015), 0..1.
    pub expected_error: f64,
}

/// Milliseconds a picture, decoding apart.
#[derive(Clone, Copy, Default, Serialize)]
pub struct Latency {
    p50: f64,
    p95: f64,
    max: f64,
}

/// The whole result.
#[derive(Serialize, Default)]
pub struct Report {
    /// Everything together.
    #[serde(flatten)]
    pub all: Tally,
    exact_rate: f64,
    exact_without_province_rate: f64,
    detection_rate: f64,
    /// Pictures that could not be opened.
    pub unreadable_files: u32,
    /// By the manifest's column `set`.
    pub sets: BTreeMap<String, Tally>,
    /// By the manifest's column `kind`.
    pub kinds: BTreeMap<String, Tally>,
    /// By the plate's first character.
    pub provinces: BTreeMap<char, Tally>,
    /// By character.
    pub characters: BTreeMap<char, Character>,
    /// Characters read as others, most frequent first.
    pub confusions: Vec<Confusion>,
    /// Of the slots' probabilities.
    pub calibration: Calibration,
    ms: Latency,
    #[serde(skip)]
    times: Vec<f64>,
    #[serde(skip)]
    swapped: BTreeMap<(char, char), u32>,
    #[serde(skip)]
    claims: Vec<(f32, bool)>,
}

impl Report {
    /// Counts one picture: its row, the plate taken for the row's, and how many plates were read on it.
    pub fn count(&mut self, row: &Row, plate: Option<&PlateLine>, read: usize, ms: f64) {
        let tally = Tally::of(row, plate, read);
        self.times.push(ms);
        self.all.add(tally);
        self.sets.entry(row.set.clone()).or_default().add(tally);
        self.kinds.entry(row.kind.clone()).or_default().add(tally);
        let Some(province) = row.text.chars().next() else { return };
        self.provinces.entry(province).or_default().add(tally);
        let Some(plate) = plate else { return };
        let truth = row.text.chars().map(Some).chain(std::iter::repeat(None));
        for (slot, wanted) in plate.slots.iter().zip(truth) {
            self.claims.push((slot.p, wanted.unwrap_or('_') == slot.char));
        }
        if plate.text.chars().count() == row.text.chars().count() {
            for (truth, read) in row.text.chars().zip(plate.text.chars()) {
                let seen = self.characters.entry(truth).or_default();
                seen.shown += 1;
                seen.right += u32::from(truth == read);
                if truth != read {
                    *self.swapped.entry((truth, read)).or_default() += 1;
                }
            }
        }
    }

    /// Works out the shares once everything is counted.
    pub fn finish(mut self) -> Report {
        self.times.sort_by(f64::total_cmp);
        let last = self.times.len().saturating_sub(1) as f64;
        let at = |q: f64| self.times.get((last * q).round() as usize).copied().unwrap_or(0.0);
        self.ms = Latency { p50: at(0.5), p95: at(0.95), max: at(1.0) };
        let rate = |n: u32| f64::from(n) / f64::from(self.all.pictures.max(1));
        self.exact_rate = rate(self.all.exact);
        self.exact_without_province_rate = rate(self.all.exact_without_province);
        self.detection_rate = rate(self.all.detected);
        let confusion = |(&(truth, read), &count): (&(char, char), &u32)| Confusion { truth, read, count };
        self.confusions = self.swapped.iter().map(confusion).collect();
        self.confusions.sort_by_key(|c| std::cmp::Reverse(c.count));
        self.calibration = calibration(&self.claims);
        self
    }

    /// The table for a terminal.
    pub fn print(&self) {
        println!(
            "{:24} {:>8} {:>8} {:>12} {:>9} {:>11}",
            "", "pictures", "exact", "no province", "detected", "wrong, sure"
        );
        let row = |name: &str, t: &Tally| {
            let (exact, bare) = (t.percent(t.exact), t.percent(t.exact_without_province));
            let found = t.percent(t.detected);
            println!("{name:24} {:>8} {exact:>8} {bare:>12} {found:>9} {:>11}", t.pictures, t.wrong_and_sure);
        };
        row("all", &self.all);
        self.sets.iter().for_each(|(name, t)| row(&format!("set {name}"), t));
        self.kinds.iter().for_each(|(name, t)| row(&format!("kind {name}"), t));
        let often: Vec<String> =
            self.confusions.iter().take(12).map(|c| format!("{}→{} {}", c.truth, c.read, c.count)).collect();
        println!("most often read as another: {}", often.join(", "));
        println!("false plates on {} pictures without one: {}", self.all.blanks, self.all.false_plates);
        println!(
            "expected calibration error of {} slots: {:.4}",
            self.calibration.slots, self.calibration.expected_error
        );
        println!("milliseconds a picture, decoding apart: p50 {:.2}, p95 {:.2}", self.ms.p50, self.ms.p95);
    }
}

fn calibration(claims: &[(f32, bool)]) -> Calibration {
    const BINS: usize = 15;
    let mut bins = [(0u32, 0.0f64, 0u32); BINS];
    for &(p, right) in claims {
        let bin = &mut bins[((p * BINS as f32) as usize).min(BINS - 1)];
        *bin = (bin.0 + 1, bin.1 + f64::from(p), bin.2 + u32::from(right));
    }
    let off: f64 = bins.iter().map(|&(_, claimed, right)| (claimed - f64::from(right)).abs()).sum();
    Calibration { slots: claims.len() as u32, expected_error: off / claims.len().max(1) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_that_hold_have_no_calibration_error_and_boasts_have() {
        let honest: Vec<_> = (0..100).map(|i| (0.9, i % 10 != 0)).collect();
        assert!(calibration(&honest).expected_error < 1e-6);
        let boasting: Vec<_> = (0..100).map(|i| (0.9, i % 2 == 0)).collect();
        assert!((calibration(&boasting).expected_error - 0.4).abs() < 1e-6);
        assert_eq!(calibration(&[]).slots, 0);
    }
}
