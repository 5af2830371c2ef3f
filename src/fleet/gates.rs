//! What is known of all gates of the compound: how each is, who came last, and cars that are inside at two gates at once.
//!
//! In: arrivals and health of every gate, this one included, in any order. Out: what the page shows. In memory only: the broker
//! tells it again after a start.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::Serialize;

use super::seen::Seen;
use super::wire::{Health, Upward};
use crate::plate::Plate;

/// A gate, at a glance.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Glance {
    /// Its name.
    pub gate: String,
    /// How it said it was.
    pub health: Option<Health>,
    /// When that was, on this box's clock.
    pub heard: Option<Timestamp>,
    /// It has said nothing for longer than gates do.
    pub silent: bool,
    /// Seconds by which its clock is ahead of this box's.
    pub clock_ahead_s: i64,
    /// Its last arrival.
    pub last: Option<Upward>,
}

/// A car that came in at two gates without leaving.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Twice {
    /// Its plate.
    pub plate: Plate,
    /// Where it was first.
    pub first: Upward,
    /// Where it came in then.
    pub second: Upward,
}

/// A gate says how it is every few seconds; one that has not for so long is silent.
pub const SILENT_AFTER: Duration = Duration::from_secs(20);
/// A car whose leaving is never seen may come in again after so long.
const LEAVES_UNSEEN_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// What is remembered: arrivals of all gates, alerts, moves of a car, cars.
const MOST_ARRIVALS: usize = 200;
const MOST_ALERTS: usize = 50;
const MOST_MOVES: usize = 12;
const MOST_CARS: usize = 20_000;

/// The clock of a box that is off by more than this is wrong (GA/T 1742-2020 allows five seconds).
pub const CLOCK_TOLERANCE_S: i64 = 5;

#[derive(Debug, Default)]
struct Inner {
    gates: BTreeMap<String, (Glance, Option<Instant>)>,
    arrivals: VecDeque<Upward>,
    alerts: VecDeque<Twice>,
    moves: HashMap<Plate, Vec<Upward>>,
    seen: Seen,
}

/// All gates.
#[derive(Debug)]
pub struct Gates {
    own: String,
    inner: Mutex<Inner>,
}

impl Gates {
    /// Of the compound of this gate.
    pub fn new(own: &str) -> Gates {
        Gates { own: own.to_owned(), inner: Mutex::default() }
    }

    /// This gate's name.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// An arrival at some gate. `true` if it is new, and an alert if it is one.
    pub fn arrived(&self, event: Upward) -> (bool, Option<Twice>) {
        let mut inner = self.inner.lock();
        if !inner.seen.is_new((event.station, event.epoch), event.id) {
            return (false, None);
        }
        let glance = &mut inner.gates.entry(event.gate.clone()).or_default().0;
        glance.gate.clone_from(&event.gate);
        if glance.last.as_ref().is_none_or(|last| last.at <= event.at) {
            glance.last = Some(event.clone());
        }
        // In the order of their times, the newest first: a gate that was cut off tells late.
        let place = inner.arrivals.partition_point(|there| there.at > event.at);
        inner.arrivals.insert(place, event.clone());
        inner.arrivals.truncate(MOST_ARRIVALS);
        let twice = inner.moved(event);
        if let Some(twice) = &twice {
            inner.alerts.push_front(twice.clone());
            inner.alerts.truncate(MOST_ALERTS);
        }
        (true, twice)
    }

    /// A gate says how it is.
    pub fn heard(&self, health: Health, now: Timestamp) {
        let mut inner = self.inner.lock();
        let (glance, heard) = inner.gates.entry(health.gate.clone()).or_default();
        glance.gate.clone_from(&health.gate);
        glance.clock_ahead_s = health.at.duration_since(now).as_secs();
        glance.heard = Some(now);
        glance.health = Some(health);
        *heard = Some(Instant::now());
    }

    /// A gate that belongs to the compound, whether it was heard or not.
    pub fn expect(&self, gate: &str) {
        let mut inner = self.inner.lock();
        let (glance, _) = inner.gates.entry(gate.to_owned()).or_default();
        gate.clone_into(&mut glance.gate);
    }

    /// A gate that does not belong to it any more.
    pub fn forget(&self, gate: &str) {
        self.inner.lock().gates.remove(gate);
    }

