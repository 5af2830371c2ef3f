//! The house's broker: Home Assistant, or anything else that speaks MQTT, sees how the gate is and may ask it to open.
//!
//! In: how the gate is ([`View`]), the logs on the disk, `[mqtt]`; commands of permitted users. Out: retained states, events as they
//! happen, a last will; commands to whoever carries them out ([`Commands`]), each with a name. With no broker configured nothing is
//! tried; with one that is gone it is tried again and again in a thread of its own, and nothing queues.
//!
//! - `topics`: what is where.
//! - `announce`: what Home Assistant is told of, honestly: a cover only where end switches tell the position.
//! - `state`: how the gate is, as JSON.
//! - `command`: may this be obeyed? Pure, told the time.
//! - `session`: the connection.

mod announce;
pub mod command;
mod session;
mod state;
mod topics;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;

use super::happening::Logs;
use crate::barrier::Barrier;
use crate::camera::Watcher;
use crate::config;
use crate::gate::mode::Mode;
use crate::store::Store;
use crate::telemetry::Telemetry;
pub use topics::id_of;

/// How the connection is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The broker.
    pub broker: String,
    /// It is there.
    pub connected: bool,
    /// Since when it is so.
    pub since: Timestamp,
    /// What was last wrong; none while it is there.
    pub problem: Option<String>,
}

/// How the connection is, for those who show it; clones are one and the same. Nothing where no broker is configured.
#[derive(Clone, Debug, Default)]
pub struct Link(Arc<Mutex<Option<Status>>>);

impl Link {
    /// How it is.
    pub fn status(&self) -> Option<Status> {
        self.0.lock().clone()
    }

    fn set(&self, broker: &config::Broker, connected: bool, problem: Option<String>) {
        let mut status = self.0.lock();
        let since = status.as_ref().filter(|s| s.connected == connected).map_or_else(Timestamp::now, |s| s.since);
        *status = Some(Status { broker: broker.to_string(), connected, since, problem });
    }
}

/// What a press led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pressed {
    /// The relay moved.
    Pressed,
    /// It had moved a moment ago.
    JustPressed,
}

/// Carries commands out, with the name of who gave them on record. Called from a thread that may wait.
pub trait Commands: Send + Sync {
    /// Presses "open". The error is one line.
    fn open(&self, who: &str, why: &str) -> Result<Pressed, String>;
    /// Sets how the gate is run; by its rules means that the schedule has its say again.
    fn set_mode(&self, who: &str, mode: Mode) -> Result<(), String>;
    /// Puts on record that a command was refused.
    fn refused(&self, who: &str, why: &str);
}

/// What the broker is told about.
pub struct View {
    /// The barrier.
    pub barrier: Arc<Barrier>,
    /// The camera.
    pub watcher: Watcher,
    /// Counters, and whether the lane is alive.
    pub telemetry: Arc<Telemetry>,
    /// What happened.
    pub logs: Logs,
    /// What is amiss with the box, a word each; asked every few minutes, and may take some seconds.
    pub health: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
}

/// Everything the connection needs.
pub struct Parts {
    /// `[mqtt]`.
    pub settings: config::Mqtt,
    /// The gate's name.
    pub gate: String,
    /// What is told.
    pub view: View,
    /// Who obeys.
    pub commands: Arc<dyn Commands>,
    /// Where used codes are kept.
    pub store: Arc<Store>,
    /// Where to show how it goes.
    pub link: Link,
}

/// The running connection.
pub struct Mqtt {
    stop: watch::Sender<bool>,
    thread: std::thread::JoinHandle<()>,
}

/// How long a stop waits for the broker to be told.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Mqtt {
    /// Starts it, where a broker is configured.
    pub fn start(parts: Parts) -> anyhow::Result<Option<Mqtt>> {
        let Some(broker) = parts.settings.broker.clone() else { return Ok(None) };
        parts.link.set(&broker, false, None);
        let session = session::Session::new(parts, broker)?;
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("mqtt".into()).spawn(move || {
            runtime.block_on(session.run(stopped));
            runtime.shutdown_timeout(Duration::from_millis(50));
        })?;
        Ok(Some(Mqtt { stop, thread }))
    }

    /// Says goodbye to the broker, if it is there.
    pub fn stop(self) {
        // Nobody listens if the thread has ended.
        let _ = self.stop.send(true);
        let until = Instant::now() + LAST_WORDS;
        while !self.thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
