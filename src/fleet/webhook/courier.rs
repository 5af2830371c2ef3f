//! The thread that looks after one receiver: one event after another, longer and longer pauses while it takes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::outbox::Outbox;
use super::post::{Answer, Post, Sender};
use super::{Board, Parts, Status};
use crate::config::Webhook;
use crate::fleet::happening::{Logs, What};
use crate::store::StoreError;
use crate::store::signals::Signal;
use crate::telemetry::{Telemetry, Waiting};

/// How often it looks for something new.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// An event that the receiver calls unacceptable is sent so often before it is given up: it may have been a bad moment.
const PATIENCE: u32 = 5;
/// That events were given up is put on record no more often than this: the record is an event too.
const TOLD_EVERY: Duration = Duration::from_secs(600);

/// The thread's own.
pub(super) struct Courier {
    settings: Webhook,
    gate: String,
    outbox: Outbox,
    sender: Result<Sender, String>,
    logs: Logs,
    telemetry: Arc<Telemetry>,
    board: Board,
    status: Status,
    /// Tries of the next event, and when the next one is due.
    tries: u32,
    due: Instant,
    dropped_untold: u64,
    told_dropped: Option<Instant>,
}

impl Courier {
    pub(super) fn new(settings: Webhook, parts: &Parts) -> Result<Courier, StoreError> {
        let outbox = Outbox::open(parts.store.clone(), parts.logs.clone(), &settings)?;
        let status = Status {
            name: settings.name.clone(),
            to: settings.url.to_string(),
            pending: 0,
            oldest: None,
            sent: 0,
            dropped: 0,
            last_sent: None,
            failing_since: None,
            problem: None,
            gone: false,
        };
        let courier = Courier {
            sender: Sender::new(settings.clone()),
            gate: parts.gate.clone(),
            outbox,
            logs: parts.logs.clone(),
            telemetry: parts.telemetry.clone(),
            board: parts.board.clone(),
            status,
            tries: 0,
            due: Instant::now(),
            dropped_untold: 0,
            told_dropped: None,
            settings,
        };
        courier.board.set(&courier.status);
        Ok(courier)
    }

    /// Until it is told to stop.
    pub(super) fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let sent = self.step().unwrap_or_else(|error| {
                tracing::error!(receiver = self.settings.name, %error, "the outbox cannot be read or written");
                self.trouble(error.to_string());
                false
            });
            self.show();
            if !sent {
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }

    /// Looks for what is new, and sends the next event if it is due. `true` if the receiver took it.
    fn step(&mut self) -> Result<bool, StoreError> {
        let dropped = self.outbox.look()?;
        self.count_dropped(dropped);
        if self.status.gone || Instant::now() < self.due {
            return Ok(false);
        }
        let before = self.outbox.counts().1;
        let next = self.outbox.next()?;
        self.count_dropped(self.outbox.counts().1 - before);
        let Some(what) = next else { return Ok(false) };
        let answer = self.send(&what);
        match answer {
            Answer::Taken => {
                self.outbox.taken()?;
                self.well();
                return Ok(true);
            }
            Answer::Gone => {
                tracing::error!(
                    receiver = self.settings.name,
                    "it answered 410 (gone): nothing is sent until the next start"
                );
                self.telemetry.house.failed(&self.settings.name);
                self.trouble(
                    "it answered 410 (gone): take it out of the configuration, or start plategate anew".into(),
                );
                self.status.gone = true;
            }
            Answer::Unacceptable(why) if self.tries >= PATIENCE => {
                tracing::error!(receiver = self.settings.name, id = what.id(&self.gate), why, "an event was given up");
                self.telemetry.house.failed(&self.settings.name);
                self.outbox.given_up()?;
                self.count_dropped(1);
                // It is there, and may like the next one better.
                self.tries = 0;
                self.due = Instant::now();
            }
            Answer::Unacceptable(why) => self.later(why, None),
            Answer::Later { why, after } => self.later(why, after),
        }
        Ok(false)
    }

    fn send(&mut self, what: &What) -> Answer {
        self.tries = self.tries.saturating_add(1);
        let body = what.tell(&self.gate, self.settings.plates).to_string();
        let (id, event) = (what.id(&self.gate), what.topic().word());
        match &self.sender {
            Ok(sender) => sender.send(&Post { id: &id, event, attempt: self.tries, body: &body }),
            Err(why) => Answer::Later { why: why.clone(), after: None },
        }
    }

    fn well(&mut self) {
        if self.status.failing_since.is_some() {
            tracing::warn!(receiver = self.settings.name, "it takes events again");
        }
        self.telemetry.house.sent(&self.settings.name);
        self.status.last_sent = Some(Timestamp::now());
        (self.status.failing_since, self.status.problem) = (None, None);
        self.tries = 0;
        self.due = Instant::now();
    }

    fn later(&mut self, why: String, after: Option<Duration>) {
        self.telemetry.house.failed(&self.settings.name);
        let pause = pause(self.tries, Duration::from_secs(self.settings.retry_at_most_s));
        self.due = Instant::now() + after.unwrap_or(pause).max(pause);
        if self.status.failing_since.is_none() {
            tracing::warn!(receiver = self.settings.name, why, "it takes nothing: it is tried again and again");
        }
        if self.sender.is_err() {
            self.sender = Sender::new(self.settings.clone());
        }
        self.trouble(why);
    }

    fn trouble(&mut self, why: String) {
        self.status.failing_since.get_or_insert_with(Timestamp::now);
        self.status.problem = Some(why);
    }

    fn count_dropped(&mut self, dropped: u64) {
        if dropped > 0 {
            self.telemetry.house.dropped(&self.settings.name, dropped);
            self.dropped_untold += dropped;
        }
        let told_lately = self.told_dropped.is_some_and(|told| told.elapsed() < TOLD_EVERY);
        if self.dropped_untold == 0 || told_lately {
            return;
        }
        let (receiver, count) = (self.settings.name.clone(), self.dropped_untold);
        tracing::error!(receiver, count, "events were given up: it has been away for too long, or refused them");
        if let Err(error) = self.logs.signals.append(Signal::EventsDropped { receiver, count }) {
            tracing::error!(%error, "that events were given up could not be put on record");
        }
        (self.dropped_untold, self.told_dropped) = (0, Some(Instant::now()));
    }

    fn show(&mut self) {
        (self.status.sent, self.status.dropped) = self.outbox.counts();
        (self.status.pending, self.status.oldest) = (self.outbox.len(), self.outbox.oldest());
        self.board.set(&self.status);
        let age = self.status.oldest.map_or(0.0, |at| Timestamp::now().duration_since(at).as_secs_f64().max(0.0));
        let failing = self.status.failing_since.is_some();
        let now = Waiting { pending: self.status.pending as u64, oldest_s: age, failing };
        self.telemetry.house.waiting(&self.settings.name, now);
    }
}

/// Twice as long after each try, at most `longest`, and by chance up to a half shorter: receivers that come back are not met by everybody at once.
fn pause(tries: u32, longest: Duration) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(16));
    doubled.min(longest).mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_within_bounds() {
        let longest = Duration::from_secs(300);
        for tries in 0..200u32 {
            let wanted = (1u64 << tries.saturating_sub(1).min(9)).min(300);
            for _ in 0..20 {
                let took = pause(tries, longest);
                assert!(took <= Duration::from_secs(wanted) && took >= Duration::from_millis(wanted * 500), "{tries}");
            }
        }
    }
}
