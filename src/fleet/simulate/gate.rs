//! A gate in memory, as the sync sees it: the same states, stamps and numbers as a real one, without its disk.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use crate::fleet::command::Answer;
use crate::fleet::gates::Gates;
use crate::fleet::home::{EventsTold, Home, HomeError, Next};
use crate::fleet::wire::{Health, Upward};
use crate::gate::event::{Outcome as What, Rule};
use crate::ledger::Hash;
use crate::ledger::verify::Record;
use crate::plate::Plate;
use crate::register::share::{self, Heard, Outcome, Told, Use};
use crate::register::version::{HybridClock, Stamp, Versioned};
use crate::register::{Change, Key, Vehicle};

/// What begins the remark of a car whose change is timed; microseconds of the simulation follow.
const TIMED: &str = "timed ";

/// What all gates of a simulation tell to.
pub struct World {
    /// When it began.
    pub begun: std::time::Instant,
    /// Milliseconds from a change at one gate until another one had it.
    pub latencies: Mutex<Vec<f32>>,
}

/// One gate.
pub struct SimGate {
    /// Its name.
    pub gate: String,
    /// Its number in the compound.
    pub number: u16,
    /// Its compound's cars.
    pub cars: Arc<Vec<Plate>>,
    world: Arc<World>,
    generation: AtomicU64,
    register: Mutex<SimRegister>,
    /// Arrivals so far.
    pub happened: AtomicU64,
    told: Mutex<EventsTold>,
    heard: Mutex<Option<u64>>,
    gates: Gates,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct SimRegister {
    /// As a real one has them on its disk.
    versions: HashMap<Key, Box<[u8]>>,
    unsent: BTreeSet<Key>,
    heard: Heard,
    clock: HybridClock,
}

/// Which arrivals this gate's page has shown, kept apart from the code that is to keep it from showing one twice.
#[derive(Default)]
struct Shown {
    of: HashMap<u16, Vec<u64>>,
    once: u64,
    again: u64,
    delivered: u64,
}

impl SimGate {
    /// A gate that knows nothing yet. Its clock is off by up to a second, as real ones are.
    pub fn new(number: u16, cars: Arc<Vec<Plate>>, world: Arc<World>) -> SimGate {
        let gate = format!("gate-{number}");
        let clock = HybridClock::after(Stamp::default(), number);
        SimGate {
            gates: Gates::new(&gate),
            gate,
            number,
            cars,
            world,
            generation: AtomicU64::new(1),
            register: Mutex::new(SimRegister { clock, ..SimRegister::default() }),
            happened: AtomicU64::new(0),
            told: Mutex::new(EventsTold { epoch: 1, id: 0 }),
            heard: Mutex::default(),
            shown: Mutex::default(),
        }
    }

    /// A steward writes cars at this gate.
    pub fn write(&self, by: &str, cars: &[Vehicle]) {
        let mut register = self.register.lock();
        for car in cars {
            let change = Change::Vehicle(car.clone());
            let key = share::key(&change);
            let mut versioned = register.get(&key);
            let skew = SignedDuration::from_millis(i64::from(self.number % 5) * 200);
            let at = register.clock.tick(Timestamp::now() + skew);
            share::write(&mut versioned.state, &change, at, by);
            register.put(&key, &versioned);
            register.unsent.insert(key);
        }
        drop(register);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The same, timed until every other gate has it.
    pub fn write_timed(&self, plate: Plate) {
        let note = format!("{TIMED}{}", self.world.begun.elapsed().as_micros());
        self.write("steward", &[Vehicle { note, ..Vehicle::new(plate, "1-101") }]);
    }

    /// Cars that it has, and a sum over everything that it knows of each.
    pub fn fingerprint(&self) -> (usize, u64) {
        let register = self.register.lock();
        let sum = register.versions.values().map(|bytes| {
            let versioned: Versioned = serde_json::from_slice(bytes).unwrap_or_default();
            let text = serde_json::to_vec(&versioned.state).unwrap_or_default();
            u64::from(crc32fast::hash(&text)) << 16 | text.len() as u64 & 0xffff
        });
        (register.versions.len(), sum.fold(0, u64::wrapping_add))
    }

    /// How many cars it has, without looking at them.
    pub fn known(&self) -> usize {
        self.register.lock().versions.len()
    }

    /// Arrivals that its page has shown: once, again, and how many were delivered in all.
    pub fn shown(&self) -> (u64, u64, u64) {
        let shown = self.shown.lock();
        (shown.once, shown.again, shown.delivered)
    }

    /// How far the broker has its arrivals.
    pub fn acknowledged(&self) -> u64 {
        self.told.lock().id
    }

    fn event(&self, epoch: u32, id: u64) -> Upward {
        let known = !id.is_multiple_of(3);
        let plate = known.then(|| self.cars[(id as usize * 7 + usize::from(self.number) * 13) % self.cars.len()]);
        let at = Timestamp::now();
        Upward {
            station: self.number,
            epoch,
            id,
            at,
            gate: self.gate.clone(),
            outcome: if known { What::Opened } else { What::Refused },
            rule: if known { Rule::Paid } else { Rule::Stranger },
            plate,
            household: known.then(|| "1-101".to_owned()),
            inwards: known.then_some(id.is_multiple_of(2)),
        }
    }
}

impl SimRegister {
    fn get(&self, key: &Key) -> Versioned {
        self.versions.get(key).and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
    }

