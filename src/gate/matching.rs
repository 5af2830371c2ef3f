//! Which car of the register is this, and could it be a stranger's?
//!
//! In: the fused evidence of one car and the register. Out: a [`Match`] with a likelihood ratio.
//!
//! Two explanations compete for the pictures. *Registered*: one of the N registered cars, each as likely as the other.
//! *Stranger*: a well-formed plate that is not in the register, drawn from [`super::strangers`]. With `E` the evidence,
//!
//! ```text
//! ratio = P(E | registered) / P(E | stranger)
//! ```
//!
//! and the barrier opens only at `ratio >= false_open_one_in`. That keeps the promise whatever the strangers look like
//! one by one: for any threshold t, the chance that a stranger's pictures reach `ratio >= t` is at most 1/t (Markov's
//! inequality, as in Wald's sequential test: Wald, "Sequential Tests of Statistical Hypotheses", 1945), as far as the
//! reader's probabilities are calibrated.
//!
//! One more condition guards against plates that differ in one character: the best stranger's plate must explain the
//! pictures worse by a clear factor ([`CLEARLY`]), however rare such a stranger is.

use super::strangers::Strangers;
use crate::plate::{ALPHABET, Plate, SLOTS};
use crate::register::{Snapshot, Vehicle};
use crate::vision::SlotProbabilities;

/// How much worse every other explanation must be than the car that is let in.
pub const CLEARLY: f64 = 20.0;
/// The share of strangers whose plate differs from a registered one in one character. Of the plates issued in one city
/// (one to two million) those next to 103 registered ones (103 x 5 x 33) are about one in a hundred.
const NEIGHBOUR_SHARE: f64 = 0.01;
/// Substitutions that make a plate's neighbours: five serial places of 33 others, 30 provinces, 23 letters.
const NEIGHBOURS_EACH: f64 = 5.0 * 33.0 + 30.0 + 23.0;

/// What the evidence says.
#[derive(Clone, Debug)]
pub struct Match<'a> {
    /// The likeliest registered car.
    pub vehicle: Option<&'a Vehicle>,
    /// The next likeliest registered car, if it is not clearly worse.
    pub rival: Option<&'a Vehicle>,
    /// P(evidence | registered) / P(evidence | stranger).
    pub ratio: f64,
    /// How many times worse the best plate outside of the register explains the evidence than the likeliest car.
    pub margin: f64,
    /// The likeliest well-formed plate, registered or not.
    pub read: Plate,
    /// The probability of `read` among all plates of any form, 0..1: the product over its slots.
    pub confidence: f64,
    /// The probability that the plate's form is a service vehicle's, 0..1.
    pub service: f64,
}

impl Match<'_> {
    /// The probability that this is a registered car, if every second car were one; 0..1.
    pub fn posterior(&self) -> f64 {
        if self.ratio.is_finite() { self.ratio / (1.0 + self.ratio) } else { 1.0 }
    }

    /// Is it the likeliest registered car and no stranger, by this budget?
    pub fn is_sure(&self, false_open_one_in: f64) -> bool {
        self.vehicle.is_some() && self.ratio >= false_open_one_in && self.margin >= CLEARLY
    }

    /// Is the plate read one character away from the likeliest registered car's?
    pub fn is_neighbour(&self) -> bool {
        self.vehicle.is_some_and(|v| differences(v.plate.slots(), self.read.slots()) == 1)
    }
}

fn differences(a: &[u8; SLOTS], b: &[u8; SLOTS]) -> usize {
    a.iter().zip(b).filter(|(x, y)| x != y).count()
}

/// The register, prepared for the match: made anew when the register changes, read for every frame.
pub struct Roster {
    cars: Vec<Car>,
}

struct Car {
    slots: [u8; SLOTS],
    /// The prior that a stranger of the generic kind has this very plate.
    generic: f64,
    /// Characters that would turn it into another registered plate: (slot, alphabet index).
    registered_neighbours: Vec<(usize, u8)>,
}

