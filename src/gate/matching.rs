//! Which car of the register is this, and could it be a stranger's?
//!
//! In: the fused evidence of one car and the register. Out: a [`Match`]: a posterior for each car, and how it compares
//! with strangers.
//!
//! Two explanations compete for the pictures. *Registered*: one of the N registered plates (cars and visitors), each as
//! likely as the other. *Stranger*: a well-formed plate that is not in the register, drawn from [`super::strangers`] or,
//! one time in a hundred, next to a registered one. With `E` the evidence,
//!
//! ```text
//! ratio  = P(E | registered) / P(E | stranger)
//! margin = P(E | the likeliest car) / P(E | the best plate that is not registered)
//! ```
//!
//! In the margin a plate that readers do not confuse with the car's counts [`BLIND`] times less: whoever wants to be
//! mistaken for it would have to hit on it among all that are next to the car's. One that differs in the province alone counts
//! [`ELSEWHERE`] times less: it would have to be the one car of that number in its province.
//!
//! and the barrier opens only when the ratio reaches the budget, `false_open_one_in`, and the margin a share of it: all of it while the
//! plate was seen small alone, then [`COMING`], and [`NEAR`] once it was seen large.
//! The first keeps the promise for strangers as they come: for any threshold t, the chance that a stranger's pictures ever
//! reach `ratio >= t` is at most 1/t, however long one looks (Ville's inequality, the ground of Wald's sequential test:
//! Wald, "Sequential Tests of Statistical Hypotheses", 1945). The second bounds it for each single plate, also one chosen
//! to be mistaken: of the pictures of any one stranger's plate, at most one in t make a given car look t times likelier than
//! the truth. Both as far as the reader's probabilities are calibrated (`calibration/`).
//!
//! Posteriors are given for "every second car is registered". Adding a car to the register never raises another's: what
//! the new one takes out of the strangers' mass is less than what it brings.

use super::strangers::Strangers;
use crate::plate::{ALPHABET, PROVINCES, Plate, SLOTS};
use crate::register::{Snapshot, Vehicle, are_alike, confusable};
use crate::vision::SlotProbabilities;
use crate::vision::track::Distance;

/// The share of strangers whose plate differs from a registered one in one character. Of the plates issued in one city
/// (one to two million) those next to 103 registered ones (103 x 5 x 33) are about one in a hundred.
const NEIGHBOUR_SHARE: f64 = 0.01;
/// Substitutions that make a plate's neighbours: five serial places of 33 others, 30 provinces, 23 letters.
const NEIGHBOURS_EACH: f64 = 5.0 * 33.0 + 30.0 + 23.0;
/// How much stricter a car is decided while it may as well be its look-alike in the register.
const STRICTER: f64 = 10.0;
/// What the margin has to reach while better frames are to come, as a share of what the ratio has to. For any given plate of a
/// stranger the margin bounds the chance of being taken for a car (1/t); far fewer come near that bound, and the whole budget
/// would leave more neighbours standing (docs/decisions/2026-11-27-margins.md). While the plate is far, waiting costs a frame
/// or two and no neighbour, so there the whole is asked: what made readers sure of a character that is not there was a small
/// picture of it. A Q was a D at 67 pixels, 363 : 1, and none from 100 on (docs/decisions/2026-11-27-doubt.md, -far.md).
const COMING: f64 = 0.03;
/// The same once the plate was seen large. Then waiting brings little more, and hardly a stranger was ever mistaken.
const NEAR: f64 = 0.01;
/// The margin has to reach this whatever the budget: twice [`ELSEWHERE`], so that a province that is not read never passes.
const LEAST_MARGIN: f64 = 2.0 * ELSEWHERE;
/// How much less a plate counts in the margin that is not a look-alike of the car's. A stranger's plate that is next to a
/// registered one is this very one once in [`NEIGHBOURS_EACH`]; look-alikes, which somebody may choose, count in full
/// (docs/decisions/2026-11-26-blind-neighbours.md). A hundredth of that number: by the margin's bound, of
/// strangers next to a registered plate at most one in the budget is then taken for it.
const BLIND: f64 = 0.01 * NEIGHBOURS_EACH;
/// How much less a plate counts in the margin that is the car's but for the province. By the strangers' model thirty other
/// provinces share what two thirds of the home province have, so it comes some forty-five times more seldom than another
/// neighbour; a province that can hardly be read must not do all the same, so that much is not made of it
/// (docs/decisions/2026-11-27-second-reader.md, -doubt.md).
const ELSEWHERE: f64 = 20.0;
/// A registered plate that explains the pictures this many times worse than the best is no rival.
const CLEARLY: f64 = 100.0;
/// Likelihoods this many times below the best plate's do not matter to any sum.
const NEGLIGIBLE: f64 = 1e-9;
/// Candidates that are told.
pub const CANDIDATES: usize = 5;
type Evidence = [[f64; ALPHABET.len()]; SLOTS];

