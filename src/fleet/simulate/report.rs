//! What came of it, and what it cost.

use std::time::Instant;

use anyhow::Context;
use serde::Serialize;

use super::Plan;
use super::stage::Stage;
use crate::fleet::wire::Stream;

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Gates.
    pub gates: usize,
    /// Compounds that they belong to.
    pub compounds: usize,
    /// Cars in all registers together.
    pub cars: usize,
    /// Arrivals that happened.
    pub events_sent: u64,
    /// Arrivals that every gate of their compound has shown.
    pub events_received: u64,
    /// The others.
    pub lost: u64,
    /// Arrivals that some gate has shown twice.
    pub duplicated: u64,
    /// Deliveries of the broker that were repetitions, and were not shown.
    pub repeated: u64,
    /// Seconds from the broker's return until everybody had everything.
    pub catch_up_s: f64,
    /// Are all registers of each compound the same?
    pub register_converged: bool,
    /// Two stewards' changes of one car, on gates that were cut off from each other.
    pub conflicts: usize,
    /// From a change at a gate until another one of its compound had it, while arrivals flood: milliseconds.
    pub change_ms: Percentiles,
    /// Until every gate had its compound's cars, at the start: seconds.
    pub first_sync_s: f64,
    /// Arrivals that the broker acknowledged in a second, in the flood before the cut.
    pub events_per_s: f64,
    /// Memory of this process for each gate, MB.
    pub rss_mb_per_gate: f64,
    /// Bytes that the broker keeps of an arrival.
    pub bytes_per_event: f64,
    /// Bytes that the broker keeps of a car.
    pub bytes_per_car: f64,
    /// All of it, seconds.
    pub took_s: f64,
}

/// Of measured times.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Percentiles {
    /// Half of them took no longer.
    pub p50: f32,
    /// Of a hundred one took longer.
    pub p99: f32,
    /// The longest.
    pub max: f32,
    /// How many.
    pub n: usize,
}

impl Stage {
    /// Bytes that the broker keeps of an arrival and of a car.
    pub(super) async fn bytes(&self) -> anyhow::Result<(f64, f64)> {
        let client = async_nats::connect(&self.url).await?;
        let js = async_nats::jetstream::new(client);
        let mut sums = [(0u64, 0u64); 2];
        for compound in &self.compounds {
            for (sum, stream) in sums.iter_mut().zip([Stream::Events, Stream::Register]) {
                let name = stream.name(&compound.name);
                let state = js.get_stream(&name).await?.cached_info().state.clone();
                *sum = (sum.0 + state.bytes, sum.1 + state.messages);
                if js.delete_stream(&name).await.is_err() {
                    tracing::warn!(name, "a stream of the simulation stays at the broker");
                }
            }
            // Empty, but it is there.
            let _ = js.delete_stream(Stream::Book.name(&compound.name)).await;
        }
        let [events, cars] = sums.map(|(bytes, n)| bytes as f64 / n.max(1) as f64);
        Ok((events, cars))
    }

    pub(super) fn report(&self, plan: &Plan, begun: Instant, fill: impl Fn(Report) -> Report) -> Report {
        let (mut received, mut duplicated, mut repeated, mut converged) = (0, 0, 0, true);
        for compound in &self.compounds {
            let shown: Vec<(u64, u64, u64)> = compound.gates.iter().map(|gate| gate.shown()).collect();
            received += shown.iter().map(|s| s.0).min().unwrap_or(0);
            duplicated += shown.iter().map(|s| s.1).sum::<u64>();
            repeated += shown.iter().map(|s| s.2 - s.0 - s.1).sum::<u64>();
            let prints: Vec<(usize, u64)> = compound.gates.iter().map(|gate| gate.fingerprint()).collect();
            converged &= prints.windows(2).all(|pair| pair[0] == pair[1]);
        }
        let grown = rss().unwrap_or(0).saturating_sub(self.rss_before);
        let round = |value: f64, places: i32| (value * 10f64.powi(places)).round() / 10f64.powi(places);
        let report = fill(Report {
            gates: self.links.len(),
            compounds: self.compounds.len(),
            cars: plan.cars,
            events_sent: plan.events,
            events_received: received,
            lost: plan.events - received.min(plan.events),
            duplicated,
            repeated,
            catch_up_s: 0.0,
            register_converged: converged,
            conflicts: 0,
            change_ms: percentiles(&self.world.latencies.lock()),
            first_sync_s: 0.0,
            events_per_s: 0.0,
            rss_mb_per_gate: round(grown as f64 / 1e6 / self.links.len() as f64, 3),
            bytes_per_event: 0.0,
            bytes_per_car: 0.0,
            took_s: begun.elapsed().as_secs_f64(),
        });
        Report {
            catch_up_s: round(report.catch_up_s, 2),
            first_sync_s: round(report.first_sync_s, 2),
            events_per_s: report.events_per_s.round(),
            bytes_per_event: round(report.bytes_per_event, 1),
            bytes_per_car: round(report.bytes_per_car, 1),
            took_s: round(report.took_s, 1),
            ..report
        }
    }
}

fn percentiles(values: &[f32]) -> Percentiles {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let at = |share: f64| sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1)));
    let of = |share| at(share).copied().unwrap_or_default();
    Percentiles { p50: of(0.5), p99: of(0.99), max: of(1.0), n: sorted.len() }
}

/// Memory that this process has, bytes.
pub(super) fn rss() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("/proc/self/status has another form")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let values: Vec<f32> = (1..=100).map(|n| n as f32).collect();
        let told = percentiles(&values);
        assert_eq!((told.p50, told.p99, told.max, told.n), (51.0, 100.0, 100.0, 100));
        assert_eq!(percentiles(&[]).max, 0.0);
    }
}
