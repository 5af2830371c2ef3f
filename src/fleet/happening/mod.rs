//! Everything that happens at the gate, in one order, from the logs on the disk: arrivals, the barrier's notes, the box's
//! own signals. Whoever tells others keeps a [`Cursor`] and asks a [`Follower`] for what came after it.

mod follow;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::barrier::By;
use crate::config::Topic;
use crate::gate::event::{Event, Outcome, Rule};
use crate::store::notes;
use crate::store::signals::{self, Signal};

pub use follow::{Cursor, Follower, Logs};

/// Which log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Arrivals.
    Arrival,
    /// The barrier's notes.
    Barrier,
    /// The box's own.
    Box,
}

impl Source {
    /// All of them.
    pub const ALL: [Source; 3] = [Source::Arrival, Source::Barrier, Source::Box];

    fn word(self) -> &'static str {
        match self {
            Source::Arrival => "arrival",
            Source::Barrier => "barrier",
            Source::Box => "box",
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A car came, or somebody opened by hand.
    Arrival(Box<Event>),
    /// Something at the barrier.
    Barrier(notes::Entry),
    /// Something with the box.
    Box(signals::Entry),
}

impl What {
    /// Which log it is of.
    pub fn source(&self) -> Source {
        match self {
            What::Arrival(_) => Source::Arrival,
            What::Barrier(_) => Source::Barrier,
            What::Box(_) => Source::Box,
        }
    }

    /// Its number there.
    pub fn number(&self) -> u64 {
        match self {
            What::Arrival(event) => event.id,
            What::Barrier(entry) => entry.id,
            What::Box(entry) => entry.id,
        }
    }

    /// When.
    pub fn at(&self) -> Timestamp {
        match self {
            What::Arrival(event) => event.at,
            What::Barrier(entry) => entry.noted.at,
            What::Box(entry) => entry.at,
        }
    }

    /// What receivers choose it by.
    pub fn topic(&self) -> Topic {
        match self {
            What::Arrival(event) => match event.outcome {
                Outcome::Opened => Topic::Opened,
                Outcome::Refused => Topic::Refused,
                Outcome::Failed => Topic::Failed,
                Outcome::Seen => Topic::Seen,
            },
            What::Barrier(entry) if entry.noted.note.is_alert() => Topic::BarrierAlert,
            What::Barrier(_) => Topic::BarrierNote,
            What::Box(entry) => match entry.signal {
                Signal::CameraLost | Signal::CameraBack => Topic::Camera,
                Signal::Started { .. } | Signal::EventsDropped { .. } | Signal::CommandRefused { .. } => Topic::Box,
            },
        }
    }

    /// The same for the same happening, however often it is told; another one for every other, also after a restored backup
    /// has begun to count from an older number.
    pub fn id(&self, gate: &str) -> String {
        let text = format!("{gate}\n{}\n{}\n{}", self.source().word(), self.number(), self.at());
        let sum = Sha256::digest(text.as_bytes());
        let hex: String = sum.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("evt_{hex}")
    }

