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

/// Independent sums: enough to hide the latency of a fused multiply-add on two ports, few enough for the registers.
const CHAINS: usize = 12;

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
    turn_plain(turns)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn turn_fma(turns: usize) -> usize {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps};
    let (factor, add) = (_mm256_set1_ps(black_box(0.999)), _mm256_set1_ps(black_box(0.001)));
    let mut chains = [_mm256_set1_ps(black_box(1.0)); CHAINS];
    for _ in 0..turns {
        for chain in &mut chains {
            *chain = _mm256_fmadd_ps(*chain, factor, add);
        }
    }
    black_box(chains);
    turns * CHAINS * 8
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn turn_avx512(turns: usize) -> usize {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_set1_ps};
    let (factor, add) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
    let mut chains = [_mm512_set1_ps(black_box(1.0)); CHAINS];
    for _ in 0..turns {
        for chain in &mut chains {
            *chain = _mm512_fmadd_ps(*chain, factor, add);
        }
    }
    black_box(chains);
    turns * CHAINS * 16
}

/// Four floats at a time, as every 64-bit processor has them.
fn turn_plain(turns: usize) -> usize {
    let (factor, add) = (black_box(0.999_f32), black_box(0.001_f32));
    let mut chains = [[black_box(1.0_f32); 4]; CHAINS];
    for _ in 0..turns {
        for value in chains.as_flattened_mut() {
            // Where a processor has no fused multiply-add, `mul_add` is a slow function.
            *value = if cfg!(target_arch = "x86_64") { *value * factor + add } else { value.mul_add(factor, add) };
        }
    }
    black_box(chains);
    turns * CHAINS * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_that_of_a_processor() {
        // Between a million (without optimisation, under load) and a million million multiply-adds a second.
        assert!((1e6..1e12).contains(&peak()));
        assert_eq!((turn(10) % 480, turn_plain(10)), (0, 480));
    }
}
