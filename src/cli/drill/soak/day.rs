//! One day of the gate, and the evening's counting.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::measure::{self, Evening, MB};
use super::traffic::{self, Camera, Eyes, Press, Script};
use crate::accounts::Accounts;
use crate::barrier::{Note, Noted};
use crate::clock::{Clock, Hands};
use crate::config::{self, Config};
use crate::gate::event::{Arrival, Outcome, Rule};
use crate::gate::lane::{Lane, Parts};
use crate::ledger::{Account, Draft, Fen, What};
use crate::plate::Plate;
use crate::register::{Change, Register, Vehicle, demo};
use crate::store::Store;
use crate::store::caution::Caution;
use crate::store::events::Events;
use crate::store::notes::Notes;
use crate::store::retention::Room;
use crate::store::rounds::Rounds;

/// Short enough that a month sees everything go.
const STRANGERS_DAYS: u32 = 5;
const EVENTS_DAYS: u32 = 10;
/// Less than the pictures of ten days.
const PICTURES_BYTES: u64 = 6 << 20;
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What happened so far.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) arrivals: u64,
    pub(super) recorded: u64,
    /// Cars that came again so soon that it was the same arrival.
    pub(super) again: u64,
    pub(super) opened: u64,
    pub(super) changes: u64,
    pub(super) forgotten: usize,
    pub(super) thinned: usize,
    pub(super) backups: u64,
    pub(super) backups_failed: u64,
    pub(super) restarts: u64,
    pub(super) jumps: u64,
    pub(super) lost: u64,
}

/// The gate and what is around it.
pub(super) struct World {
    folder: PathBuf,
    stick: PathBuf,
    clock: Hands,
    random: ChaCha8Rng,
    rooms: Option<Rooms>,
    caution: Caution,
    neighbours: Vec<Plate>,
    /// When each arrival that is on record was.
    times: Vec<Timestamp>,
    /// When each plate was last in the lane.
    seen: HashMap<Plate, Instant>,
    /// Entries that the book must have.
    entries: usize,
    pub(super) tally: Tally,
    pub(super) faults: Vec<String>,
}

/// Everything that is open while the gate runs.
struct Rooms {
    register: Arc<Register>,
    events: Events,
    notes: Notes,
    accounts: Accounts,
    rounds: Rounds,
    lane: Lane,
    script: Script,
    arrivals: Receiver<Arrival>,
}

impl World {
    pub(super) fn begin(folder: &Path, seed: u64) -> anyhow::Result<World> {
        let begin: Timestamp = "2026-10-01T16:00:00Z".parse()?;
        let mut world = World {
            folder: folder.join("data"),
            stick: folder.join("stick"),
            clock: Hands::at(begin, TimeZone::system()),
            random: ChaCha8Rng::seed_from_u64(seed),
            rooms: None,
            caution: Caution::default(),
            neighbours: Vec::new(),
            times: Vec::new(),
            seen: HashMap::new(),
            entries: 0,
            tally: Tally::default(),
            faults: Vec::new(),
        };
        std::fs::create_dir_all(&world.stick)?;
        let rooms = world.open()?;
        demo::load(&rooms.register)?;
        world.neighbours = rooms.register.snapshot().vehicles().iter().map(|v| v.plate).collect();
        world.entries = rooms.register.ledger().book().entries().len();
        world.rooms = Some(rooms);
        Ok(world)
    }

    fn open(&self) -> anyhow::Result<Rooms> {
        let store = Arc::new(Store::open(&self.folder)?);
        let register = Arc::new(Register::open(store.clone())?);
        let backup =
            config::Backup { folder: Some(self.stick.clone()), keep: 3, same_disk: true, ..Default::default() };
        let (script, clock) = (Script::default(), self.clock.clone());
        let camera = Camera { script: script.clone(), clock: clock.clone(), sequence: 0 };
        let eyes = Eyes { script: script.clone(), readings: Vec::new() };
        let press = Press { clock: clock.clone(), last: Mutex::default() };
        // Its pictures are all alike: no lookout.
        let (parts, arrivals) = Parts::new(camera, eyes, register.snapshot(), press, 16);
        let snapshots = register.clone();
        let register_now = Box::new(move || snapshots.snapshot());
        let lane = Lane::new(Parts { register: register_now, clock: Box::new(clock), ..parts });
        Ok(Rooms {
            events: Events::open(store.clone())?,
            notes: Notes::open(store.clone())?,
            accounts: Accounts::open(store.clone())?,
            rounds: Rounds::new(store, &Config { backup, ..Config::default() }),
            register,
            lane,
            script,
            arrivals,
        })
    }

