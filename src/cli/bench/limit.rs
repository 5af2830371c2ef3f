//! How far is it to the limit? The networks' multiply-adds against the most that one core of this machine can do.

use std::hint::black_box;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::config;
use crate::vision::profile::{self, Work};

/// The distance to the limit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Limit {
    /// The most multiply-adds of 32-bit floats that one core did in a second here, thousand millions.
    pub peak_gmacs: f64,
    /// The networks, each run once.
    pub networks: Vec<Network>,
    /// Multiply-adds of one frame with one plate, millions.
    pub frame_mmacs: f64,
    /// What they would take at the peak, milliseconds. Networks in 8-bit integers may take less.
    pub at_peak_ms: f64,
    /// Of a frame's time, the share 0..1 that passes inside of the networks.
    pub networks_share: f64,
    /// Of a frame's time, the share 0..1 that passes in convolutions and matrix products; none where a provider does not tell.
    pub arithmetic_share: Option<f64>,
}

/// One network's part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Network {
    /// `detector`, `corners` or `reader`.
    pub name: String,
    /// Multiply-adds of one run, millions.
    pub mmacs: f64,
    /// The median run, milliseconds.
    pub run_ms: f64,
    /// At the peak, milliseconds.
    pub at_peak_ms: f64,
    /// Of the run, the share 0..1 in convolutions and matrix products; none where a provider does not tell.
    pub arithmetic_share: Option<f64>,
}

/// Measures it; `networks_share` is what was found of frames with a plate.
pub fn measure(settings: &config::Vision, networks_share: f64) -> anyhow::Result<Limit> {
    let folder = std::env::temp_dir().join(format!("plategate-profile-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let works = profile::all(settings, &folder);
    let _ = std::fs::remove_dir_all(&folder);
    let (works, peak) = (works?, peak());
    let at_peak_ms = |macs: f64| round(macs / peak * 1e3, 3);
    let network = |work: &Work| Network {
        name: work.network.into(),
        mmacs: round(work.macs / 1e6, 2),
        run_ms: work.run_ms,
        at_peak_ms: at_peak_ms(work.macs),
        arithmetic_share: work.arithmetic.map(|share| round(share, 3)),
    };
    let macs: f64 = works.iter().map(|w| w.macs).sum();
    let run: f64 = works.iter().map(|w| w.run_ms).sum();
    let arithmetic: Option<f64> = works.iter().map(|w| Some(w.arithmetic? * w.run_ms)).sum();
    Ok(Limit {
        peak_gmacs: round(peak / 1e9, 1),
        networks: works.iter().map(network).collect(),
        frame_mmacs: round(macs / 1e6, 2),
        at_peak_ms: at_peak_ms(macs),
        networks_share: round(networks_share, 3),
        arithmetic_share: arithmetic.map(|ms| round(networks_share * ms / run.max(1e-9), 3)),
    })
}

fn round(value: f64, places: i32) -> f64 {
    let by = 10f64.powi(places);
    (value * by).round() / by
}

/// The best of several tries: multiply-adds of 32-bit floats a second, one core, everything in registers.
fn peak() -> f64 {
    const TURNS: usize = 200_000;
    let once = || {
        let begun = Instant::now();
        let macs = turn(TURNS);
        macs as f64 / begun.elapsed().as_secs_f64()
    };
    (0..12).map(|_| once()).fold(0.0, f64::max)
}

/// Multiplies and adds in registers so many times; gives how many multiply-adds that were.
fn turn(turns: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has AVX-512F, which is all that the function asks for.
        return unsafe { turn_avx512(turns) };
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has AVX2 and FMA, which is all that the function asks for.
        return unsafe { turn_fma(turns) };
    }
    turn_plain::<4>(turns)
}

/// Twelve independent chains of eight floats: enough to hide an FMA's latency on two ports.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn turn_fma(turns: usize) -> usize {
    turn_plain::<8>(turns)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn turn_avx512(turns: usize) -> usize {
    turn_plain::<16>(turns)
}

#[inline(always)]
fn turn_plain<const LANES: usize>(turns: usize) -> usize {
    const CHAINS: usize = 12;
    let (factor, add) = (black_box([0.999_f32; LANES]), black_box([0.001_f32; LANES]));
    let mut chains = black_box([[1.0_f32; LANES]; CHAINS]);
    for _ in 0..turns {
        for chain in &mut chains {
            for ((value, f), a) in chain.iter_mut().zip(factor).zip(add) {
                // Where a processor has no fused multiply-add, `mul_add` is a slow function.
                *value = if cfg!(target_arch = "x86_64") && LANES == 4 { *value * f + a } else { value.mul_add(f, a) };
            }
        }
    }
    black_box(chains);
    turns * CHAINS * LANES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_that_of_a_processor() {
        // Between a million (without optimisation, under load) and a million million multiply-adds a second.
        assert!((1e6..1e12).contains(&peak()));
        assert_eq!(turn(10) % 120, 0);
    }
}