/// A registered plate as an explanation of the pictures.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The plate.
    pub plate: Plate,
    /// The car with this plate; none where it is a visitor's.
    pub vehicle: Option<&'a Vehicle>,
    /// P(evidence | this plate), up to the constant that all likelihoods share.
    pub likelihood: f64,
    /// The probability that it is this one, if every second car is registered; 0..1.
    pub posterior: f64,
    /// Does the register hold another that a camera could take for it?
    pub has_lookalike: bool,
}

/// What the evidence says.
#[derive(Clone, Debug)]
pub struct Match<'a> {
    /// The likeliest registered plates, best first.
    pub candidates: [Option<Candidate<'a>>; CANDIDATES],
    /// P(evidence | registered) / P(evidence | stranger).
    pub ratio: f64,
    /// How many times worse the best plate outside of the register explains the evidence than the likeliest candidate; one
    /// that readers do not confuse with it counts less.
    pub margin: f64,
    /// The likeliest well-formed plate, registered or not.
    pub read: Plate,
    /// The probability of `read` among all plates of any form, 0..1: the product over its slots.
    pub confidence: f64,
    /// The probability that the plate's form is a service vehicle's, 0..1.
    pub service: f64,
}

impl<'a> Match<'a> {
    /// The likeliest registered plate.
    pub fn best(&self) -> Option<&Candidate<'a>> {
        self.candidates[0].as_ref()
    }

    /// The other registered plates that are not clearly worse than the best.
    pub fn rivals(&self) -> impl Iterator<Item = &Candidate<'a>> {
        let top = self.best().map_or(0.0, |best| best.likelihood);
        self.candidates[1..].iter().flatten().filter(move |c| c.likelihood * CLEARLY > top)
    }

    /// The probability that this is a registered plate, if every second car had one; 0..1.
    pub fn posterior(&self) -> f64 {
        if self.ratio.is_finite() { self.ratio / (1.0 + self.ratio) } else { 1.0 }
    }

    /// What the ratio has to reach by this budget: the budget, or more for a car that has a look-alike in the register
    /// as long as the pictures do not tell them apart. Once they do, it is a car like any other: 晋AF8888 and 晋AS8888 say
    /// nothing of whether an F is an E.
    pub fn needed(&self, false_open_one_in: f64) -> f64 {
        let strict = self.best().is_some_and(|best| best.has_lookalike) && self.rivals().next().is_some();
        false_open_one_in * if strict { STRICTER } else { 1.0 }
    }

    /// Is it the likeliest registered plate and no stranger's, by this budget?
    pub fn is_sure(&self, false_open_one_in: f64, distance: Distance) -> bool {
        self.best().is_some()
            && self.ratio >= self.needed(false_open_one_in)
            && self.margin >= self.margin_needed(false_open_one_in, distance)
    }

    /// What the margin alone has to reach by this budget, at this distance.
    pub fn margin_needed(&self, false_open_one_in: f64, distance: Distance) -> f64 {
        let share = match distance {
            Distance::Far => 1.0,
            Distance::Coming => COMING,
            Distance::Near => NEAR,
        };
        (self.needed(false_open_one_in) * share).max(LEAST_MARGIN)
    }

    /// Is it a stranger's and none of the register's, by this budget?
    pub fn is_surely_strange(&self, false_open_one_in: f64) -> bool {
        self.ratio * false_open_one_in <= 1.0 || self.margin * false_open_one_in <= 1.0
    }

    /// Is the plate read one that a camera could take for the likeliest registered one?
    pub fn is_near_miss(&self) -> bool {
        self.best().is_some_and(|best| are_alike(&best.plate, &self.read))
    }
}

/// The register, prepared for the match: made anew when the register changes, read for every frame.
pub struct Roster {
    /// All plates as numbers, in order: cars of one city, then of one beginning, stand together.
    keys: Vec<u64>,
    /// With how many of the plate before its first slots agree.
    shared: Vec<u8>,
    /// What the sums need of each.
    shares: Vec<Share>,
    cars: Vec<Car>,
}

/// A registered plate's part in the strangers' sums.
struct Share {
    /// The prior that a stranger of the generic kind has this very plate.
    generic: f64,
    /// How many registered plates differ from it in one character.
    neighbours: f64,
}