    pub(super) fn live_a_day(&mut self, day: u32, arrivals: u32) -> anyhow::Result<()> {
        let midnight = self.clock.wall();
        let times = traffic::times(arrivals, &mut self.random);
        let mut next = times.iter().peekable();
        for hour in 0..24i64 {
            let end = midnight + HOUR * (hour as i32 + 1);
            while let Some(second) = next.next_if(|s| i64::from(**s) < (hour + 1) * 3600) {
                self.sleep_until(midnight + SignedDuration::from_secs(i64::from(*second)));
                self.somebody_comes()?;
            }
            self.sleep_until(end);
            self.stewards_work(day, hour)?;
            self.rounds(day, hour)?;
        }
        if day % 7 == 3 {
            self.restart()?;
        }
        if day % 10 == 6 {
            self.clock_jumps()?;
        }
        Ok(())
    }

    /// Time passes; a queue of cars may be late.
    fn sleep_until(&self, at: Timestamp) {
        if let Ok(time) = Duration::try_from(at.duration_since(self.clock.wall())) {
            self.clock.turn(time);
        }
    }

    fn rooms(&mut self) -> &mut Rooms {
        self.rooms.as_mut().expect("open from begin to end")
    }

    fn somebody_comes(&mut self) -> anyhow::Result<()> {
        let (plate, clear) = traffic::who(&self.neighbours, &mut self.random);
        let mut random = self.random.clone();
        let rooms = self.rooms();
        traffic::approach(&rooms.script, &plate, clear, &mut random);
        while !rooms.script.lock().is_empty() {
            rooms.lane.step(Duration::ZERO);
        }
        let came: Vec<Arrival> = rooms.arrivals.try_iter().collect();
        self.random = random;
        self.tally.arrivals += 1;
        let now = self.clock.now();
        let before = self.seen.insert(plate, now);
        if came.is_empty() {
            let same = Duration::from_secs(config::Gate::default().repeat_after_s);
            match before.is_some_and(|before| now.saturating_duration_since(before) < same) {
                true => self.tally.again += 1,
                false => self.faults.push(format!("{plate} came at {} and is not on record", self.clock.wall())),
            }
        }
        for arrival in came {
            let at = arrival.event.at;
            let rooms = self.rooms();
            let event = rooms.events.append(arrival)?;
            let opened = event.outcome == Outcome::Opened;
            if opened {
                rooms.notes.append(Noted { at, note: Note::Passed { direction: None }, reason: None })?;
            }
            self.tally.recorded += 1;
            self.tally.opened += u64::from(opened);
            self.times.push(at);
        }
        Ok(())
    }

    /// A car now and then, some money, and always a line of the audit log.
    fn stewards_work(&mut self, day: u32, hour: i64) -> anyhow::Result<()> {
        if !(9..20).contains(&hour) {
            return Ok(());
        }
        let number = self.random.random_range(10_000..10_050);
        let plate: Plate = format!("苏E{number}").parse()?;
        let amount = Fen::of(self.random.random_range(100..20_000));
        let take_out = self.random.random_bool(0.4);
        let rooms = self.rooms();
        let change = match take_out {
            true => Change::Remove(plate),
            false => Change::Vehicle(Vehicle { note: format!("day {day}"), ..Vehicle::new(plate, "2-301") }),
        };
        let campaign = rooms.register.ledger().book().main_campaign().name;
        let what = What::Contribution { campaign, plate: None, household: "2-301".into(), amount, into: Account::Bank };
        rooms.register.apply_and_enter("soak", &[change], &[Draft::now("soak", what)])?;
        rooms.accounts.audit.add("soak", "演练", &format!("{day} {hour}"), None)?;
        self.entries += 1;
        self.tally.changes += 2;
        Ok(())
    }

