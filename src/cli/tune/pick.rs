//! Which of the measured ways is the best within the budget?

use serde::{Deserialize, Serialize};

use super::measure::Measured;

/// Of the frames of a waking lane, one in so many is read.
const EVERY: [u32; 3] = [1, 2, 3];

/// What may be spent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Budget {
    /// The p99 of a frame, milliseconds.
    pub ms: f64,
    /// Cores that a lane with a car in it may keep busy.
    pub cores: Option<f64>,
    /// Frames a second.
    pub fps: u32,
}

/// A measured way, read so often.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Choice {
    /// What was measured.
    #[serde(flatten)]
    pub measured: Measured,
    /// As `vision.read_every`.
    pub read_every: u32,
    /// Cores that it keeps busy while a car is there.
    pub cores: f64,
    /// By how much later a car is read at most, because frames are left out, milliseconds.
    pub later_ms: f64,
    /// Does it keep to the budget?
    pub within: bool,
    /// No other way is both as fast and more accurate, or as accurate and faster.
    pub on_frontier: bool,
    /// The one that was picked.
    pub picked: bool,
}

/// All choices, the best first; the picked one, if any keeps to the budget, is marked.
pub fn choices(measured: &[Measured], budget: Budget) -> Vec<Choice> {
    let mut all: Vec<Choice> = measured.iter().flat_map(|m| EVERY.map(|every| choice(m, every, budget))).collect();
    for i in 0..all.len() {
        let beaten = |c: &Choice| {
            all.iter().any(|o| {
                let (faster, better) = (o.measured.p99_ms <= c.measured.p99_ms, o.measured.exact >= c.measured.exact);
                faster && better && (o.measured.p99_ms, o.measured.exact) != (c.measured.p99_ms, c.measured.exact)
            })
        };
        let on_frontier = all[i].read_every == 1 && !beaten(&all[i]);
        all[i].on_frontier = on_frontier;
    }
    // Within the budget first, then the more accurate; of the equally accurate the one that leaves out the fewest frames, and
    // of those the fastest.
    let worth = |c: &Choice| (!c.within, std::cmp::Reverse(c.measured.exact), c.read_every);
    all.sort_by(|a, b| worth(a).cmp(&worth(b)).then(a.measured.p99_ms.total_cmp(&b.measured.p99_ms)));
    if let Some(first) = all.first_mut() {
        first.picked = first.within;
    }
    all
}

fn choice(measured: &Measured, read_every: u32, budget: Budget) -> Choice {
    let frame_ms = 1e3 / f64::from(budget.fps.max(1));
    let cores = measured.cpu_ms / frame_ms / f64::from(read_every);
    let within = measured.p99_ms <= budget.ms && budget.cores.is_none_or(|most| cores <= most);
    Choice {
        measured: measured.clone(),
        read_every,
        cores: (cores * 1e4).round() / 1e4,
        later_ms: (frame_ms * f64::from(read_every - 1)).round(),
        within,
        on_frontier: false,
        picked: false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::measure::Way;
    use super::*;
    use proptest::prelude::*;

    fn measured(p99_ms: f64, cpu_ms: f64, exact: u32) -> Measured {
        let way = Way { provider: "cpu".into(), precision: "auto".into(), threads: 1, search_px: 448, lane: None };
        Measured { way, p50_ms: p99_ms, p95_ms: p99_ms, p99_ms, cpu_ms, pictures: 100, detected: 100, exact }
    }

    fn budget(ms: f64, cores: Option<f64>) -> Budget {
        Budget { ms, cores, fps: 25 }
    }

    #[test]
    fn the_most_accurate_within_the_budget_is_picked_and_then_the_fastest() {
        let all = [measured(3.0, 3.0, 90), measured(6.0, 6.0, 97), measured(5.0, 5.0, 97), measured(20.0, 20.0, 99)];
        let picked = |b| choices(&all, b).into_iter().find(|c| c.picked).map(|c| (c.measured.p99_ms, c.read_every));
        assert_eq!(picked(budget(8.0, None)), Some((5.0, 1)));
        assert_eq!(picked(budget(4.0, None)), Some((3.0, 1)));
        assert_eq!(picked(budget(25.0, None)), Some((20.0, 1)));
        assert_eq!(picked(budget(1.0, None)), None);
        // 5 ms in every frame is an eighth of a core; half of the frames, a sixteenth.
        assert_eq!(picked(budget(8.0, Some(0.07))), Some((5.0, 2)));
        assert_eq!(picked(budget(8.0, Some(0.01))), None);
    }

    #[test]
    fn the_frontier_is_what_nothing_beats() {
        let all = [measured(3.0, 3.0, 90), measured(5.0, 5.0, 97), measured(6.0, 6.0, 97), measured(7.0, 7.0, 80)];
        let choices = choices(&all, budget(10.0, None));
        let mut on: Vec<f64> = choices.iter().filter(|c| c.on_frontier).map(|c| c.measured.p99_ms).collect();
        on.sort_by(f64::total_cmp);
        assert_eq!(on, [3.0, 5.0]);
    }

    proptest! {
        #[test]
        fn what_is_picked_keeps_to_the_budget_and_nothing_within_it_is_more_accurate(
            of in proptest::collection::vec((1.0f64..30.0, 1.0f64..30.0, 0u32..100), 1..12),
            ms in 1.0f64..30.0, cores in proptest::option::of(0.02f64..1.0),
        ) {
            let all: Vec<Measured> = of.iter().map(|&(p99, cpu, exact)| measured(p99, cpu, exact)).collect();
            let choices = choices(&all, budget(ms, cores));
            let within = || choices.iter().filter(|c| c.measured.p99_ms <= ms && cores.is_none_or(|most| c.cores <= most));
            match choices.iter().find(|c| c.picked) {
                Some(picked) => {
                    prop_assert!(picked.within && picked.measured.p99_ms <= ms);
                    prop_assert!(within().all(|c| c.measured.exact <= picked.measured.exact));
                }
                None => prop_assert!(choices.iter().all(|c| !c.within)),
            }
        }
    }
}