    /// As others are told. Personal data (plates, households, people's names, what was typed) only with `plates`.
    pub fn tell(&self, gate: &str, plates: bool) -> Value {
        let mut told = json!({
            "id": self.id(gate), "event": self.topic().word(), "at": self.at(), "gate": gate,
            "number": self.number(),
        });
        match self {
            What::Arrival(event) => told["arrival"] = arrival(event, plates),
            What::Barrier(entry) => told["barrier"] = barrier(entry, plates),
            What::Box(entry) => told["box"] = own(entry, plates),
        }
        told
    }
}

/// An arrival as others are told: what was done and why, and who it was only where the residents voted so.
pub fn arrival(event: &Event, plates: bool) -> Value {
    let mut told = json!({
        "outcome": event.outcome,
        "rule": event.rule,
        "registered": event.vehicle.is_some() && !matches!(event.rule, Rule::NearMiss | Rule::Stranger),
        "by_hand": event.rule == Rule::ByHand,
        "heading": event.heading,
        "already_inside": event.already_inside,
        "picture": event.picture.is_some(),
    });
    if let Some(relay) = event.times.relay_ms {
        told["relay_ms"] = json!(relay);
    }
    if plates {
        told["plate"] = json!(event.plate);
        told["text"] = json!(event.text);
        told["household"] = json!(event.vehicle.as_ref().map(|car| &car.household));
    }
    told
}

fn barrier(entry: &notes::Entry, plates: bool) -> Value {
    let mut told = serde_json::to_value(entry.noted.note).unwrap_or_default();
    told["alert"] = json!(entry.noted.note.is_alert());
    if let Some(reason) = &entry.noted.reason {
        let by = match &reason.by {
            By::Person(_) if !plates => json!("person"),
            other => json!(other),
        };
        told["by"] = by;
    }
    told
}

fn own(entry: &signals::Entry, plates: bool) -> Value {
    let mut told = serde_json::to_value(&entry.signal).unwrap_or_default();
    if !plates && let Some(fields) = told.as_object_mut() {
        fields.remove("user");
    }
    told
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::barrier::{Note, Noted, Reason};
    use crate::gate::event::Arrival;
    use crate::picture::Picture;
    use crate::store::Store;
    use crate::store::events::Events;
    use crate::store::notes::Notes;
    use crate::store::signals::Signals;

    pub(crate) fn logs(folder: &std::path::Path) -> (Arc<Store>, Logs) {
        let store = Arc::new(Store::open(folder).unwrap());
        let logs = Logs {
            events: Arc::new(Events::open(store.clone()).unwrap()),
            notes: Arc::new(Notes::open(store.clone()).unwrap()),
            signals: Arc::new(Signals::open(store.clone()).unwrap()),
        };
        (store, logs)
    }

    pub(crate) fn came(logs: &Logs, outcome: Outcome, rule: Rule) -> Event {
        let plate = "苏F12345".parse().ok();
        let event = Event { outcome, rule, plate, text: "苏F12345".into(), ..Event::blank("gate", Timestamp::now()) };
        logs.events.append(Arrival { event, picture: Picture::filled(8, 8, [0, 0, 0]) }).unwrap()
    }

    fn noted(logs: &Logs, note: Note) -> notes::Entry {
        let reason = Some(Reason::person("王伟", "the doctor"));
        logs.notes.append(Noted { at: Timestamp::now(), note, reason }).unwrap()
    }

    #[test]
    fn the_logs_are_followed_in_order_and_from_where_one_was() {
        let folder = tempfile::tempdir().unwrap();
        let (_store, logs) = logs(folder.path());
        came(&logs, Outcome::Opened, Rule::Paid);
        let from = logs.end();
        came(&logs, Outcome::Refused, Rule::Stranger);
        noted(&logs, Note::DidNotOpen);
        logs.signals.append(Signal::CameraLost).unwrap();
        let mut follower = Follower::new(logs.clone(), from);
        let topics = |all: Vec<What>| all.iter().map(What::topic).collect::<Vec<_>>();
        assert_eq!(topics(follower.more().unwrap()), [Topic::Refused, Topic::BarrierAlert, Topic::Camera]);
        assert!(follower.more().unwrap().is_empty());
        noted(&logs, Note::Pressed);
        assert_eq!(topics(follower.more().unwrap()), [Topic::BarrierNote]);
        assert_eq!(follower.at(), logs.end());
        // A cursor of logs that are no more is no reason to tell nothing for years.
        let ahead = Cursor { arrivals: 999, ..Cursor::default() };
        assert_eq!(Follower::new(logs.clone(), ahead).at().arrivals, 2);
    }

    #[test]
    fn a_number_that_is_still_on_its_way_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (store, logs) = logs(folder.path());
        let mut follower = Follower::new(logs.clone(), logs.end());
        let tree = store.tree("signals").unwrap();
        let entry = |id| signals::Entry { id, at: Timestamp::now(), signal: Signal::CameraBack };
        let put = |id: u64| {
            let mut batch = crate::store::Batch::default();
            batch.put(&tree, id.to_be_bytes(), &entry(id));
            store.write(batch).unwrap();
        };
        // Two threads have taken the numbers 1 and 2, and the second is quicker.
        for _ in 0..2 {
            logs.signals.append(Signal::CameraLost).unwrap();
        }
        let mut batch = crate::store::Batch::default();
        batch.remove(&tree, 1u64.to_be_bytes());
        store.write(batch).unwrap();
        assert!(follower.more().unwrap().is_empty(), "the second is not told before the first");
        put(1);
        assert_eq!(follower.more().unwrap().iter().map(What::number).collect::<Vec<_>>(), [1, 2]);
        // One that was forgotten before is not waited for.
        put(3);
        let mut later = Follower::new(logs.clone(), Cursor::default());
        let mut batch = crate::store::Batch::default();
        batch.remove(&tree, 1u64.to_be_bytes());
        store.write(batch).unwrap();
        assert_eq!(later.more().unwrap().first().map(What::number), Some(2));
    }

    #[test]
    fn who_it_was_is_told_only_where_that_was_voted() {
        let folder = tempfile::tempdir().unwrap();
        let (_store, logs) = logs(folder.path());
        let hand = came(&logs, Outcome::Opened, Rule::ByHand);
        let all = [
            What::Arrival(Box::new(hand)),
            What::Barrier(noted(&logs, Note::Pressed)),
            What::Box(
                logs.signals
                    .append(Signal::CommandRefused { user: "王伟".into(), why: "it is too old".into() })
                    .unwrap(),
            ),
        ];
        let told = |plates| all.iter().map(|what| what.tell("gate", plates).to_string()).collect::<String>();
        assert!(!told(false).contains("12345") && !told(false).contains("王伟"), "{}", told(false));
        assert!(told(true).contains("苏F12345") && told(true).matches("王伟").count() == 2, "{}", told(true));
        let id = all[0].id("gate");
        assert!(id.len() == 36 && id == all[0].id("gate") && id != all[0].id("back") && id != all[1].id("gate"));
    }
}