struct Car {
    slots: [u8; SLOTS],
    plate: Plate,
    /// Where it stands among the snapshot's vehicles; none for a visitor.
    vehicle: Option<u32>,
    /// See [`Share::neighbours`].
    neighbours: u16,
    has_lookalike: bool,
}

impl Roster {
    /// Prepares a register.
    pub fn new(snapshot: &Snapshot, strangers: &Strangers) -> Roster {
        let car =
            |plate: Plate, vehicle| Car { slots: *plate.slots(), plate, vehicle, neighbours: 0, has_lookalike: false };
        let vehicles = snapshot.vehicles().iter().enumerate();
        let mut cars: Vec<Car> = vehicles.map(|(i, v)| car(v.plate, Some(i as u32))).collect();
        cars.extend(snapshot.passes().iter().map(|pass| car(pass.plate(), None)));
        // A plate that is there twice is one explanation; a car goes before a visitor, the last before the first.
        cars.sort_by_key(|c| (key(&c.slots), c.vehicle.is_none(), std::cmp::Reverse(c.vehicle)));
        cars.dedup_by_key(|c| key(&c.slots));
        count_neighbours(&mut cars);
        mark_lookalikes(&mut cars);
        let agree = |a: &Car, b: &Car| a.slots.iter().zip(&b.slots).take_while(|(x, y)| x == y).count() as u8;
        let share = |car: &Car| Share { generic: strangers.prior(&car.slots), neighbours: f64::from(car.neighbours) };
        Roster {
            keys: cars.iter().map(|c| key(&c.slots)).collect(),
            shared: (0..cars.len()).map(|i| if i == 0 { 0 } else { agree(&cars[i - 1], &cars[i]) }).collect(),
            shares: cars.iter().map(share).collect(),
            cars,
        }
    }

    /// How many plates there are.
    pub fn len(&self) -> usize {
        self.cars.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.cars.is_empty()
    }

    /// Weighs the evidence against this register (`snapshot` must be the one it was made of). Allocates nothing.
    pub fn weigh<'a>(&self, slots: &SlotProbabilities, snapshot: &'a Snapshot, strangers: &Strangers) -> Match<'a> {
        let p = slots.probabilities().map(|row| row.map(|p| p.max(1e-12)));
        let outside = strangers.weigh(&p);
        let floor = outside.confidence * NEGLIGIBLE;
        let mut top = Top::default();
        let (mut registered, mut taken, mut near) = (0.0, 0.0, 0.0);
        self.walk(&p, floor, |i, same, one_off| {
            let share = &self.shares[i];
            registered += same;
            taken += same * share.generic;
            near += one_off - same * share.neighbours;
            top.offer(i, same);
        });
        let n = self.cars.len().max(1) as f64;
        // Rounding may leave the difference of two equal sums below nothing.
        let generic = (outside.mass - taken).max(0.0);
        let near = near.max(0.0) / (n * NEIGHBOURS_EACH);
        let stranger = ((1.0 - NEIGHBOUR_SHARE) * generic + NEIGHBOUR_SHARE * near).max(1e-300);
        let all = registered / n + stranger;
        let candidate = |(i, likelihood): (usize, f64)| {
            let car = &self.cars[i];
            let vehicle = car.vehicle.map(|v| &snapshot.vehicles()[v as usize]);
            let posterior = likelihood / n / all;
            Candidate { plate: car.plate, vehicle, likelihood, posterior, has_lookalike: car.has_lookalike }
        };
        let best = top.0[0];
        Match {
            candidates: top.0.map(|found| found.map(candidate)),
            ratio: registered / n / stranger,
            margin: best
                .map_or(0.0, |(i, l)| l / self.best_outsider(&self.cars[i], l, &p, outside.read, outside.confidence)),
            read: outside.read,
            confidence: outside.confidence,
            service: outside.service,
        }
    }

    /// Gives each plate's P(evidence | this plate) and the sum of the same over all plates that differ from it in one
    /// character; leaves out those of which neither can reach the floor. Plates stand in order, so what their common
    /// beginning is worth is reckoned once, and a beginning that cannot reach the floor is passed over whole.
    fn walk(&self, p: &Evidence, floor: f64, mut found: impl FnMut(usize, f64, f64)) {
        // After so many slots: the likelihood so far, and the same with one of them otherwise.
        let mut known = [(1.0, 0.0); SLOTS + 1];
        let mut i = 0;
        while i < self.keys.len() {
            let slots = self.keys[i].to_be_bytes();
            let mut at = usize::from(self.shared[i]);
            let (mut same, mut one_off) = known[at];
            while at < SLOTS && same + one_off >= floor {
                let here = p[at][usize::from(slots[at])];
                (same, one_off) = (same * here, one_off * here + same * (1.0 - here).max(0.0));
                at += 1;
                known[at] = (same, one_off);
            }
            i += 1;
            if same + one_off >= floor {
                found(i - 1, same, one_off);
                continue;
            }
            while i < self.keys.len() && usize::from(self.shared[i]) >= at {
                i += 1;
            }
        }
    }

    /// Is exactly this plate in the register?
    fn holds(&self, slots: &[u8; SLOTS]) -> bool {
        self.keys.binary_search(&key(slots)).is_ok()
    }

    /// The likelihood of the best plate that is not registered: one next to this car's, or the one read; those that are no
    /// look-alikes of the car's count less.
    fn best_outsider(&self, car: &Car, l: f64, p: &Evidence, read: Plate, confidence: f64) -> f64 {
        let mut best: f64 = 1e-300;
        if !self.holds(read.slots()) {
            best = best.max(confidence * worth(&car.slots, read.slots()));
        }
        for s in 0..SLOTS {
            let own = car.slots[s] as usize;
            let rest = l / p[s][own];
            for (c, &pc) in p[s].iter().enumerate() {
                if c == own || rest * pc <= best {
                    continue;
                }
                let mut other = car.slots;
                other[s] = c as u8;
                let likelihood = rest * pc * worth(&car.slots, &other);
                if likelihood > best && Plate::from_slots(other).is_some() && !self.holds(&other) {
                    best = likelihood;
                }
            }
        }
        best
    }
}