    /// What a running gate does every hour.
    fn rounds(&mut self, day: u32, hour: i64) -> anyhow::Result<()> {
        // The stick is pulled out for a day now and then.
        let away = self.folder.with_file_name("pulled");
        if day % 9 == 5 && hour == 1 {
            std::fs::rename(&self.stick, &away)?;
            std::fs::write(&self.stick, "no folder")?;
        }
        if day % 9 == 6 && hour == 1 && away.exists() {
            std::fs::remove_file(&self.stick)?;
            std::fs::rename(&away, &self.stick)?;
        }
        let clock = self.clock.clone();
        let now = clock.wall();
        let rooms = self.rooms.as_mut().expect("open from begin to end");
        let newest = rooms.events.newest(1, None)?.first().map(|e| e.at);
        if self.caution.may_delete(&clock, newest) {
            self.tally.forgotten += rooms.events.prune(now, STRANGERS_DAYS, EVENTS_DAYS)?;
            rooms.notes.prune(now, EVENTS_DAYS)?;
            let oldest = now - SignedDuration::from_hours(24 * i64::from(EVENTS_DAYS));
            self.times.retain(|at| *at >= oldest);
        }
        let thinned = rooms.events.thin_out(Room { pictures: PICTURES_BYTES, free: 0 })?;
        self.tally.thinned += thinned.pictures;
        if thinned.still_short {
            self.faults.push(format!("day {day}: pictures take more than their share"));
        }
        if rooms.rounds.is_due(now) {
            match rooms.rounds.look(now) {
                true => self.tally.backups += 1,
                false => self.tally.backups_failed += 1,
            }
        }
        Ok(())
    }

    /// Stopped and started, as after an update.
    fn restart(&mut self) -> anyhow::Result<()> {
        self.rooms = None;
        self.rooms = Some(self.open()?);
        self.caution = Caution::default();
        self.tally.restarts += 1;
        Ok(())
    }

    /// The clock is years ahead for a few hours, and then forty years behind: nothing may go for it.
    fn clock_jumps(&mut self) -> anyhow::Result<()> {
        let right = self.clock.wall();
        let before = self.rooms().events.count();
        for wrong in ["2036-01-01T00:00:00Z", "1984-01-01T00:00:00Z"] {
            self.clock.set_wall(wrong.parse()?);
            for _ in 0..3 {
                self.clock.turn(Duration::from_secs(3600));
                let (clock, now) = (self.clock.clone(), self.clock.wall());
                let rooms = self.rooms.as_mut().expect("open from begin to end");
                let newest = rooms.events.newest(1, None)?.first().map(|e| e.at);
                if self.caution.may_delete(&clock, newest) {
                    rooms.events.prune(now, STRANGERS_DAYS, EVENTS_DAYS)?;
                }
            }
        }
        self.clock.set_wall(right);
        self.tally.jumps += 2;
        let after = self.rooms().events.count();
        if after != before {
            self.faults.push(format!("{before} arrivals before the clock jumped, {after} after"));
        }
        Ok(())
    }

    /// Counts and measures.
    pub(super) fn evening(&mut self, day: u32) -> anyhow::Result<Evening> {
        let now = self.clock.wall();
        let (expected, entries) = (self.times.len(), self.entries);
        let rooms = self.rooms.as_ref().expect("open from begin to end");
        let events = rooms.events.newest(usize::MAX, None)?;
        let on_record = events.len();
        let mut faults = Vec::new();
        if on_record != expected {
            faults.push(format!("day {day}: {on_record} arrivals on record, {expected} expected"));
            self.tally.lost += expected.saturating_sub(on_record) as u64;
        }
        // An hour and a day: retention looks every hour, and holds back for a day after the clock jumped.
        let due = now - SignedDuration::from_hours(24 * i64::from(STRANGERS_DAYS + 1) + 1);
        let named = |rule: Rule| matches!(rule, Rule::Stranger | Rule::NearMiss | Rule::Unreadable);
        let kept = events.iter().filter(|e| e.at < due && named(e.rule) && !e.is_anonymous()).count();
        if kept > 0 {
            faults.push(format!("day {day}: {kept} strangers' numbers are there after their time"));
        }
        let found = rooms.register.ledger().book().entries().len();
        if found != entries || rooms.register.ledger().fault().is_some() {
            faults.push(format!("day {day}: the book has {found} entries, {entries} expected"));
            self.tally.lost += entries.saturating_sub(found) as u64;
        }
        let pictures = rooms.events.pictures_bytes();
        let counted = measure::bytes_below(&self.folder.join("pictures"));
        if pictures != counted {
            faults.push(format!("day {day}: pictures are said to take {pictures} bytes and take {counted}"));
        }
        self.faults.append(&mut faults);
        Ok(Evening {
            day,
            on_record,
            memory_mb: measure::memory(),
            store_mb: measure::bytes_below(&self.folder.join("register.sled")) as f64 / MB,
            journal_mb: measure::bytes_below(&self.folder.join("journal")) as f64 / MB,
            pictures_mb: counted as f64 / MB,
        })
    }
}
