//! The match on evidence made by hand, and its properties on any evidence.

use proptest::prelude::*;

use super::Distance::{Coming as COMING, Far as FAR, Near as NEAR};
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
    let flat: Vec<f32> = slots.0.iter().flatten().copied().collect();
    SlotProbabilities::from_logits(&flat)
}

const COMPOUND: [&str; 5] = ["苏F12345", "苏F8K291", "苏FD12345", "苏B7Q610", "苏F12346"];

#[test]
fn a_clear_registered_plate_is_sure() {
    let snapshot = snapshot(&COMPOUND);
    for plate in COMPOUND {
        let evidence = reading(plate, 0.0, 100.0, 0.9999).slots;
        let found = weigh(&evidence, &snapshot);
        assert_eq!(found.best().unwrap().plate.to_string(), plate);
        assert!(found.is_sure(1e4, NEAR), "{plate}: {found:?}");
    }
}

#[test]
fn a_clear_neighbour_is_not_sure_and_is_named() {
    let snapshot = snapshot(&COMPOUND);
    for plate in ["苏F8K297", "苏FD12346", "苏B7Q618", "皖F12345", "苏E12345"] {
        let found_evidence = reading(plate, 0.0, 100.0, 0.99).slots;
        let found = weigh(&found_evidence, &snapshot);
        assert!(!found.is_sure(10.0, NEAR), "{plate}: {found:?}");
        assert!(found.is_near_miss(), "{plate}: {found:?}");
    }
}

#[test]
fn a_stranger_is_not_sure() {
    let snapshot = snapshot(&COMPOUND);
    let evidence = reading("皖A9Z88M", 0.0, 100.0, 0.99).slots;
    let found = weigh(&evidence, &snapshot);
    assert!(found.ratio < 1e-3 && !found.is_near_miss(), "{found:?}");
    assert_eq!(found.read.to_string(), "皖A9Z88M");
}

#[test]
fn an_eight_that_may_be_a_b_does_not_open() {
    let snapshot = snapshot(&COMPOUND);
    for p in [0.5, 0.7, 0.9, 0.98] {
        let evidence = doubtful("苏F8K291", 2, 'B', p);
        let found = weigh(&evidence, &snapshot);
        assert!(!found.is_sure(1e4, NEAR), "{p}: {found:?}");
    }
    let evidence = doubtful("苏F8K291", 2, 'B', 0.99999);
    assert!(weigh(&evidence, &snapshot).is_sure(1e4, NEAR));
}

#[test]
fn a_plate_that_nobody_takes_for_it_counts_less_in_the_margin_than_a_look_alike() {
    let snapshot = snapshot(&COMPOUND);
    // 65 to 1 is enough by the budget of 10,000 between K and 3, which nobody confuses; between 8 and B twice as much is asked.
    let serial = doubtful("苏F8K291", 3, '3', 0.985);
    assert!(weigh(&serial, &snapshot).is_sure(1e4, NEAR));
    assert!(!weigh(&doubtful("苏F8K291", 2, 'B', 0.985), &snapshot).is_sure(1e4, NEAR));
    assert!(!weigh(&doubtful("苏F8K291", 3, '3', 0.975), &snapshot).is_sure(1e4, NEAR));
    assert!(!weigh(&serial, &snapshot).is_sure(1e5, NEAR), "it follows the budget");
}

#[test]
fn a_plate_seen_small_is_asked_more_and_no_plate_less_than_a_province_that_is_not_read() {
    let snapshot = snapshot(&COMPOUND);
    // 199 to 1 between 8 and B: enough near, not while the plate still grows.
    let doubt = doubtful("苏F8K291", 2, 'B', 0.995);
    let found = weigh(&doubt, &snapshot);
    assert!(found.is_sure(1e4, NEAR) && !found.is_sure(1e4, COMING) && !found.is_sure(1e5, NEAR));
    // 1,999 to 1: not while it was seen far away alone.
    let doubt = doubtful("苏F8K291", 2, 'B', 0.9995);
    let found = weigh(&doubt, &snapshot);
    assert!(found.is_sure(1e4, COMING) && !found.is_sure(1e4, FAR));
    for budget in [1.0, 1e2, 1e3, 1e4, 1e5] {
        let [far, coming, near] = [FAR, COMING, NEAR].map(|distance| found.margin_needed(budget, distance));
        assert!(LEAST_MARGIN <= near && near <= coming && coming <= far, "{budget}: {near} {coming} {far}");
    }
}