/// How much a plate counts in a car's margin, 0..1.
fn worth(car: &[u8; SLOTS], other: &[u8; SLOTS]) -> f64 {
    if differs_in_confusables(car, other) {
        1.0
    } else if car[1..] == other[1..] && is_province(car[0]) && is_province(other[0]) {
        1.0 / ELSEWHERE
    } else {
        1.0 / BLIND
    }
}

fn is_province(index: u8) -> bool {
    PROVINCES.contains(&ALPHABET[usize::from(index)])
}

/// Do two plates differ in nothing but characters that readers take for each other?
fn differs_in_confusables(a: &[u8; SLOTS], b: &[u8; SLOTS]) -> bool {
    a.iter().zip(b).all(|(x, y)| x == y || confusable(ALPHABET[*x as usize], ALPHABET[*y as usize]))
}

/// The likeliest cars, best first, without allocating.
#[derive(Default)]
struct Top([Option<(usize, f64)>; CANDIDATES]);

impl Top {
    fn offer(&mut self, car: usize, likelihood: f64) {
        if self.0[CANDIDATES - 1].is_some_and(|(_, least)| likelihood <= least) {
            return;
        }
        let mut offered = Some((car, likelihood));
        for place in &mut self.0 {
            if place.is_none_or(|(_, kept)| offered.is_some_and(|(_, l)| l > kept)) {
                std::mem::swap(place, &mut offered);
            }
            if offered.is_none() {
                return;
            }
        }
    }
}

fn key(slots: &[u8; SLOTS]) -> u64 {
    u64::from_be_bytes(*slots)
}

/// Counts for each plate the registered ones that differ from it in one character: plates that agree once that slot is
/// blanked, slot by slot, so that a hundred thousand cars are done in a moment.
fn count_neighbours(cars: &mut [Car]) {
    let mut blanked: Vec<(u64, u32)> = Vec::with_capacity(cars.len());
    for s in 0..SLOTS {
        blanked.clear();
        blanked.extend(cars.iter().enumerate().map(|(i, car)| {
            let mut slots = car.slots;
            slots[s] = 0xff;
            (key(&slots), i as u32)
        }));
        blanked.sort_unstable();
        for group in blanked.chunk_by(|a, b| a.0 == b.0) {
            for &(_, i) in group {
                let count = &mut cars[i as usize].neighbours;
                *count = count.saturating_add((group.len() - 1) as u16);
            }
        }
    }
}

/// Above this many cars, look-alikes are plates that differ in one character only: the lane waits while
/// all pairs are compared.
const MOST_PAIRS: usize = 1_500;

fn mark_lookalikes(cars: &mut [Car]) {
    for car in cars.iter_mut() {
        car.has_lookalike |= car.neighbours > 0;
    }
    if cars.len() > MOST_PAIRS {
        return;
    }
    for i in 0..cars.len() {
        for j in i + 1..cars.len() {
            if are_alike(&cars[i].plate, &cars[j].plate) {
                (cars[i].has_lookalike, cars[j].has_lookalike) = (true, true);
            }
        }
    }
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
