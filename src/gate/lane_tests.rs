//! The lane driven by a script and its clock: what opens, what does not, and what is put on record.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::event::{Finding, Heading, Outcome, PulseReport, Rule};
use super::inside::Inside;
use super::mode::{ByHand, Hand, Mode};
use crate::clock::{Clock, Hands};
use crate::config::{self, Strength};
use crate::register::{Change, Dues, Pass, Register, Snapshot};
use crate::store::Store;
use crate::vision::Reading;
use crate::vision::track::tests::reading;
use script::*;

#[path = "lane_photo_tests.rs"]
mod photographs;
#[path = "lane_script.rs"]
mod script;

#[test]
fn a_paid_car_is_let_in_once_however_long_it_stands() {
    let (pressed, arrivals) = fresh(car("苏F12345", 10, 400));
    assert_eq!((pressed, arrivals.len()), (1, 1));
    let event = &arrivals[0].event;
    assert_eq!((event.outcome, event.rule, event.heading), (Outcome::Opened, Rule::Paid, Heading::Coming));
    assert!(event.frames <= 4, "{}", event.frames);
    assert_eq!(event.vehicle.as_ref().unwrap().household, "2-301");
    assert!(matches!(event.pulse, Some(PulseReport::Pressed { after_ms }) if after_ms < 500.0));
    assert_eq!((event.slots.len(), event.candidates[0].plate.to_string().as_str()), (8, "苏F12345"));
    assert!(
        event.ratio >= event.needed
            && event.margin >= event.margin_needed
            && event.margin_needed > 0.0
            && !event.looks.is_empty()
    );
    assert_eq!((event.liveness.growth, event.liveness.colour), (Finding::Car, Finding::Car));
    // It survives the way through the store.
    let json = serde_json::to_string(event).unwrap();
    let back: super::event::Event = serde_json::from_str(&json).unwrap();
    assert_eq!((back.rule, back.looks.len(), back.liveness), (event.rule, event.looks.len(), event.liveness));
    assert!((back.margin / event.margin - 1.0).abs() < 1e-9);
}

#[test]
fn unpaid_strangers_and_near_misses_stay_out_with_their_reason() {
    for (text, rule) in [
        ("苏F8K291", Rule::Unpaid),
        ("皖A9Z88M", Rule::Stranger),
        ("苏F12346", Rule::NearMiss),
        ("苏E12345", Rule::NearMiss),
    ] {
        let (pressed, arrivals) = fresh(car(text, 10, 40));
        assert_eq!((pressed, arrivals.len()), (0, 1), "{text}: {arrivals:?}");
        let last = &arrivals[0].event;
        assert_eq!((last.outcome, last.rule), (Outcome::Refused, rule), "{text}");
    }
}

#[test]
fn a_parked_car_whose_track_breaks_is_still_one_arrival() {
    for (text, pressed) in [("苏F12345", 1), ("苏F8K291", 0), ("皖A9Z88M", 0)] {
        let mut steps = car(text, 10, 30);
        for _ in 0..4 {
            // Longer than a track lives without being seen.
            steps.extend(pause(5.0));
            steps.extend(car(text, 10, 30));
        }
        let (presses, arrivals) = run(steps, Setting::default());
        assert_eq!((presses, arrivals.len()), (pressed, 1), "{text}: {arrivals:?}");
    }
}

#[test]
fn a_car_that_comes_again_later_is_let_in_again() {
    let mut steps = car("苏F12345", 10, 5);
    steps.extend(pause(30.0));
    steps.extend(car("苏F12345", 10, 5));
    assert_eq!(fresh(steps).0, 2);
}

#[test]
fn old_frames_never_open() {
    let (pressed, arrivals) =
        run(car("苏F12345", 10, 10), Setting { age: Duration::from_secs(2), ..Default::default() });
    assert_eq!(pressed, 0);
    assert_eq!((arrivals.len(), arrivals[0].event.rule), (1, Rule::Stale));
    let (pressed, _) = run(car("苏FX234应急", 10, 10), Setting { age: Duration::from_secs(2), ..Default::default() });
    assert_eq!(pressed, 0);
}

#[test]
fn a_broken_output_is_on_record_as_failed() {
    let (_, arrivals) = run(car("苏F12345", 10, 10), Setting { broken: true, ..Default::default() });
    let failed: Vec<_> = arrivals.iter().filter(|a| a.event.outcome == Outcome::Failed).collect();
    assert_eq!(failed.len(), 1);
    assert!(matches!(&failed[0].event.pulse, Some(PulseReport::Failed { reason }) if reason.contains("gone")));
}

