//! A real gate, as the sync sees it: its register, its record of arrivals, its book, and the hands that press "open".

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::command::{Act, Answer, Command, Judge};
use super::gates::Gates;
use super::home::{EventsTold, Home, HomeError};
use super::identity::Identity;
use super::wire::{Health, Upward};
use crate::config::Direction;
use crate::gate::event::Event;
use crate::gate::inside::{self, Inside};
use crate::ledger::verify::Record;
use crate::register::share::{Heard, Outcome, Told, Use};
use crate::register::version::State;
use crate::register::{Change, Key, Member, Register};
use crate::store::events::Events;
use crate::store::{Batch, Store, StoreError, Tree};

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
    /// A line for the audit log: who, what in Chinese, about what.
    fn note(&self, by: &str, what: &str, about: &str);
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
    events_heard: Mutex<Option<u64>>,
}

/// How far the broker was told of arrivals, on the disk.
struct Cursor {
    store: Arc<Store>,
    tree: Tree,
    now: Mutex<Kept>,
}

/// As it is kept: with the time of that arrival, by which a record that begins anew is noticed.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    told: EventsTold,
    #[serde(default)]
    at: Option<Timestamp>,
}

const TOLD: &[u8] = b"events told";

impl Cursor {
    /// Opens it. Where the arrivals' numbers have begun anew (their record was lost), so does the count, in a new epoch.
    fn open(store: Arc<Store>, events: &Events) -> Result<Cursor, StoreError> {
        let tree = store.tree("fleet")?;
        let mut kept: Kept = tree.get(TOLD)?.unwrap_or_default();
        let there = events.get(kept.told.id)?.map(|event| event.at);
        let is_another = there.is_some() && kept.at.is_some() && there != kept.at;
        if kept.told.epoch == 0 || kept.told.id > events.newest_number() || is_another {
            kept = Kept { told: EventsTold { epoch: rand::random_range(1..u32::MAX), id: 0 }, at: None };
            let mut batch = Batch::default();
            batch.put(&tree, TOLD, &kept);
            store.write(batch)?;
        }
        Ok(Cursor { store, tree, now: Mutex::new(kept) })
    }

    fn keep(&self, told: EventsTold, at: Option<Timestamp>) -> Result<(), StoreError> {
        let kept = Kept { told, at };
        let mut batch = Batch::default();
        batch.put(&self.tree, TOLD, &kept);
        self.store.write(batch)?;
        *self.now.lock() = kept;
        Ok(())
    }
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
        let judge = Judge::new(&identity.gate, Timestamp::now());
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
        let roster = super::join::Roster::load(self.cursor.store.folder())?;
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
            return Err(format!("{}: the compound has not said this of a box", told.key));
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
            self.hands.note("-", "拒绝远程指令", &refused.to_string());
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
    let path = super::join::roster_path(disk.cursor.store.folder());
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

impl Home for Disk {
    fn generation(&self) -> u64 {
        self.register.generation()
    }

    fn heard(&self) -> Result<Heard, HomeError> {
        Ok(self.register.heard()?)
    }

    fn begin_stream(&self, heard: &Heard) -> Result<(), HomeError> {
        Ok(self.register.begin_stream(heard)?)
    }

    fn unsent(&self, most: usize) -> Result<Vec<Told>, HomeError> {
        Ok(self.register.unsent(most)?)
    }

    fn unsent_count(&self) -> usize {
        self.register.unsent_count()
    }

    fn sent(&self, told: &[(Told, u64)]) -> Result<(), HomeError> {
        Ok(self.register.sent(told)?)
    }

    fn refuses(&self, told: &Told) -> Option<String> {
        let members = self.register.members().unwrap_or_default();
        let admitted = self.admits(told, &members);
        admitted.and_then(|()| crate::register::share::check(told, Timestamp::now())).err()
    }

    fn supersede(&self, is_it: &dyn Fn(&Key) -> bool, seq: u64) -> Result<(), HomeError> {
        Ok(self.register.supersede(is_it, seq).map(drop)?)
    }

    fn hear(&self, told: Vec<Told>, heard: &Heard) -> Result<Outcome, HomeError> {
        let outcome = self.register.hear(&told, heard)?;
        for (key, lost) in &outcome.lost {
            let what = if lost.field.is_empty() { String::new() } else { format!(" {}", lost.field) };
            let about = format!("{}{what} = {}（{}）→ {}", key.id(), lost.value, lost.by, lost.to);
            self.hands.note(&lost.by, "修改冲突，未采用", &about);
        }
        self.expect_members()?;
        Ok(outcome)
    }

