//! Webhooks: receivers on the house's side that are told what happens at the gate, each signed, at least once, in order.
//!
//! In: the logs on the disk ([`crate::fleet::happening`]), `[[webhook]]`. Out: one signed POST an event, and how each receiver is doing
//! ([`Board`]). A receiver has a thread of its own, so one that is slow, dead or hangs keeps nobody waiting but itself.
//!
//! - `outbox`: what waits for a receiver. It is a cursor into the logs, not a copy of them: it costs the disk a line, and it is
//!   bounded, the oldest giving way.
//! - `post`: one signed request, and what its answer means.
//! - `courier`: the thread: look, send, wait longer and longer.

mod courier;
mod outbox;
mod post;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;

use super::happening::Logs;
use super::secret::{SecretError, Secrets};
use crate::config;
use crate::store::{Store, StoreError};
use crate::telemetry::Telemetry;
use post::Sender;
pub use post::{Answer, Post, signature};

/// How a receiver is doing.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Where it is: scheme, host and port.
    pub to: String,
    /// Events that wait for it.
    pub pending: usize,
    /// When the oldest of them happened.
    pub oldest: Option<Timestamp>,
    /// Events that it took, ever.
    pub sent: u64,
    /// Events that were given up for it, ever.
    pub dropped: u64,
    /// When it last took one, since the start.
    pub last_sent: Option<Timestamp>,
    /// Since when it takes nothing.
    pub failing_since: Option<Timestamp>,
    /// What it, or the network, said last; none while it is well.
    pub problem: Option<String>,
    /// It said that it is no more (410); nothing is sent until the next start.
    pub gone: bool,
}

/// How all receivers are doing; clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Vec<Status>>>);

impl Board {
    /// All of them, in the order of the configuration.
    pub fn all(&self) -> Vec<Status> {
        self.0.lock().clone()
    }

    fn set(&self, status: &Status) {
        let mut all = self.0.lock();
        match all.iter_mut().find(|known| known.name == status.name) {
            Some(known) => known.clone_from(status),
            None => all.push(status.clone()),
        }
    }
}

/// What a courier is given.
pub struct Parts {
    /// The data folder.
    pub store: Arc<Store>,
    /// What happened.
    pub logs: Logs,
    /// Counters.
    pub telemetry: Arc<Telemetry>,
    /// Where to show how it goes.
    pub board: Board,
    /// The gate's name.
    pub gate: String,
}

/// The couriers.
#[derive(Default)]
pub struct Webhooks {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// How long a stop waits for couriers; one that is in the middle of a request is left: the event is sent again after the start.
const LAST_WORDS: Duration = Duration::from_millis(300);

impl Webhooks {
    /// Starts a courier for each receiver. Receivers that are no longer configured are forgotten.
    pub fn start(settings: &[config::Webhook], parts: &Parts) -> Result<Webhooks, StoreError> {
        outbox::forget_all_but(&parts.store, settings)?;
        let mut webhooks = Webhooks::default();
        for receiver in settings {
            let courier = courier::Courier::new(receiver.clone(), parts)?;
            let stop = webhooks.stop.clone();
            let thread = std::thread::Builder::new().name("webhook".into()).spawn(move || courier.run(&stop));
            match thread {
                Ok(thread) => webhooks.threads.push(thread),
                Err(error) => tracing::error!(receiver = receiver.name, %error, "the courier could not be started"),
            }
        }
        Ok(webhooks)
    }

    /// Stops them. What was not sent is sent after the next start.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let until = Instant::now() + LAST_WORDS;
        for thread in self.threads {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// The secrets of a receiver.
pub fn secrets(settings: &config::Webhook) -> Result<Secrets, SecretError> {
    match (&settings.secret_file, &settings.secret_env) {
        (Some(file), _) => Secrets::of_file(file),
        (None, name) => Secrets::of_environment(name.as_deref().unwrap_or_default()),
    }
}

/// Sends one message to a receiver, once: for a person who tries it.
pub fn try_once(settings: &config::Webhook, id: &str, event: &str, body: &str) -> Answer {
    match Sender::new(settings.clone()) {
        Ok(sender) => sender.send(&Post { id, event, attempt: 1, body }),
        Err(why) => Answer::Later { why, after: None },
    }
}
