//! A real gate, as the sync sees it: its register, its record of arrivals, its book, and the hands that press "open".

mod home;
mod record;
mod waits;

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::command::{Answer, Command, Judge};
use super::gates::Gates;
use super::identity::Identity;
use super::wire::Upward;
use crate::config::Direction;
use crate::gate::event::Event;
use crate::gate::inside::{self, Inside};
use crate::register::share::Told;
use crate::register::version::State;
use crate::register::{Change, Key, Member, Register};
use crate::store::events::Events;
use crate::store::{Store, StoreError};
use crate::text::one_line;
use record::Cursor;
use waits::Waits;

/// What the gate does when it is told, and how it is; each with its own line on record.
pub trait Hands: Send + Sync {
    /// Presses "open" in a person's name. `Err` says why it did not move.
    fn open(&self, by: &str, why: &str) -> Result<String, String>;
    /// Keeps the gate open until then, or until told otherwise.
    fn hold_open(&self, by: &str, until: Option<Timestamp>) -> Result<String, String>;
    /// The rules have their say again.
    fn normal(&self, by: &str) -> Result<String, String>;
    /// The picture of an arrival, JPEG; on record who asked for it.
    fn picture(&self, event: u64, by: &str) -> Result<Vec<u8>, String>;
    /// A line for the audit log: who, what in Chinese, of which record (or none), about what.
    fn note(&self, by: &str, what: &str, of: &str, about: &str);
    /// Do frames come and are they read; how the barrier is run; what is amiss.
    fn how_it_is(&self) -> (bool, String, String);
}

/// The gate.
pub struct Disk {
    /// Its register and book.
    pub register: Arc<Register>,
    /// Its record of arrivals.
    pub events: Arc<Events>,
    /// What is known of the other gates.
    pub gates: Arc<Gates>,
    /// Who is inside, for this gate's lane.
    pub inside: Inside,
    /// Which way its lane goes.
    pub direction: Direction,
    identity: Arc<Identity>,
    hands: Arc<dyn Hands>,
    judge: Judge,
    cursor: Cursor,
    waits: Mutex<Waits>,
    events_heard: Mutex<Option<u64>>,
}

/// What a gate is made of, for the sync.
pub struct Parts {
    /// See [`Disk`].
    pub store: Arc<Store>,
    /// See [`Disk`].
    pub register: Arc<Register>,
    /// See [`Disk`].
    pub events: Arc<Events>,
    /// See [`Disk`].
    pub gates: Arc<Gates>,
    /// See [`Disk`].
    pub inside: Inside,
    /// See [`Disk`].
    pub direction: Direction,
    /// See [`Disk`].
    pub hands: Arc<dyn Hands>,
}

impl Disk {
    /// Opens what the sync keeps for itself, and lets the other boxes know of this one.
    pub fn open(parts: Parts, identity: Arc<Identity>) -> Result<Disk, StoreError> {
        let Parts { store, register, events, gates, inside, direction, hands } = parts;
        if register.station() != identity.number {
            register.set_station(identity.number)?;
        }
        let own = identity.member();
        let cursor = Cursor::open(store, &events)?;
        let judge = cursor.judge(&identity.gate)?;
        // What is on record, not what was given: the lane runs already.
        let settled = events.newest(1, None)?.first().map_or(0, |event| event.id);
        let waits = Mutex::new(Waits::after(settled));
        let disk = Disk {
            register,
            events,
            gates,
            inside,
            direction,
            identity,
            hands,
            judge,
            cursor,
            waits,
            events_heard: Mutex::default(),
        };
        disk.learn_members(&[own])?;
        disk.read_roster()?;
        disk.expect_members()?;
        Ok(disk)
    }

    /// What the founder's commands have changed in the roster while the gate ran, or did not.
    pub fn read_roster(&self) -> Result<(), StoreError> {
        if !self.identity.is_founder() {
            return Ok(());
        }
        let roster = crate::fleet::join::Roster::load(self.cursor.folder())?;
        self.learn_members(&roster.members)
    }

    /// Puts boxes on record, for all gates; one that is out stays out.
    fn learn_members(&self, members: &[Member]) -> Result<(), StoreError> {
        let known = self.register.members()?;
        let is_news =
            |m: &&Member| !known.contains(m) && !known.iter().any(|k| k.number == m.number && k.out && !m.out);
        let changes: Vec<Change> = members.iter().filter(is_news).cloned().map(Change::Member).collect();
        if changes.is_empty() {
            return Ok(());
        }
        self.register.apply("plategate", &changes)?;
        self.expect_members()
    }

    fn expect_members(&self) -> Result<(), StoreError> {
        for member in self.register.members()? {
            match member.out {
                false if self.identity.vouched(&member) => self.gates.expect(&member.gate),
                _ => self.gates.forget(&member.gate),
            }
        }
        Ok(())
    }

    /// May this state of a box's membership be taken over? Only what the compound said, and never back in after out.
    fn admits(&self, told: &Told, members: &[Member]) -> Result<(), String> {
        let Some(member) = member_of(&told.key, &told.state) else { return Ok(()) };
        if !self.identity.vouched(&member) {
            return Err(one_line(&format!("{}: the compound has not said this of a box", told.key)));
        }
        match members.iter().find(|m| m.number == member.number) {
            Some(known) if known.out && !member.out => Err(format!("{}: this box was shut out", told.key)),
            _ => Ok(()),
        }
    }

    fn upward(&self, event: &Event, epoch: u32) -> Upward {
        let way = inside::way(event.outcome, event.heading, self.direction);
        let inwards = way.map(|way| way == Direction::In);
        Upward::of(event, self.identity.number, epoch, &self.identity.gate, inwards)
    }

    fn judged(&self, message: &[u8]) -> Result<Command, Answer> {
        let members = self.register.members().map_err(|error| Answer::refused(error.to_string()))?;
        self.judge.judge(message, &members, |m| self.identity.vouched(m), Timestamp::now()).map_err(|refused| {
            self.hands.note("-", "拒绝远程指令", "", &refused.to_string());
            Answer::refused(refused.to_string())
        })
    }
}

/// How often the founder's box looks whether a command has changed the roster.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(2);

/// Takes over what the founder's commands change in the roster while the gate runs, for ever.
pub async fn watch_roster(disk: Arc<Disk>) {
    if !disk.identity.is_founder() {
        return;
    }
    let path = crate::fleet::join::roster_path(disk.cursor.folder());
    let mut seen = None;
    loop {
        let written = tokio::fs::metadata(&path).await.and_then(|file| file.modified()).ok();
        if written != seen {
            seen = written;
            let there = disk.clone();
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || there.read_roster()).await {
                tracing::error!(%error, "the roster of boxes could not be read");
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The box that a record is about, if it is about one.
fn member_of(key: &Key, state: &State) -> Option<Member> {
    match crate::register::share::change(key, state) {
        Ok(Some(Change::Member(member))) => Some(member),
        _ => None,
    }
}
