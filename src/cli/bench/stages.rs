//! What was timed, and its percentiles.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::vision::Timings;

/// Times of one stage.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Runs something and keeps how long it took.
    pub fn time<T, E>(&mut self, work: impl FnOnce() -> Result<T, E>) -> Result<(), E> {
        let begun = Instant::now();
        black_box(work()?);
        self.0.push(begun.elapsed());
        Ok(())
    }

    /// Keeps a time taken elsewhere.
    pub fn push(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// Takes over another's times.
    pub fn append(&mut self, other: Times) {
        self.0.extend(other.0);
    }

    /// How many were timed.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Percentiles by the nearest rank; none if nothing was timed.
    pub fn summary(mut self) -> Option<Stage> {
        self.0.sort();
        let last = self.0.len().checked_sub(1)?;
        let at = |q: f64| ms(self.0[(last as f64 * q).round() as usize]);
        let (p50_ms, p95_ms, p99_ms, max_ms) = (at(0.5), at(0.95), at(0.99), at(1.0));
        Some(Stage { p50_ms, p95_ms, p99_ms, max_ms, n: self.0.len(), histogram: histogram(&self.0) })
    }
}

/// Bins of a histogram to a doubling of the time.
const BINS: f64 = 8.0;

/// How many took how long: the bins that hold any, each an eighth of a doubling wide.
fn histogram(sorted: &[Duration]) -> Vec<Bin> {
    let bin = |d: &Duration| (d.as_secs_f64().max(1e-7) * 1e3).log2() * BINS;
    let mut bins: Vec<Bin> = Vec::new();
    for took in sorted {
        let up_to_ms = 2f64.powf((bin(took).floor() + 1.0) / BINS);
        match bins.last_mut() {
            Some(last) if last.up_to_ms == up_to_ms => last.n += 1,
            _ => bins.push(Bin { up_to_ms, n: 1 }),
        }
    }
    bins
}

/// One bin of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// The longest time it holds, milliseconds; the shortest is `2^(-1/8)` of it.
    pub up_to_ms: f64,
    /// How many.
    pub n: u32,
}

/// Times of all stages.
#[derive(Debug, Default)]
pub struct Samples {
    /// A picture file into memory.
    pub decode: Times,
    detect: Times,
    rectify: Times,
    read: Times,
    /// All of the reading, and of that what passed inside of the networks.
    pub whole: Times,
    pub networks: Times,
    /// A frame without a plate, all of the reading.
    pub empty: Times,
    /// The evidence against the register.
    pub weigh: Times,
    /// A frame in memory to the decision to open.
    pub decision: Times,
    /// A frame's capture to the relay's edge.
    pub pulse: Times,
}

impl Samples {
    /// The parts of one reading.
    pub fn vision(&mut self, timings: Timings) {
        self.detect.push(timings.detect);
        self.rectify.push(timings.rectify);
        self.read.push(timings.read);
        self.whole.push(timings.detect + timings.rectify + timings.read);
        self.networks.push(timings.networks);
    }

    /// Of the time that a plate is read in, the share 0..1 that passes inside of the networks.
    pub fn networks_share(&self) -> f64 {
        let sum = |times: &Times| times.0.iter().sum::<Duration>().as_secs_f64();
        if self.whole.0.is_empty() { 0.0 } else { sum(&self.networks) / sum(&self.whole).max(1e-9) }
    }

    /// Everything as percentiles.
    pub fn summary(self) -> Stages {
        Stages {
            decode: self.decode.summary(),
            detect: self.detect.summary(),
            rectify: self.rectify.summary(),
            read: self.read.summary(),
            networks: self.networks.summary(),
            empty: self.empty.summary(),
            weigh: self.weigh.summary(),
            decision: self.decision.summary(),
            pulse: self.pulse.summary(),
        }
    }
}

/// One stage's percentiles.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stage {
    /// The median, milliseconds.
    pub p50_ms: f64,
    /// 19 of 20 took no longer.
    pub p95_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// How many were timed.
    pub n: usize,
    /// How they are spread.
    #[serde(default)]
    pub histogram: Vec<Bin>,
}

/// All stages, in the order of a frame's way.
#[derive(Debug, Serialize, Deserialize)]
pub struct Stages {
    decode: Option<Stage>,
    detect: Option<Stage>,
    rectify: Option<Stage>,
    read: Option<Stage>,
    #[serde(default)]
    networks: Option<Stage>,
    empty: Option<Stage>,
    #[serde(rename = "match")]
    weigh: Option<Stage>,
    /// A frame in memory to the decision to open.
    pub decision: Option<Stage>,
    /// A frame's capture to the relay's edge.
    pub pulse: Option<Stage>,
}

impl Stages {
    /// With their names.
    pub fn named(&self) -> [(&'static str, Option<&Stage>); 9] {
        [
            ("decode", self.decode.as_ref()),
            ("detect", self.detect.as_ref()),
            ("rectify", self.rectify.as_ref()),
            ("read", self.read.as_ref()),
            ("networks", self.networks.as_ref()),
            ("empty", self.empty.as_ref()),
            ("match", self.weigh.as_ref()),
            ("decision", self.decision.as_ref()),
            ("pulse", self.pulse.as_ref()),
        ]
    }
}

/// Milliseconds, to the microsecond.
pub fn ms(d: Duration) -> f64 {
    (d.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks_of_what_was_timed() {
        let mut times = Times::default();
        (1..=101).rev().for_each(|n| times.push(Duration::from_millis(n)));
        let stage = times.summary().unwrap();
        assert_eq!((stage.p50_ms, stage.p95_ms, stage.p99_ms, stage.max_ms, stage.n), (51.0, 96.0, 100.0, 101.0, 101));
        assert!(Times::default().summary().is_none());
    }

    #[test]
    fn a_histogram_holds_every_time_once_in_its_bin() {
        let times = [Duration::ZERO, Duration::from_micros(1000), Duration::from_micros(1010), Duration::from_secs(3)];
        let bins = histogram(&times);
        assert_eq!(bins.iter().map(|b| b.n).collect::<Vec<_>>(), [1, 2, 1]);
        assert!(bins[1].up_to_ms >= 1.01 && bins[1].up_to_ms * 2f64.powf(-1.0 / 8.0) <= 1.0);
        assert!((3000.0..3300.0).contains(&bins[2].up_to_ms));
    }
}
