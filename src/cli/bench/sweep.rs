//! Every provider, precision and number of threads that this box offers, each measured in a process of its own.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::Report;
use super::machine::Machine;
use crate::cli::again;
use crate::config::{Precision, Provider};

/// What is measured in all its forms.
pub struct Wanted<'a> {
    /// Pictures, if not the painted ones.
    pub frames: &'a [PathBuf],
    /// How often each is measured.
    pub rounds: u32,
    /// One provider alone.
    pub provider: Option<Provider>,
    /// One precision alone.
    pub precision: Option<Precision>,
    /// One number of threads alone.
    pub threads: Option<u16>,
    /// What is the same for all, as arguments.
    pub besides: Vec<String>,
}

/// The whole result.
#[derive(Serialize, Deserialize)]
pub struct Sweep {
    /// Where.
    pub machine: Machine,
    /// What was measured, the fastest first.
    pub rows: Vec<Row>,
    /// Providers that cannot be had here, and why.
    pub missing: Vec<Missing>,
}

/// One way of computing.
#[derive(Serialize, Deserialize)]
pub struct Row {
    /// Such as `cpu`.
    pub provider: String,
    /// Such as `int8`.
    pub precision: String,
    /// Threads a network may use.
    pub threads: u16,
    /// What came of it.
    pub report: Report,
}

/// A provider that cannot be had.
#[derive(Serialize, Deserialize)]
pub struct Missing {
    /// Which.
    pub provider: String,
    /// Why, in one line.
    pub reason: String,
}

/// A value as it is written in the configuration.
pub fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}

/// One thread, two, four, … and as many as there are cores.
pub fn thread_counts(cores: usize) -> Vec<u16> {
    let mut counts: Vec<u16> = (0..7).map(|n| 1 << n).filter(|&n| usize::from(n) < cores).collect();
    counts.push(cores.min(64) as u16);
    counts
}

/// Measures all of it; `tell` hears what is being measured.
pub fn run(wanted: &Wanted<'_>, tell: impl Fn(&str)) -> anyhow::Result<Sweep> {
    let machine = Machine::here();
    let providers = wanted.provider.map_or_else(|| Provider::value_variants().to_vec(), |p| vec![p]);
    let precisions = wanted.precision.map_or_else(|| Precision::value_variants().to_vec(), |p| vec![p]);
    let threads = wanted.threads.map_or_else(|| thread_counts(machine.cores), |n| vec![n]);
    let (mut rows, mut missing) = (Vec::new(), Vec::new());
    for provider in providers {
        let provider = name(&provider);
        'one: for precision in &precisions {
            for &threads in &threads {
                let precision = name(precision);
                tell(&format!("{provider}, {precision}, {threads} threads"));
                match measure(wanted, &provider, &precision, threads) {
                    Ok(report) => rows.push(Row { provider: provider.clone(), precision, threads, report }),
                    // What a library does not offer with one thread it does not offer with two.
                    Err(error) => {
                        let reason = format!("{error:#}");
                        if missing.iter().all(|m: &Missing| m.provider != provider) {
                            missing.push(Missing { provider: provider.clone(), reason });
                        }
                        break 'one;
                    }
                }
            }
        }
    }
    let p50 = |row: &Row| row.report.stages.decision.as_ref().map_or(f64::INFINITY, |s| s.p50_ms);
    rows.sort_by(|a, b| p50(a).total_cmp(&p50(b)));
    Ok(Sweep { machine, rows, missing })
}

fn measure(wanted: &Wanted<'_>, provider: &str, precision: &str, threads: u16) -> anyhow::Result<Report> {
    let mut command = again::command("bench")?;
    command.args(["--json", "--rounds", &wanted.rounds.to_string(), "--provider", provider]);
    command.args(["--precision", precision, "--threads", &threads.to_string()]);
    command.args(&wanted.besides);
    for path in wanted.frames {
        command.arg("--frames").arg(path);
    }
    again::result(&mut command)
}

impl Sweep {
    /// The table for a terminal.
    pub fn print(&self) {
        println!("{}", self.machine);
        println!(
            "{:24} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8}",
            "decision, milliseconds", "p50", "p95", "p99", "pulse p99", "frames/s", "MB", "ready ms"
        );
        for Row { provider, precision, threads, report } in &self.rows {
            let Some(decision) = &report.stages.decision else { continue };
            let pulse = report.stages.pulse.as_ref().map_or(0.0, |s| s.p99_ms);
            println!(
                "{:24} {:>9.3} {:>9.3} {:>9.3} {pulse:>9.3} {:>9.1} {:>8.0} {:>8.0}",
                format!("{provider} {precision} x{threads}"),
                decision.p50_ms,
                decision.p95_ms,
                decision.p99_ms,
                report.frames_per_second,
                report.rss_mb,
                report.cold_start_ms
            );
        }
        for Missing { provider, reason } in &self.missing {
            println!("{provider}: {reason}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_double_up_to_the_cores() {
        assert_eq!(thread_counts(1), [1]);
        assert_eq!(thread_counts(2), [1, 2]);
        assert_eq!(thread_counts(6), [1, 2, 4, 6]);
        assert_eq!(thread_counts(8), [1, 2, 4, 8]);
    }
}