    /// Every gate, by name.
    pub fn glance(&self) -> Vec<Glance> {
        let inner = self.inner.lock();
        let of = |(glance, heard): &(Glance, Option<Instant>)| Glance {
            silent: glance.gate != self.own && heard.is_none_or(|at| at.elapsed() > SILENT_AFTER),
            ..glance.clone()
        };
        inner.gates.values().map(of).collect()
    }

    /// The newest arrivals of all gates, the newest first.
    pub fn arrivals(&self, most: usize) -> Vec<Upward> {
        self.inner.lock().arrivals.iter().take(most).cloned().collect()
    }

    /// Cars that are inside at two gates, the newest first.
    pub fn alerts(&self) -> Vec<Twice> {
        self.inner.lock().alerts.iter().cloned().collect()
    }
}

impl Inner {
    /// Puts a move into its place among the car's others; an alert if it came in at one gate and then at another, and was not
    /// seen leaving in between though its leaving is seen as a rule, or though no car is that quick.
    fn moved(&mut self, event: Upward) -> Option<Twice> {
        let plate = event.plate?;
        event.inwards?;
        if self.moves.len() >= MOST_CARS && !self.moves.contains_key(&plate) {
            return None;
        }
        let moves = self.moves.entry(plate).or_default();
        let place = moves.partition_point(|there| there.at <= event.at);
        moves.insert(place, event);
        let leaves = moves.iter().any(|m| m.inwards == Some(false));
        let is_twice = |a: &Upward, b: &Upward| {
            a.inwards == Some(true)
                && b.inwards == Some(true)
                && a.gate != b.gate
                && (leaves || b.at.duration_since(a.at) < LEAVES_UNSEEN_AFTER)
        };
        let pair = |a: usize| {
            let (first, second) = (moves.get(a)?, moves.get(a + 1)?);
            is_twice(first, second).then(|| Twice { plate, first: first.clone(), second: second.clone() })
        };
        let found = place.checked_sub(1).and_then(pair).or_else(|| pair(place));
        if moves.len() > MOST_MOVES {
            moves.remove(0);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::event::{Outcome, Rule};

    fn event(station: u16, id: u64, minute: i64, inwards: bool) -> Upward {
        Upward {
            station,
            epoch: 1,
            id,
            at: Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute),
            gate: format!("gate-{station}"),
            outcome: Outcome::Opened,
            rule: Rule::Paid,
            plate: "苏F12345".parse().ok(),
            household: None,
            inwards: Some(inwards),
        }
    }

    #[test]
    fn a_car_that_is_inside_at_two_gates_is_an_alert_once() {
        let gates = Gates::new("gate-1");
        assert_eq!(gates.arrived(event(1, 1, 0, true)), (true, None));
        let (new, twice) = gates.arrived(event(2, 1, 3, true));
        let twice = twice.unwrap();
        assert!(new && twice.first.gate == "gate-1" && twice.second.gate == "gate-2");
        assert_eq!(gates.arrived(event(2, 1, 3, true)), (false, None), "the same arrival again");
        assert_eq!((gates.alerts().len(), gates.arrivals(9).len()), (1, 2));
    }

    #[test]
    fn leaving_in_between_is_no_alert_also_when_it_is_told_late() {
        let gates = Gates::new("gate-1");
        gates.arrived(event(1, 1, 0, true));
        gates.arrived(event(3, 1, 30, false));
        assert_eq!(gates.arrived(event(2, 1, 60, true)).1, None);
        // It came in an hour later at another gate, and nobody saw it leaving though others do see it.
        assert!(gates.arrived(event(1, 2, 120, true)).1.is_some());
        // Heard an hour late: it had been at the second gate all the time before.
        assert!(gates.arrived(event(3, 2, 65, true)).1.is_some());
        assert_eq!(gates.arrivals(2)[0].at, event(1, 2, 120, true).at, "in the order of their times");
    }

    #[test]
    fn a_gate_that_says_nothing_is_silent_and_a_wrong_clock_is_told() {
        let gates = Gates::new("main");
        gates.expect("north");
        assert!(gates.glance()[0].silent);
        let now = Timestamp::now();
        let health = Health {
            gate: "north".into(),
            station: 2,
            at: now + SignedDuration::from_hours(1),
            version: String::new(),
            ready: true,
            mode: "normal".into(),
            trouble: String::new(),
            cars: 3,
            events: 9,
            book: 0,
        };
        gates.heard(health, now);
        let glance = &gates.glance()[0];
        assert_eq!((glance.silent, glance.clock_ahead_s), (false, 3600));
    }
}