    fn put(&mut self, key: &Key, versioned: &Versioned) {
        let bytes = serde_json::to_vec(versioned).unwrap_or_default().into_boxed_slice();
        self.versions.insert(key.clone(), bytes);
    }
}

impl Home for SimGate {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn heard(&self) -> Result<Heard, HomeError> {
        Ok(self.register.lock().heard.clone())
    }

    fn begin_stream(&self, heard: &Heard) -> Result<(), HomeError> {
        let mut register = self.register.lock();
        register.heard = heard.clone();
        let keys: Vec<Key> = register.versions.keys().cloned().collect();
        for key in keys {
            let versioned = register.get(&key);
            if versioned.seq != 0 {
                register.put(&key, &Versioned { seq: 0, ..versioned });
            }
            register.unsent.insert(key);
        }
        drop(register);
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn unsent(&self, most: usize) -> Result<Vec<Told>, HomeError> {
        let register = self.register.lock();
        let told = |key: &Key| {
            let Versioned { state, seq } = register.get(key);
            Told { key: key.clone(), state, seq }
        };
        Ok(register.unsent.iter().take(most).map(told).collect())
    }

    fn unsent_count(&self) -> usize {
        self.register.lock().unsent.len()
    }

    fn sent(&self, told: &[(Told, u64)]) -> Result<(), HomeError> {
        let mut register = self.register.lock();
        for (told, seq) in told {
            let mut now = register.get(&told.key);
            if now.state == told.state {
                register.unsent.remove(&told.key);
            }
            now.seq = now.seq.max(*seq);
            register.put(&told.key, &now);
        }
        Ok(())
    }

    fn refuses(&self, told: &Told) -> Option<String> {
        share::check(told, Timestamp::now()).err()
    }

    fn supersede(&self, is_it: &dyn Fn(&Key) -> bool, seq: u64) -> Result<(), HomeError> {
        let mut register = self.register.lock();
        let found: Vec<Key> = register.versions.keys().filter(|key| is_it(key)).cloned().collect();
        for key in found {
            let versioned = register.get(&key);
            register.put(&key, &Versioned { seq: seq.max(versioned.seq), ..versioned });
            register.unsent.insert(key);
        }
        drop(register);
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn hear(&self, told: Vec<Told>, heard: &Heard) -> Result<Outcome, HomeError> {
        let (mut outcome, mut register) = (Outcome::default(), self.register.lock());
        for told in told {
            let mut versioned = register.get(&told.key);
            if told.seq != 0 && versioned.seq >= told.seq {
                continue;
            }
            register.clock.hear(told.state.newest());
            let noted = versioned.state.value("note").cloned();
            let taken = versioned.take(&told.state, told.seq);
            outcome.changed += usize::from(taken.changed);
            outcome.lost.extend(taken.lost.into_iter().map(|lost| (told.key.clone(), lost)));
            match taken.unsent {
                true => register.unsent.insert(told.key.clone()),
                false => register.unsent.remove(&told.key),
            };
            register.put(&told.key, &versioned);
            if noted.as_ref() != told.state.value("note") {
                self.time(&told);
            }
        }
        register.heard = heard.clone();
        drop(register);
        self.generation.fetch_add(1, Ordering::Release);
        Ok(outcome)
    }

    fn own_uses(&self) -> Result<Vec<Use>, HomeError> {
        Ok(Vec::new())
    }

    fn hear_uses(&self, _: &[Use]) -> Result<(), HomeError> {
        Ok(())
    }

    fn newest_event(&self) -> u64 {
        self.happened.load(Ordering::Acquire)
    }

    fn events_told(&self) -> Result<EventsTold, HomeError> {
        Ok(*self.told.lock())
    }

    fn keep_events_told(&self, told: EventsTold) -> Result<(), HomeError> {
        *self.told.lock() = told;
        Ok(())
    }

    fn events_after(&self, told: EventsTold, most: usize) -> Result<Next, HomeError> {
        let up_to = self.newest_event().min(told.id + most as u64);
        Ok(Next { events: (told.id + 1..=up_to).map(|id| self.event(told.epoch, id)).collect(), up_to })
    }

    fn arrived(&self, events: Vec<Upward>) {
        let mut shown = self.shown.lock();
        for event in events {
            let (station, id) = (event.station, event.id as usize);
            shown.delivered += 1;
            if !self.gates.arrived(event).0 {
                continue;
            }
            let bits = shown.of.entry(station).or_default();
            if bits.len() <= id / 64 {
                bits.resize(id / 64 + 1, 0);
            }
            let again = bits[id / 64] & 1 << (id % 64) != 0;
            bits[id / 64] |= 1 << (id % 64);
            *(if again { &mut shown.again } else { &mut shown.once }) += 1;
        }
    }

    fn events_heard(&self) -> Option<u64> {
        *self.heard.lock()
    }

    fn keep_events_heard(&self, seq: u64) {
        let mut heard = self.heard.lock();
        *heard = (*heard).max(Some(seq));
    }

    fn keeps_book(&self) -> bool {
        false
    }

    fn book_head(&self) -> u64 {
        0
    }

    fn book_after(&self, _: u64, _: usize) -> Vec<Record> {
        Vec::new()
    }

    fn hear_book(&self, _: Vec<Record>) -> Result<(), HomeError> {
        Ok(())
    }

    fn missing_receipts(&self) -> Vec<Hash> {
        Vec::new()
    }

    fn holders(&self) -> Vec<String> {
        Vec::new()
    }

    fn keep_receipt(&self, _: &Hash, _: &[u8]) -> Result<bool, HomeError> {
        Ok(false)
    }

    fn health(&self) -> Health {
        Health {
            gate: self.gate.clone(),
            station: self.number,
            at: Timestamp::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: true,
            mode: "normal".to_owned(),
            trouble: String::new(),
            cars: self.known(),
            events: self.newest_event(),
            book: 0,
        }
    }

    fn heard_health(&self, health: Health) {
        self.gates.heard(health, Timestamp::now());
    }

    fn obey(&self, _: &[u8]) -> Answer {
        Answer::refused("a simulated gate has no arm")
    }

    fn picture(&self, _: &[u8]) -> Result<Vec<u8>, Answer> {
        Err(Answer::refused("a simulated gate has no camera"))
    }

    fn admit(&self, _: &[u8]) -> Vec<u8> {
        Vec::new()
    }

    fn admitted(&self) {}
}

impl SimGate {
    /// Notes how long a timed change was on its way.
    fn time(&self, told: &Told) {
        let note = told.state.value("note").and_then(|note| note.as_str()?.strip_prefix(TIMED)?.parse::<u128>().ok());
        if let Some(micros) = note {
            let took = self.world.begun.elapsed().as_micros().saturating_sub(micros);
            self.world.latencies.lock().push(took as f32 / 1e3);
        }
    }
}
