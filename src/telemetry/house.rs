//! What is counted about the barrier's notes, the webhooks and the broker.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Receiver {
    receiver: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answer {
    answer: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct At {
    broker: String,
}

/// A receiver's numbers that go up and down.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waiting {
    /// Events that wait for it.
    pub pending: u64,
    /// The age of the oldest of them, seconds; 0 where none waits.
    pub oldest_s: f64,
    /// 1 while it takes nothing.
    pub failing: bool,
}

/// The counters.
#[derive(Default)]
pub struct House {
    notes: Family<Kind, Counter>,
    faults: Family<Kind, Gauge>,
    pending: Family<Receiver, Gauge>,
    oldest: Family<Receiver, Gauge<f64, AtomicU64>>,
    failing: Family<Receiver, Gauge>,
    sent: Family<Receiver, Counter>,
    failed: Family<Receiver, Counter>,
    dropped: Family<Receiver, Counter>,
    connected: Family<At, Gauge>,
    published: Counter,
    unpublished: Counter,
    commands: Family<Answer, Counter>,
}

impl House {
    /// All of them, on the page of metrics.
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("barrier_notes", "What happened at the barrier, by kind", self.notes.clone());
        registry.register("barrier_fault", "1 while this is wrong with the barrier", self.faults.clone());
        registry.register("webhook_pending", "Events that wait for a receiver", self.pending.clone());
        let oldest = "Age of the oldest event that waits for a receiver";
        registry.register_with_unit("webhook_oldest", oldest, Unit::Seconds, self.oldest.clone());
        registry.register("webhook_failing", "1 while a receiver takes nothing", self.failing.clone());
        registry.register("webhook_sent", "Events that a receiver took", self.sent.clone());
        registry.register("webhook_failed", "Tries that a receiver did not take", self.failed.clone());
        registry.register("webhook_dropped", "Events that were given up for a receiver", self.dropped.clone());
        registry.register("mqtt_connected", "1 while the broker is there", self.connected.clone());
        registry.register("mqtt_published", "Messages handed to the broker", self.published.clone());
        registry.register("mqtt_unpublished", "Messages that found no room on their way", self.unpublished.clone());
        registry.register("mqtt_commands", "Commands by what became of them", self.commands.clone());
    }

    /// A kind of note is there from the start, so that the first one of its kind is seen as a rise.
    pub fn expect_notes<'a>(&self, kinds: impl IntoIterator<Item = &'a str>) {
        for kind in kinds {
            let _ = self.notes.get_or_create(&Kind { kind: kind.to_owned() });
        }
    }

    /// Something was noted at the barrier.
    pub fn noted(&self, kind: &str) {
        self.notes.get_or_create(&Kind { kind: kind.to_owned() }).inc();
    }

    /// Is this wrong with the barrier?
    pub fn fault(&self, kind: &str, is_there: bool) {
        self.faults.get_or_create(&Kind { kind: kind.to_owned() }).set(i64::from(is_there));
    }

    /// How a receiver is doing.
    pub fn waiting(&self, receiver: &str, now: Waiting) {
        let label = Receiver { receiver: receiver.to_owned() };
        self.pending.get_or_create(&label).set(now.pending as i64);
        self.oldest.get_or_create(&label).set(now.oldest_s);
        self.failing.get_or_create(&label).set(i64::from(now.failing));
        for counter in [&self.sent, &self.failed, &self.dropped] {
            let _ = counter.get_or_create(&label);
        }
    }

    /// A receiver took an event.
    pub fn sent(&self, receiver: &str) {
        self.sent.get_or_create(&Receiver { receiver: receiver.to_owned() }).inc();
    }

    /// It did not.
    pub fn failed(&self, receiver: &str) {
        self.failed.get_or_create(&Receiver { receiver: receiver.to_owned() }).inc();
    }

    /// Events were given up.
    pub fn dropped(&self, receiver: &str, count: u64) {
        self.dropped.get_or_create(&Receiver { receiver: receiver.to_owned() }).inc_by(count);
    }

    /// The broker is there, or has gone.
    pub fn connected(&self, broker: &str, is_there: bool) {
        self.connected.get_or_create(&At { broker: broker.to_owned() }).set(i64::from(is_there));
    }

    /// A message was handed over, or found no room.
    pub fn published(&self, is_on_its_way: bool) {
        if is_on_its_way {
            self.published.inc()
        } else {
            self.unpublished.inc()
        };
    }

    /// A command was obeyed, refused or has failed.
    pub fn command(&self, answer: &str) {
        self.commands.get_or_create(&Answer { answer: answer.to_owned() }).inc();
    }
}
