//! Hundreds of gates in one process against a real broker: the sync of `plategate run`, word for word, with gates in memory.
//!
//! In: how many gates, cars and arrivals, and for how long the broker is away in the middle. Out: what was lost, what was shown
//! twice, whether all registers are the same afterwards, how long it took, and what it cost.

pub mod broker;
pub mod gate;
mod report;
mod stage;

use std::time::Duration;

use anyhow::Context;

use broker::Broker;
pub use report::{Percentiles, Report};
use stage::Stage;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Gates in all.
    pub gates: usize,
    /// Gates of one compound: they share a register, and hear each other's arrivals.
    pub per_compound: usize,
    /// Cars in all.
    pub cars: usize,
    /// Arrivals in all.
    pub events: u64,
    /// Arrivals in a second, of all gates together; 0: all of them at once.
    pub per_second: u64,
    /// How long the broker is away in the middle.
    pub cut: Duration,
    /// A running broker without rights; none: one of our own is started, and killed for the cut.
    pub server: Option<String>,
    /// Draws the same gates, cars and conflicts again.
    pub seed: u64,
}

/// Told while it goes on: what is done, how much of how much.
pub type Progress<'a> = dyn Fn(&str, u64, u64) + 'a;

/// Runs it.
pub fn run(plan: &Plan, progress: &Progress<'_>) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = TemporaryFolder::new()?;
    let mut own = match plan.server {
        Some(_) => None,
        None => {
            let program = broker::program()
                .context("nats-server is not installed: apt install nats-server, or name a broker with --server")?;
            Some(Broker::open(&program, &folder.0, 64 << 30)?)
        }
    };
    let url = plan.server.clone().or_else(|| own.as_ref().map(Broker::url)).unwrap_or_default();
    let report = runtime.block_on(async {
        let mut stage = Stage::build(plan, &url)?;
        tokio::select! {
            report = stage.play(plan, own.as_mut(), progress) => report,
            // The broker and its folder are not to be left behind.
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("stopped")),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    report
}

/// A folder that goes when the simulation ends.
pub(crate) struct TemporaryFolder(std::path::PathBuf);

impl TemporaryFolder {
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }

    pub(crate) fn new() -> std::io::Result<TemporaryFolder> {
        let name = format!("plategate-fleet-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(TemporaryFolder(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // A leftover is in the temporary folder, where it goes at the next start.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