#[test]
fn a_recorder_that_does_not_keep_up_never_stops_the_lane() {
    let mut steps = car("苏F12345", 10, 5);
    for text in ["皖A9Z88M", "沪C77Q10"] {
        steps.extend(pause(4.0));
        steps.extend(car(text, 10, 30));
    }
    let (pressed, arrivals) = run(steps, Setting { room: 1, ..Default::default() });
    assert_eq!((pressed, arrivals.len()), (1, 1));
}

#[test]
fn two_cars_in_one_frame_are_two_arrivals() {
    let both =
        |n: usize| vec![at("苏F12345", 100.0, 60.0 + 4.0 * n as f32), at("皖A9Z88M", 400.0, 60.0 + 4.0 * n as f32)];
    let (pressed, arrivals) = fresh((0..20).map(|n| Ok(both(n))).collect());
    assert_eq!((pressed, arrivals.len()), (1, 2));
    assert!(arrivals.iter().any(|a| a.event.rule == Rule::Stranger));
}

#[test]
fn a_registered_car_behind_another_gets_a_pulse_of_its_own_after_the_gap() {
    let register =
        Arc::new(Snapshot::new(vec![vehicle("苏F12345", Dues::settled()), vehicle("苏FA67K9", Dues::settled())]));
    let frame = |n: usize| {
        let second = at("苏FA67K9", 240.0, 40.0 + 1.5 * n as f32);
        if n < 25 { vec![at("苏F12345", 100.0, 60.0 + 4.0 * n as f32), second] } else { vec![second] }
    };
    let steps: Steps = (0..60).map(|n| Ok(frame(n))).collect();
    let (pressed, arrivals) = run(steps, Setting { register: register.clone(), ..Default::default() });
    assert_eq!((pressed, arrivals.len()), (2, 2), "{arrivals:?}");
    assert!(arrivals.iter().all(|a| matches!(a.event.pulse, Some(PulseReport::Pressed { .. }))));
    // One that slips through within the gap is on record all the same.
    let (pressed, arrivals) = run((0..30).map(|n| Ok(frame(n))).collect(), Setting { register, ..Default::default() });
    assert_eq!((pressed, arrivals.len()), (1, 2), "{arrivals:?}");
    assert!(arrivals.iter().any(|a| a.event.pulse == Some(PulseReport::JustPressed)));
}

#[test]
fn a_frame_that_cannot_be_read_is_passed_over() {
    // The script of readings ends before that of frames.
    assert_eq!(run(car("苏F12345", 10, 2), Setting { sight_ends: 2, ..Default::default() }).0, 1);
}

#[test]
fn a_car_that_drives_away_has_left_and_one_that_backs_out_was_refused() {
    let inside = Inside::default();
    let away: Steps = (0..20).map(|n| Ok(vec![at("苏F12345", 100.0, 140.0 - 4.0 * n as f32)])).collect();
    let mut steps = car("苏F12345", 10, 5);
    steps.extend(pause(60.0));
    steps.extend(away);
    steps.extend(pause(60.0));
    steps.extend(car("苏F12345", 10, 5));
    steps.extend(pause(60.0));
    steps.extend(car("苏F12345", 10, 5));
    let (pressed, arrivals) =
        run(steps, Setting { inside, strength: Strength::Refuse, bodies: 2.0, ..Default::default() });
    let told: Vec<_> = arrivals.iter().map(|a| (a.event.outcome, a.event.rule, a.event.already_inside)).collect();
    assert_eq!(pressed, 3, "a second one of the same plate is an alert, not a lock-out");
    assert_eq!(
        told,
        [
            (Outcome::Opened, Rule::Paid, false),
            (Outcome::Seen, Rule::Leaving, false),
            (Outcome::Opened, Rule::Paid, false),
            (Outcome::Opened, Rule::Paid, true),
        ]
    );
    let mut backs = car("皖A9Z88M", 4, 0);
    backs.extend((0..15).map(|n| Ok(vec![at("皖A9Z88M", 100.0, 140.0 - 5.0 * n as f32)])));
    let (_, arrivals) = fresh(backs);
    assert_eq!((arrivals[0].event.outcome, arrivals[0].event.rule), (Outcome::Refused, Rule::Stranger));
}

