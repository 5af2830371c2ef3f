//! Who is inside? So that a plate that comes in twice without having left is noticed: perhaps a cloned one.
//!
//! In: cars that came in and cars that left, from this lane, from the journal at the start, or from other gates. Out: an
//! alert, never a lock-out: a car may well have left unseen.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::event::{Event, Heading, Outcome};
use crate::config::Direction;
use crate::plate::Plate;

/// Most plates that are remembered; beyond, nobody new is: a compound has hundreds.
const MOST: usize = 20_000;

/// Who is inside, as far as it was seen. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct Inside {
    cars: Arc<Mutex<HashMap<Plate, Car>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Car {
    is_in: bool,
    /// It was seen leaving at least once: only then does staying in mean anything.
    leaves: bool,
}

impl Inside {
    /// Goes through the journal, oldest event first.
    pub fn replay<'a>(&self, events: impl IntoIterator<Item = &'a Event>, direction: Direction) {
        for event in events {
            let Some(vehicle) = &event.vehicle else { continue };
            match way(event.outcome, event.heading, direction) {
                Some(Direction::In) => {
                    self.comes_in(vehicle.plate);
                }
                Some(Direction::Out) => self.leaves(vehicle.plate),
                None => {}
            }
        }
    }

    /// It came in. True if it should be inside already.
    pub fn comes_in(&self, plate: Plate) -> bool {
        self.with(plate, |car| {
            let twice = car.is_in && car.leaves;
            car.is_in = true;
            twice
        })
    }

    /// It left.
    pub fn leaves(&self, plate: Plate) {
        self.with(plate, |car| {
            *car = Car { is_in: false, leaves: true };
            false
        });
    }

    fn with(&self, plate: Plate, change: impl FnOnce(&mut Car) -> bool) -> bool {
        let mut cars = self.cars.lock();
        if cars.len() >= MOST && !cars.contains_key(&plate) {
            return false;
        }
        change(cars.entry(plate).or_default())
    }
}

/// Which way a car went, by what happened at a lane of this direction.
pub fn way(outcome: Outcome, heading: Heading, direction: Direction) -> Option<Direction> {
    let other = match direction {
        Direction::In => Direction::Out,
        Direction::Out => Direction::In,
    };
    match (outcome, heading) {
        (Outcome::Opened, _) => Some(direction),
        (Outcome::Seen, Heading::Going) => Some(other),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_car_that_is_seen_leaving_can_be_inside_twice() {
        let (inside, plate) = (Inside::default(), "苏F12345".parse().unwrap());
        assert!(!inside.comes_in(plate) && !inside.comes_in(plate), "its leaving is never seen");
        inside.clone().leaves(plate);
        assert!(!inside.comes_in(plate));
        assert!(inside.comes_in(plate));
        inside.leaves(plate);
        assert!(!inside.comes_in(plate));
    }

    #[test]
    fn the_lane_and_the_heading_tell_the_way() {
        for (outcome, heading, direction, want) in [
            (Outcome::Opened, Heading::Coming, Direction::In, Some(Direction::In)),
            (Outcome::Opened, Heading::Coming, Direction::Out, Some(Direction::Out)),
            (Outcome::Seen, Heading::Going, Direction::In, Some(Direction::Out)),
            (Outcome::Refused, Heading::Going, Direction::In, None),
        ] {
            assert_eq!(way(outcome, heading, direction), want);
        }
    }
}
