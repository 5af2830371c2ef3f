//! Photographs of plates held up before the lane.

use super::*;

#[test]
fn a_photograph_held_still_or_shaken_does_not_open_as_strictly_as_it_is_set() {
    let shaken = || -> Steps {
        (0..60).map(|n| Ok(vec![at("苏F12345", 100.0 + 6.0 * (n % 3) as f32, 100.0 + 2.0 * (n % 2) as f32)])).collect()
    };
    for (strength, pulses) in [(Strength::Refuse, 0), (Strength::Watch, 1), (Strength::Off, 1)] {
        let (pressed, arrivals) = run(shaken(), Setting { strength, ..Default::default() });
        assert_eq!((pressed, arrivals.len()), (pulses, 1), "{strength:?}: {arrivals:?}");
        assert_eq!(arrivals[0].event.rule, if pulses == 0 { Rule::Photograph } else { Rule::Paid });
    }
}

#[test]
fn a_body_must_come_along_with_the_plate_however_it_grows() {
    let strictly = |bodies| Setting { strength: Strength::Refuse, bodies, ..Default::default() };
    let (pressed, arrivals) = run(car("苏F12345", 10, 20), strictly(2.0));
    assert_eq!((pressed, arrivals[0].event.liveness.body), (1, Finding::Car), "{arrivals:?}");
    assert!(arrivals[0].event.frames <= 3, "{}", arrivals[0].event.frames);
    // A telephone that is pushed towards the camera grows, and what is around it stays.
    let (pressed, arrivals) = run(car("苏F12345", 10, 20), strictly(0.0));
    assert_eq!((pressed, arrivals[0].event.rule), (0, Rule::Photograph));
    assert_eq!(arrivals[0].event.liveness.growth, Finding::Car);
}

#[test]
fn once_the_lane_was_seen_empty_a_car_must_hide_it_on_both_sides() {
    let first_empty = |steps: Steps| -> Steps { (0..50).map(|_| Ok(Vec::new())).chain(steps).collect() };
    let strictly = |bodies| Setting { strength: Strength::Refuse, bodies, ..Default::default() };
    // As wide as a car, narrower, and with the lane all around.
    for (bodies, pulses, hides) in [(2.0, 1, Finding::Car), (1.35, 0, Finding::Unknown), (0.6, 0, Finding::Picture)] {
        let (pressed, arrivals) = run(first_empty(car("苏F12345", 10, 30)), strictly(bodies));
        let event = &arrivals[0].event;
        assert_eq!((pressed, event.liveness.hides), (pulses, Some(hides)), "{bodies}: {arrivals:?}");
        assert!(pressed == 1 || event.rule == Rule::Photograph, "{bodies}: {:?}", event.rule);
    }
    // One that had no time to see it empty says so.
    let (pressed, arrivals) = run(car("苏F12345", 10, 20), strictly(2.0));
    assert_eq!((pressed, arrivals[0].event.liveness.hides), (1, None));
    // A car that has been parked in view for a while belongs to the lane, one that came just now does not.
    for (stands, hides) in [(62, Some(Finding::Car)), (20, None)] {
        let parked = || at("皖A9Z88M", 560.0, 60.0);
        let mut steps: Steps = (0..stands * 25 / 2).map(|_| Ok(vec![parked()])).collect();
        steps.extend((0..50).map(|_| Ok(vec![parked()])));
        let both = |step: Result<Vec<Reading>, Duration>| step.map(|comes| [vec![parked()], comes].concat());
        steps.extend(car("苏F12345", 10, 10).into_iter().map(both));
        let (pressed, arrivals) = run(steps, strictly(2.0));
        let event = &arrivals.last().unwrap().event;
        assert_eq!((pressed, event.rule, event.liveness.hides), (1, Rule::Paid, hides), "{stands} s: {arrivals:?}");
    }
    // What stands on the loop is not the empty lane, though no plate is read.
    let on_the_loop = Setting { presence: Some(true), ..strictly(0.6) };
    let (_, arrivals) = run(first_empty(car("苏F12345", 10, 30)), on_the_loop);
    assert_eq!(arrivals[0].event.liveness.hides, None);
}

#[test]
fn a_grey_print_has_the_wrong_colour() {
    let mut steps = car("苏F12345", 10, 30);
    for reading in steps.iter_mut().flatten().flatten() {
        reading.colours = [0.02, 0.0, 0.0, 0.0, 0.95, 0.03];
    }
    let strictly = || Setting { strength: Strength::Refuse, presence: Some(true), ..Default::default() };
    let (pressed, arrivals) = run(steps, strictly());
    assert_eq!((pressed, arrivals[0].event.rule), (0, Rule::Photograph), "{arrivals:?}");
    assert_eq!(arrivals[0].event.liveness.colour, Finding::Picture);
    assert_eq!(run(car("苏F12345", 10, 30), strictly()).0, 1);
}

#[test]
fn a_wired_loop_must_be_on_and_vouches_for_a_car_that_stands() {
    let standing = || -> Steps { (0..40).map(|_| Ok(vec![at("苏F12345", 100.0, 120.0)])).collect() };
    let with = |steps, presence| run(steps, Setting { presence, strength: Strength::Refuse, ..Default::default() });
    assert_eq!(with(standing(), Some(true)).0, 1);
    assert_eq!(with(standing(), None).0, 0);
    let (pressed, arrivals) = with(car("苏F12345", 10, 40), Some(false));
    assert_eq!((pressed, arrivals[0].event.rule), (0, Rule::NothingThere));
}