impl Roster {
    /// Prepares a register.
    pub fn new(snapshot: &Snapshot, strangers: &Strangers) -> Roster {
        let all: Vec<[u8; SLOTS]> = snapshot.vehicles().iter().map(|v| *v.plate.slots()).collect();
        let cars = all
            .iter()
            .map(|slots| Car {
                slots: *slots,
                generic: strangers.prior(slots),
                registered_neighbours: all
                    .iter()
                    .filter(|other| differences(slots, other) == 1)
                    .filter_map(|other| (0..SLOTS).find(|&s| slots[s] != other[s]).map(|s| (s, other[s])))
                    .collect(),
            })
            .collect();
        Roster { cars }
    }

    /// Weighs the evidence against this register (`snapshot` must be the one it was made of).
    pub fn weigh<'a>(&self, slots: &SlotProbabilities, snapshot: &'a Snapshot, strangers: &Strangers) -> Match<'a> {
        let p = slots.probabilities().map(|row| row.map(|p| p.max(1e-12)));
        let likelihood = |plate: &[u8; SLOTS]| -> f64 { (0..SLOTS).map(|s| p[s][plate[s] as usize]).product() };
        let (read, confidence) = strangers.likeliest(&p);
        let mut best: [Option<(usize, f64)>; 2] = [None, None];
        let (mut registered, mut taken, mut near) = (0.0, 0.0, 0.0);
        for (i, car) in self.cars.iter().enumerate() {
            let l = likelihood(&car.slots);
            registered += l;
            taken += l * car.generic;
            near += self.neighbour_mass(car, l, &p);
            if best[0].is_none_or(|(_, b)| l > b) {
                best = [Some((i, l)), best[0]];
            } else if best[1].is_none_or(|(_, b)| l > b) {
                best[1] = Some((i, l));
            }
        }
        let n = self.cars.len().max(1) as f64;
        let (mass, service) = strangers.weigh(&p);
        // Rounding may leave the difference of two equal sums below nothing.
        let generic = (mass - taken).max(0.0);
        let stranger = (1.0 - NEIGHBOUR_SHARE) * generic + NEIGHBOUR_SHARE * near / (n * NEIGHBOURS_EACH);
        let top = best[0].map_or(0.0, |(_, l)| l);
        let rival = best[1].filter(|(_, l)| l * CLEARLY > top);
        Match {
            vehicle: best[0].map(|(i, _)| &snapshot.vehicles()[i]),
            rival: rival.map(|(i, _)| &snapshot.vehicles()[i]),
            ratio: (registered / n) / stranger.max(1e-300),
            margin: best[0]
                .map_or(0.0, |(i, l)| l / self.best_outsider(&self.cars[i], l, &p, read, confidence, snapshot)),
            read,
            confidence,
            service,
        }
    }

    /// The sum of the likelihoods of all plates one substitution away from this car's that are not registered.
    fn neighbour_mass(&self, car: &Car, l: f64, p: &[[f64; ALPHABET.len()]; SLOTS]) -> f64 {
        let others = |s: usize| -> f64 {
            let registered: f64 =
                car.registered_neighbours.iter().filter(|(at, _)| *at == s).map(|(_, c)| p[s][*c as usize]).sum();
            (1.0 - p[s][car.slots[s] as usize] - registered).max(0.0)
        };
        (0..SLOTS).map(|s| l / p[s][car.slots[s] as usize] * others(s)).sum()
    }

    /// The likelihood of the best plate that is not registered: a neighbour of this car's, or the one read.
    fn best_outsider(
        &self,
        car: &Car,
        l: f64,
        p: &[[f64; ALPHABET.len()]; SLOTS],
        read: Plate,
        confidence: f64,
        snapshot: &Snapshot,
    ) -> f64 {
        let mut best = if snapshot.get(&read).is_some() { 1e-300 } else { confidence };
        for s in 0..SLOTS {
            let rest = l / p[s][car.slots[s] as usize];
            for (c, &pc) in p[s].iter().enumerate() {
                let own = c == car.slots[s] as usize;
                if own || rest * pc <= best || car.registered_neighbours.contains(&(s, c as u8)) {
                    continue;
                }
                let mut other = car.slots;
                other[s] = c as u8;
                if Plate::from_slots(other).is_some() {
                    best = rest * pc;
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register::Dues;
    use crate::vision::track::tests::reading;

    fn snapshot(plates: &[&str]) -> Snapshot {
        Snapshot::new(plates.iter().map(|p| vehicle(p)).collect())
    }

    fn vehicle(plate: &str) -> Vehicle {
        Vehicle::new(plate.parse().unwrap(), "1-101").with(Dues::settled())
    }

    fn weigh<'a>(evidence: &SlotProbabilities, snapshot: &'a Snapshot) -> Match<'a> {
        let strangers = Strangers::new('苏', 'F');
        Roster::new(snapshot, &strangers).weigh(evidence, snapshot, &strangers)
    }

    /// Evidence for `text` in which slot `s` is `p` for its own character and the rest for `other`.
    fn doubtful(text: &str, s: usize, other: char, p: f32) -> SlotProbabilities {
        let mut slots = reading(text, 0.0, 100.0, 0.999).slots;
        let own = text.parse::<Plate>().unwrap().slots()[s] as usize;
        let other = crate::plate::alphabet_index(other).unwrap() as usize;
        slots.0[s] = [1e-6f32.ln(); ALPHABET.len()];
        slots.0[s][own] = p.ln();
        slots.0[s][other] = (1.0 - p).ln();
        slots
    }

    const COMPOUND: [&str; 5] = ["苏F12345", "苏F8K291", "苏FD12345", "苏B7Q610", "苏F12346"];

    #[test]
    fn a_clear_registered_plate_is_sure() {
        let snapshot = snapshot(&COMPOUND);
        for plate in COMPOUND {
            let evidence = reading(plate, 0.0, 100.0, 0.99).slots;
            let found = weigh(&evidence, &snapshot);
            assert_eq!(found.vehicle.unwrap().plate.to_string(), plate);
            assert!(found.is_sure(1e4), "{plate}: {found:?}");
        }
    }

    #[test]
    fn a_clear_neighbour_is_not_sure_and_is_named() {
        let snapshot = snapshot(&COMPOUND);
        for plate in ["苏F8K297", "苏FD12346", "苏B7Q618", "皖F12345", "苏E12345"] {
            let found_evidence = reading(plate, 0.0, 100.0, 0.99).slots;
            let found = weigh(&found_evidence, &snapshot);
            assert!(!found.is_sure(10.0), "{plate}: {found:?}");
            assert!(found.is_neighbour(), "{plate}: {found:?}");
        }
    }

    #[test]
    fn a_stranger_is_not_sure() {
        let snapshot = snapshot(&COMPOUND);
        let evidence = reading("皖A9Z88M", 0.0, 100.0, 0.99).slots;
        let found = weigh(&evidence, &snapshot);
        assert!(found.ratio < 1e-3 && !found.is_neighbour(), "{found:?}");
        assert_eq!(found.read.to_string(), "皖A9Z88M");
    }

    #[test]
    fn an_eight_that_may_be_a_b_does_not_open() {
        let snapshot = snapshot(&COMPOUND);
        for p in [0.5, 0.7, 0.9] {
            let evidence = doubtful("苏F8K291", 2, 'B', p);
            let found = weigh(&evidence, &snapshot);
            assert!(!found.is_sure(1e4), "{p}: {found:?}");
        }
        let evidence = doubtful("苏F8K291", 2, 'B', 0.995);
        assert!(weigh(&evidence, &snapshot).is_sure(1e4));
    }

    #[test]
    fn doubt_between_two_registered_cars_names_the_rival() {
        let snapshot = snapshot(&COMPOUND);
        let evidence = doubtful("苏F12345", 6, '6', 0.6);
        let found = weigh(&evidence, &snapshot);
        assert_eq!(found.rival.unwrap().plate.to_string(), "苏F12346");
        assert!(found.is_sure(1e4), "either is registered: {found:?}");
    }

    #[test]
    fn an_unreadable_plate_is_nobody() {
        let snapshot = snapshot(&COMPOUND);
        let found = weigh(&SlotProbabilities::unknown(), &snapshot);
        assert!(!found.is_sure(10.0), "{found:?}");
    }

    #[test]
    fn an_empty_register_knows_nobody() {
        let snapshot = Snapshot::default();
        let evidence = reading("苏F12345", 0.0, 100.0, 0.999).slots;
        let found = weigh(&evidence, &snapshot);
        assert!(found.vehicle.is_none() && !found.is_sure(10.0));
    }
}