#[test]
fn another_province_counts_less_still_but_has_to_be_told() {
    let snapshot = snapshot(&COMPOUND);
    let province = |p| doubtful("苏F8K291", 0, '鲁', p);
    assert!(weigh(&province(0.95), &snapshot).is_sure(1e4, NEAR));
    assert!(!weigh(&province(0.95), &snapshot).is_sure(1e5, NEAR), "it follows the budget");
    for p in [0.2, 0.5, 0.7, 0.8] {
        assert!(!weigh(&province(p), &snapshot).is_sure(1e4, NEAR), "{p}");
    }
    // Nothing at all is read of the province: every other one explains it as well.
    let mut unread = reading("苏F8K291", 0.0, 100.0, 0.9999).slots;
    unread.0[0] = SlotProbabilities::unknown().0[0];
    for budget in [10.0, 1e3, 1e4] {
        assert!(!weigh(&unread, &snapshot).is_sure(budget, NEAR), "{budget}");
    }
    // An embassy's first digit is no province.
    let embassy = self::snapshot(&["223001使"]);
    assert!(!weigh(&doubtful("223001使", 0, '3', 0.95), &embassy).is_sure(1e4, NEAR));
}

#[test]
fn doubt_between_two_registered_cars_names_the_rival() {
    let snapshot = snapshot(&COMPOUND);
    let evidence = doubtful("苏F12345", 6, '6', 0.6);
    let found = weigh(&evidence, &snapshot);
    assert_eq!(found.rivals().next().unwrap().plate.to_string(), "苏F12346");
    assert!(found.ratio > 1e3, "either is registered: {found:?}");
}

#[test]
fn an_unreadable_plate_is_nobody() {
    let snapshot = snapshot(&COMPOUND);
    let found = weigh(&SlotProbabilities::unknown(), &snapshot);
    assert!(!found.is_sure(10.0, NEAR), "{found:?}");
}

#[test]
fn an_empty_register_knows_nobody() {
    let snapshot = Snapshot::default();
    let evidence = reading("苏F12345", 0.0, 100.0, 0.999).slots;
    let found = weigh(&evidence, &snapshot);
    assert!(found.best().is_none() && !found.is_sure(10.0, NEAR));
}

#[test]
fn lookalikes_have_to_be_surer_until_they_are_told_apart() {
    let with = snapshot(&["苏F8B12D", "苏FBB12D", "苏F77711"]);
    let found = weigh(&doubtful("苏F8B12D", 2, 'B', 0.6), &with);
    assert!(found.best().unwrap().has_lookalike && found.needed(1e4) == 1e5);
    let found = weigh(&reading("苏F8B12D", 0.0, 100.0, 0.99).slots, &with);
    assert!(found.best().unwrap().has_lookalike && found.needed(1e4) == 1e4);
    let alone = weigh(&reading("苏F77711", 0.0, 100.0, 0.99).slots, &with);
    assert!(!alone.best().unwrap().has_lookalike && alone.needed(1e4) == 1e4);
}

#[test]
fn posteriors_and_strangers_share_one() {
    let snapshot = snapshot(&COMPOUND);
    let found = weigh(&doubtful("苏F12345", 6, '6', 0.6), &snapshot);
    let sum: f64 = found.candidates.iter().flatten().map(|c| c.posterior).sum();
    assert!((sum - found.posterior()).abs() < 1e-6, "{found:?}");
    let best: Vec<f64> = found.candidates.iter().flatten().map(|c| c.posterior).collect();
    assert!(best.is_sorted_by(|a, b| a >= b), "{best:?}");
}

#[test]
fn neighbours_are_counted_slot_by_slot() {
    let snapshot = snapshot(&["苏F12345", "苏F12346", "苏F12347", "苏F92345", "苏FD12345"]);
    let roster = Roster::new(&snapshot, &Strangers::new('苏', 'F'));
    let counts: Vec<(String, u16)> = roster.cars.iter().map(|c| (c.plate.to_string(), c.neighbours)).collect();
    assert!(counts.contains(&("苏F12345".into(), 3)) && counts.contains(&("苏F92345".into(), 1)), "{counts:?}");
    assert!(counts.contains(&("苏FD12345".into(), 0)));
}

/// The same sum as the match makes, the long way: every registered plate, every substitution.
#[test]
fn the_quick_sums_are_the_long_ones() {
    let snapshot = snapshot(&COMPOUND);
    let mut evidence = doubtful("苏F12345", 6, '6', 0.6);
    // The quick sums take it that a slot's probabilities add up to one, as the reader's do.
    for row in &mut evidence.0 {
        let whole: f64 = row.iter().map(|l| f64::from(*l).exp()).sum();
        *row = row.map(|l| (f64::from(l) - whole.ln()) as f32);
    }
    let p = evidence.probabilities().map(|row| row.map(|p| p.max(1e-12)));
    let likelihood = |slots: &[u8; SLOTS]| -> f64 { (0..SLOTS).map(|s| p[s][slots[s] as usize]).product() };
    let all: Vec<[u8; SLOTS]> = snapshot.vehicles().iter().map(|v| *v.plate.slots()).collect();
    let registered: f64 = all.iter().map(likelihood).sum();
    let mut near = 0.0;
    for slots in &all {
        for s in 0..SLOTS {
            for c in 0..ALPHABET.len() as u8 {
                let mut other = *slots;
                other[s] = c;
                if c != slots[s] && !all.contains(&other) {
                    near += likelihood(&other);
                }
            }
        }
    }
    let strangers = Strangers::new('苏', 'F');
    let taken: f64 = all.iter().map(|slots| likelihood(slots) * strangers.prior(slots)).sum();
    let n = all.len() as f64;
    let stranger = 0.99 * (strangers.weigh(&p).mass - taken) + 0.01 * near / (n * NEIGHBOURS_EACH);
    let found = weigh(&evidence, &snapshot);
    assert!(
        (found.ratio / (registered / n / stranger) - 1.0).abs() < 1e-3,
        "{} {}",
        found.ratio,
        registered / n / stranger
    );
}

