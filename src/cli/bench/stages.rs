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

    /// Percentiles by the nearest rank; none if nothing was timed.
    fn summary(mut self) -> Option<Stage> {
        self.0.sort();
        let last = self.0.len().checked_sub(1)?;
        let at = |q: f64| ms(self.0[(last as f64 * q).round() as usize]);
        Some(Stage { p50_ms: at(0.5), p95_ms: at(0.95), p99_ms: at(0.99), max_ms: at(1.0), n: self.0.len() })
    }
}

/// Times of all stages.
#[derive(Debug, Default)]
pub struct Samples {
    /// A picture file into memory.
    pub decode: Times,
    detect: Times,
    rectify: Times,
    read: Times,
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
    }

    /// Everything as percentiles.
    pub fn summary(self) -> Stages {
        Stages {
            decode: self.decode.summary(),
            detect: self.detect.summary(),
            rectify: self.rectify.summary(),
            read: self.read.summary(),
            empty: self.empty.summary(),
            weigh: self.weigh.summary(),
            decision: self.decision.summary(),
            pulse: self.pulse.summary(),
        }
    }
}

/// One stage's percentiles.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
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
}

/// All stages, in the order of a frame's way.
#[derive(Debug, Serialize, Deserialize)]
pub struct Stages {
    decode: Option<Stage>,
    detect: Option<Stage>,
    rectify: Option<Stage>,
    read: Option<Stage>,
    empty: Option<Stage>,
    #[serde(rename = "match")]
    weigh: Option<Stage>,
    /// A frame in memory to the decision to open.
    pub decision: Option<Stage>,
    pulse: Option<Stage>,
}

impl Stages {
    /// With their names.
    pub fn named(&self) -> [(&'static str, Option<Stage>); 8] {
        [
            ("decode", self.decode),
            ("detect", self.detect),
            ("rectify", self.rectify),
            ("read", self.read),
            ("empty", self.empty),
            ("match", self.weigh),
            ("decision", self.decision),
            ("pulse", self.pulse),
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
}