    fn own_uses(&self) -> Result<Vec<Use>, HomeError> {
        Ok(self.register.own_uses()?)
    }

    fn hear_uses(&self, uses: &[Use]) -> Result<(), HomeError> {
        for pass in self.register.hear_uses(uses)? {
            let most = pass.entries.unwrap_or_default();
            self.hands.note("-", "通行证超次使用", &format!("{} {}/{most}", pass.plate, pass.used));
        }
        Ok(())
    }

    fn newest_event(&self) -> u64 {
        self.events.newest_number()
    }

    fn events_told(&self) -> Result<EventsTold, HomeError> {
        Ok(self.cursor.now.lock().told)
    }

    fn keep_events_told(&self, told: EventsTold) -> Result<(), HomeError> {
        let at = self.events.get(told.id)?.map(|event| event.at);
        Ok(self.cursor.keep(told, at)?)
    }

    fn events_after(&self, told: EventsTold, most: usize) -> Result<Vec<Upward>, HomeError> {
        let events = self.events.since(told.id, most)?;
        Ok(events.iter().map(|event| self.upward(event, told.epoch)).collect())
    }

    fn arrived(&self, events: Vec<Upward>) {
        for event in events {
            let (plate, inwards, elsewhere) = (event.plate, event.inwards, event.gate != self.identity.gate);
            let recent = event.at > Timestamp::now() - jiff::SignedDuration::from_hours(24);
            let (new, twice) = self.gates.arrived(event);
            if let Some(twice) = twice {
                let about = format!("{} {} → {}", twice.plate, twice.first.gate, twice.second.gate);
                self.hands.note("-", "同一车牌在两个门内", &about);
            }
            // So that this gate's lane knows it, too. Its own cars it knows already.
            if let (true, true, true, Some(plate)) = (new, elsewhere, recent, plate) {
                match inwards {
                    Some(true) => drop(self.inside.comes_in(plate)),
                    Some(false) => self.inside.leaves(plate),
                    None => {}
                }
            }
        }
    }

    fn events_heard(&self) -> Option<u64> {
        *self.events_heard.lock()
    }

    fn keep_events_heard(&self, seq: u64) {
        let mut heard = self.events_heard.lock();
        *heard = (*heard).max(Some(seq));
    }

    fn keeps_book(&self) -> bool {
        self.register.is_keeper().unwrap_or(false)
    }

    fn book_head(&self) -> u64 {
        self.register.ledger().book().head().0
    }

    fn book_after(&self, number: u64, most: usize) -> Vec<Record> {
        self.register.book_after(number, most)
    }

    fn hear_book(&self, records: Vec<Record>) -> Result<(), HomeError> {
        self.register.hear_book(&records).map(drop).map_err(|error| HomeError(error.to_string()))
    }

    fn health(&self) -> Health {
        let (ready, mode, trouble) = self.hands.how_it_is();
        Health {
            gate: self.identity.gate.clone(),
            station: self.identity.number,
            at: Timestamp::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready,
            mode,
            trouble,
            cars: self.register.snapshot().vehicles().len(),
            events: self.events.newest_number(),
            book: self.book_head(),
        }
    }

    fn heard_health(&self, health: Health) {
        self.gates.heard(health, Timestamp::now());
    }

    fn obey(&self, message: &[u8]) -> Answer {
        let command = match self.judged(message) {
            Ok(command) => command,
            Err(refused) => return refused,
        };
        let done = match &command.act {
            Act::Open => self.hands.open(&command.by, &command.why),
            Act::HoldOpen { until } => self.hands.hold_open(&command.by, *until),
            Act::Normal => self.hands.normal(&command.by),
            Act::Picture { .. } => Err("pictures are asked for elsewhere".to_owned()),
        };
        done.map_or_else(Answer::refused, Answer::done)
    }

    fn picture(&self, message: &[u8]) -> Result<Vec<u8>, Answer> {
        let command = self.judged(message)?;
        match command.act {
            Act::Picture { event } => self.hands.picture(event, &command.by).map_err(Answer::refused),
            _ => Err(Answer::refused("only pictures are handed out here")),
        }
    }

    fn admit(&self, message: &[u8]) -> Vec<u8> {
        let (reply, member) = super::join::admit(&self.identity, self.cursor.store.folder(), message);
        if let Some(member) = member {
            self.hands.note("-", "主机加入", &format!("{} {}", member.number, member.gate));
            if let Err(error) = self.learn_members(&[member]) {
                tracing::error!(%error, "the new box could not be put on record; the next start tries again");
            }
        }
        reply
    }

    fn admitted(&self) {
        super::join::tell_broker(&self.identity, self.cursor.store.folder());
    }
}
