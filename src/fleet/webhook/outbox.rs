//! What waits for one receiver: a cursor into the logs on the disk, and in memory where to find what comes next.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config;
use crate::fleet::happening::{Cursor, Follower, Logs, Source, What};
use crate::store::{Batch, Store, StoreError, Tree};

const TREE: &str = "webhooks";

/// What is kept of a receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// Its name, which is the key too.
    name: String,
    /// It was told everything up to here that it wants to hear.
    told: Cursor,
    /// Events that it took.
    #[serde(default)]
    sent: u64,
    /// Events that were given up.
    #[serde(default)]
    dropped: u64,
}

/// Where an event is that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    source: Source,
    number: u64,
    /// When it happened.
    pub(super) at: Timestamp,
}

/// The outbox of one receiver.
pub(super) struct Outbox {
    store: Arc<Store>,
    tree: Tree,
    logs: Logs,
    follower: Follower,
    wanted: Vec<config::Topic>,
    keep: usize,
    queue: VecDeque<Place>,
    record: Record,
    /// As it was last written.
    written: Record,
}

/// With nothing waiting, the cursor is written again after so many events that the receiver did not want.
const WRITTEN_EVERY: u64 = 500;

/// Receivers that are no longer configured are forgotten: one that is configured again begins with what happens then.
pub(super) fn forget_all_but(store: &Store, settings: &[config::Webhook]) -> Result<(), StoreError> {
    let tree = store.tree(TREE)?;
    let mut batch = Batch::default();
    for record in tree.all::<Record>()? {
        if settings.iter().all(|receiver| receiver.name != record.name) {
            batch.remove(&tree, &record.name);
        }
    }
    store.write(batch)
}

impl Outbox {
    /// Goes on where it was. A new receiver is told what happens from now on.
    pub(super) fn open(store: Arc<Store>, logs: Logs, settings: &config::Webhook) -> Result<Outbox, StoreError> {
        let tree = store.tree(TREE)?;
        let known: Option<Record> = tree.get(settings.name.as_bytes())?;
        let is_new = known.is_none();
        let record =
            known.unwrap_or_else(|| Record { name: settings.name.clone(), told: logs.end(), ..Record::default() });
        let follower = Follower::new(logs.clone(), record.told);
        let mut outbox = Outbox {
            store,
            tree,
            logs,
            follower,
            wanted: settings.events.clone(),
            keep: settings.keep,
            queue: VecDeque::new(),
            written: record.clone(),
            record,
        };
        if is_new {
            outbox.write()?;
        }
        Ok(outbox)
    }

    /// Takes in what has happened. Gives how many of the oldest had to give way.
    pub(super) fn look(&mut self) -> Result<u64, StoreError> {
        let mut dropped = 0;
        loop {
            let more = self.follower.more()?;
            if more.is_empty() {
                break;
            }
            let place = |what: &What| Place { source: what.source(), number: what.number(), at: what.at() };
            self.queue.extend(more.iter().filter(|what| self.wanted.contains(&what.topic())).map(place));
            while self.queue.len() > self.keep {
                self.give_up();
                dropped += 1;
            }
        }
        if self.queue.is_empty() {
            self.record.told = self.follower.at();
        }
        let (told, written) = (self.record.told, self.written.told);
        let moved: u64 = Source::ALL.into_iter().map(|s| told.get(s).saturating_sub(written.get(s))).sum();
        if dropped > 0 || moved >= WRITTEN_EVERY {
            self.write()?;
        }
        Ok(dropped)
    }

    /// The next event for the receiver. One that has been forgotten since (a stranger's, after its time) is passed over.
    pub(super) fn next(&mut self) -> Result<Option<What>, StoreError> {
        while let Some(place) = self.queue.front() {
            if let Some(what) = self.logs.get(place.source, place.number)? {
                return Ok(Some(what));
            }
            self.give_up();
        }
        Ok(None)
    }

    /// The next one was taken.
    pub(super) fn taken(&mut self) -> Result<(), StoreError> {
        self.step();
        self.record.sent += 1;
        self.write()
    }

    /// The next one will never be taken.
    pub(super) fn given_up(&mut self) -> Result<(), StoreError> {
        self.give_up();
        self.write()
    }