/// Evidence in which each slot has a favourite and a second.
fn any_evidence() -> impl Strategy<Value = SlotProbabilities> {
    let slot = (1u8..35, 1u8..35, 0.34f32..0.9999, 0.0f32..0.9);
    (0usize..3, proptest::collection::vec(slot, 5)).prop_map(|(city, serial)| {
        let mut slots = reading(["苏F12345", "苏F8K291", "苏B7Q610"][city], 0.0, 100.0, 0.99).slots;
        for (row, (first, second, p, share)) in slots.0[2..7].iter_mut().zip(serial) {
            let rest = 1.0 - p;
            *row = [(rest * (1.0 - share) / 73.0).max(1e-7).ln(); ALPHABET.len()];
            row[second as usize] = (rest * share).max(1e-7).ln();
            row[first as usize] = p.ln();
        }
        let flat: Vec<f32> = slots.0.iter().flatten().copied().collect();
        SlotProbabilities::from_logits(&flat)
    })
}

/// Plates around the evidence's cities, dense enough that some are neighbours.
fn any_plates() -> impl Strategy<Value = Vec<Plate>> {
    proptest::collection::vec("(苏F12[0-9A-D]{3}|苏F8K2[0-9]{2}|苏B7Q[0-9]{3}|苏F[0-9B]{5})", 1..12)
        .prop_map(|texts| texts.iter().filter_map(|t| t.parse().ok()).collect())
}

fn of_plates(plates: &[Plate]) -> Snapshot {
    Snapshot::new(plates.iter().map(|p| Vehicle::new(*p, "1-101")).collect())
}

proptest! {
    #[test]
    fn adding_a_car_never_raises_anothers_posterior(evidence in any_evidence(), plates in any_plates(), added in any_plates()) {
        let Some(new) = added.iter().find(|p| !plates.contains(p)) else { return Ok(()) };
        let (before, mut more) = (of_plates(&plates), plates.clone());
        more.push(*new);
        let after = of_plates(&more);
        let (old, new_match) = (weigh(&evidence, &before), weigh(&evidence, &after));
        for now in new_match.candidates.iter().flatten().filter(|c| c.plate != *new) {
            // One that is not among the five told had less than the fifth.
            let was = old.candidates.iter().flatten().find(|c| c.plate == now.plate);
            if let Some(was) = was {
                prop_assert!(now.posterior <= was.posterior * (1.0 + 1e-9) + 1e-12, "{was:?} {now:?}");
            }
        }
    }

    #[test]
    fn an_empty_register_opens_for_nobody(evidence in any_evidence()) {
        let empty = Snapshot::default();
        let found = weigh(&evidence, &empty);
        prop_assert!(!found.is_sure(1.0, NEAR) && found.best().is_none() && found.posterior() == 0.0);
    }

    /// More frames of the same evidence sharpen it, as a track does: a sure answer stays.
    #[test]
    fn more_of_the_same_evidence_never_flips_a_sure_answer(evidence in any_evidence(), plates in any_plates(), looks in 1.0f32..3.0) {
        let register = of_plates(&plates);
        let once = weigh(&evidence, &register);
        if once.is_sure(1e3, NEAR) {
            let sharper: Vec<f32> = evidence.0.iter().flatten().map(|l| l * looks).collect();
            let again_evidence = SlotProbabilities::from_logits(&sharper);
            let again = weigh(&again_evidence, &register);
            prop_assert!(again.is_sure(1e3, NEAR), "{once:?} {again:?}");
            prop_assert_eq!(again.best().unwrap().plate, once.best().unwrap().plate);
        }
        if once.is_surely_strange(1e3) {
            let sharper: Vec<f32> = evidence.0.iter().flatten().map(|l| l * looks).collect();
            let again_evidence = SlotProbabilities::from_logits(&sharper);
            prop_assert!(!weigh(&again_evidence, &register).is_sure(10.0, NEAR));
        }
    }
}