#[test]
fn hand_and_hours_hold_the_gate_open_or_closed() {
    let schedule = config::Schedule { hold_open: vec!["wed 20:00-21:00".parse().unwrap()], closed: Vec::new() };
    // 12:00 UTC on that Wednesday is 20:00 in Shanghai.
    let (pressed, arrivals) =
        run(car("皖A9Z88M", 10, 10), Setting { schedule: schedule.clone(), ..Default::default() });
    assert_eq!((pressed, arrivals[0].event.rule), (1, Rule::HeldOpen));
    let hand = Hand::default();
    let since = "2026-11-25T11:00:00Z".parse().unwrap();
    hand.set(ByHand { mode: Mode::Closed, by: "王芳".into(), since, until: None });
    let (pressed, arrivals) =
        run(car("苏F12345", 10, 10), Setting { schedule: schedule.clone(), hand: hand.clone(), ..Default::default() });
    assert_eq!((pressed, arrivals[0].event.rule), (0, Rule::Closed));
    // An hour later the schedule is over.
    let wall = "2026-11-25T13:00:00Z".parse().unwrap();
    let (pressed, arrivals) = run(car("皖A9Z88M", 10, 20), Setting { schedule, wall, ..Default::default() });
    assert_eq!((pressed, arrivals[0].event.rule), (0, Rule::Stranger));
}

#[test]
fn an_ambulance_comes_in_at_once_into_a_closed_gate() {
    let hand = Hand::default();
    hand.set(ByHand { mode: Mode::Closed, by: "王芳".into(), since: Timestamp::now(), until: None });
    let mut steps = car("苏FX234应急", 10, 0);
    for reading in steps.iter_mut().flatten().flatten() {
        reading.colours = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        *reading = Reading { slots: sure("苏FX234应急"), ..reading.clone() };
    }
    let (pressed, arrivals) = run(steps, Setting { hand, ..Default::default() });
    assert_eq!((pressed, arrivals[0].event.rule), (1, Rule::Service));
    assert!(arrivals[0].event.frames <= 2, "{}", arrivals[0].event.frames);
}

/// A reading without any doubt.
fn sure(text: &str) -> crate::vision::SlotProbabilities {
    reading(text, 0.0, 100.0, 0.99999).slots
}

#[test]
fn a_visitor_comes_in_as_often_as_the_pass_says_and_the_count_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let register = Register::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
    let (now, plate) = (Timestamp::now(), "皖A9Z88M".parse().unwrap());
    let (from, to) = (now - 1.hour(), now + 1.hour());
    let (household, note, given_by) = ("2-301".to_owned(), String::new(), "王芳".to_owned());
    let pass = Pass { id: 1, plate, from, to, entries: Some(1), used: 0, household, note, given_by };
    register.apply("test", &[Change::Pass(pass)]).unwrap();
    let mut steps = car("皖A9Z88M", 10, 5);
    steps.extend(pause(60.0));
    steps.extend(car("皖A9Z88M", 10, 40));
    let (pressed, arrivals) = run(steps, Setting { register: register.snapshot(), wall: now, ..Default::default() });
    let told: Vec<_> = arrivals.iter().map(|a| (a.event.rule, a.event.pass)).collect();
    assert_eq!((pressed, told), (1, vec![(Rule::Pass, Some(1)), (Rule::PassUsed, None)]));
    register.keep_counts().unwrap();
    assert_eq!(register.passes().unwrap()[0].used, 1);
}

#[test]
fn a_wall_clock_that_jumps_neither_opens_twice_nor_locks_out() {
    // The cool-down counts on the clock that never jumps: whatever the wall says, one pulse an arrival, and again later.
    for wall in ["1970-01-01T00:00:00Z", "2038-01-19T03:14:08Z"] {
        let mut steps = car("苏F12345", 10, 50);
        steps.extend(pause(30.0));
        steps.extend(car("苏F12345", 10, 50));
        assert_eq!(run(steps, Setting { wall: wall.parse().unwrap(), ..Default::default() }).0, 2, "{wall}");
    }
    let clock = Hands::at("2026-11-25T12:00:00Z".parse().unwrap(), TimeZone::UTC);
    clock.set_wall(clock.wall() - SignedDuration::from_hours(24));
    assert_eq!(clock.local().date(), jiff::civil::date(2026, 11, 24));
}