    fn give_up(&mut self) {
        self.step();
        self.record.dropped += 1;
    }

    fn step(&mut self) {
        if let Some(place) = self.queue.pop_front() {
            self.record.told.set(place.source, place.number);
        }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.put(&self.tree, &self.record.name, &self.record);
        self.store.write(batch)?;
        self.written.clone_from(&self.record);
        Ok(())
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// When the oldest that waits happened.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.queue.front().map(|place| place.at)
    }

    /// Events taken and given up, ever.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.record.sent, self.record.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::happening::tests::{came, logs};
    use crate::gate::event::{Outcome, Rule};

    fn settings(more: &str) -> config::Webhook {
        let text = format!("[[webhook]]\nname = \"house\"\nurl = \"http://x/\"\nsecret_env = \"S\"\n{more}");
        config::Config::parse(&text, std::path::Path::new("x")).unwrap().webhook.remove(0)
    }

    #[test]
    fn what_was_not_taken_waits_also_over_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = {
            let (store, logs) = logs(folder.path());
            came(&logs, Outcome::Opened, Rule::Paid);
            let mut outbox = Outbox::open(store, logs.clone(), &settings("")).unwrap();
            assert_eq!(outbox.look().unwrap(), 0);
            assert!(outbox.next().unwrap().is_none(), "a new receiver is not told of the past");
            let ids: Vec<u64> = [Outcome::Opened, Outcome::Seen, Outcome::Refused]
                .map(|outcome| came(&logs, outcome, Rule::Stranger).id)
                .into();
            outbox.look().unwrap();
            assert_eq!((outbox.len(), outbox.next().unwrap().unwrap().number()), (2, ids[0]));
            outbox.taken().unwrap();
            (ids[0], ids[2])
        };
        let (store, logs) = logs(folder.path());
        let mut outbox = Outbox::open(store.clone(), logs.clone(), &settings("")).unwrap();
        outbox.look().unwrap();
        assert_eq!((outbox.len(), outbox.next().unwrap().unwrap().number(), outbox.counts()), (1, second, (1, 0)));
        assert!(second > first);
        outbox.taken().unwrap();
        assert!(outbox.next().unwrap().is_none() && outbox.oldest().is_none());
        // Taken out of the configuration and put in again, it begins anew.
        came(&logs, Outcome::Opened, Rule::Paid);
        forget_all_but(&store, &[]).unwrap();
        let mut outbox = Outbox::open(store, logs, &settings("")).unwrap();
        outbox.look().unwrap();
        assert!(outbox.len() == 0 && outbox.counts() == (0, 0));
    }

    #[test]
    fn a_receiver_that_is_dead_for_long_loses_the_oldest_and_that_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (store, logs) = logs(folder.path());
        let mut outbox = Outbox::open(store.clone(), logs.clone(), &settings("keep = 10\n")).unwrap();
        let ids: Vec<u64> = (0..25).map(|_| came(&logs, Outcome::Opened, Rule::Paid).id).collect();
        assert_eq!(outbox.look().unwrap(), 15);
        assert_eq!((outbox.len(), outbox.next().unwrap().unwrap().number()), (10, ids[15]));
        drop(outbox);
        let mut outbox = Outbox::open(store, logs, &settings("keep = 10\n")).unwrap();
        assert_eq!(outbox.look().unwrap(), 0, "what was given up is not given up twice");
        assert_eq!((outbox.len(), outbox.counts()), (10, (0, 15)));
    }

    #[test]
    fn what_has_been_forgotten_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let (store, logs) = logs(folder.path());
        let mut outbox = Outbox::open(store.clone(), logs.clone(), &settings("")).unwrap();
        let ids: Vec<u64> = (0..2).map(|_| came(&logs, Outcome::Refused, Rule::Stranger).id).collect();
        outbox.look().unwrap();
        let tree = store.tree("events").unwrap();
        let mut batch = Batch::default();
        batch.remove(&tree, ids[0].to_be_bytes());
        store.write(batch).unwrap();
        assert_eq!(outbox.next().unwrap().unwrap().number(), ids[1]);
        assert_eq!(outbox.counts(), (0, 1));
    }
}
