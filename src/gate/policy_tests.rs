//! Every rule, and which goes before which.

use jiff::{Timestamp, ToSpan};

use super::*;
use crate::ledger::Fen;
use crate::register::{Change, Dues, Pass, Register};
use crate::store::Store;

const NOW: &str = "2026-11-24T20:00:00+08:00[Asia/Shanghai]";

fn now() -> Zoned {
    NOW.parse().unwrap()
}

fn vehicle(plate: &str, change: impl FnOnce(&mut Vehicle)) -> Vehicle {
    let mut vehicle = Vehicle::new(plate.parse().unwrap(), "2-301").with(Dues::settled());
    change(&mut vehicle);
    vehicle
}

fn candidate(vehicle: &Vehicle, likelihood: f64) -> Candidate<'_> {
    let (plate, vehicle) = (vehicle.plate, Some(vehicle));
    Candidate { plate, vehicle, likelihood, posterior: 0.99, has_lookalike: false }
}

fn found(vehicle: &Vehicle, ratio: f64, margin: f64) -> Match<'_> {
    Match {
        candidates: [Some(candidate(vehicle, 0.9)), None, None, None, None],
        ratio,
        margin,
        read: vehicle.plate,
        confidence: 0.95,
        service: 0.0,
    }
}

fn case<'a>(found: &'a Match<'a>, register: &'a Snapshot, frames: u32) -> Case<'a> {
    Case {
        found,
        register,
        colour: Colour::Blue,
        frames,
        distance: Distance::Near,
        heading: Heading::Coming,
        liveness: Liveness::default(),
        is_live: true,
        mode: Mode::Normal,
    }
}

fn verdict(found: &Match<'_>, frames: u32, rules: &config::Gate) -> Verdict {
    decide(&case(found, &Snapshot::default(), frames), rules, &now())
}

#[test]
fn each_standing_has_its_rule() {
    let rules = config::Gate::default();
    let today = now().date();
    let cases = [
        (vehicle("苏F12345", |_| ()), Verdict::Open(Rule::Paid)),
        (vehicle("苏F12345", |v| v.dues.paid = Fen::of(9_999)), Verdict::Refuse(Rule::Unpaid)),
        (vehicle("苏F12345", |v| v.dues = Dues::exempt()), Verdict::Open(Rule::Exempt)),
        (vehicle("苏F12345", |v| (v.dues, v.grace_until) = (Dues::default(), Some(today))), Verdict::Open(Rule::Grace)),
        (
            vehicle("苏F12345", |v| (v.dues, v.grace_until) = (Dues::default(), today.yesterday().ok())),
            Verdict::Refuse(Rule::Unpaid),
        ),
        (vehicle("苏F12345", |v| v.blocked = true), Verdict::Refuse(Rule::Blocked)),
    ];
    for (vehicle, want) in cases {
        assert_eq!(verdict(&found(&vehicle, 1e6, 1e6), 3, &rules), want);
    }
}

#[test]
fn grace_ends_at_midnight_where_the_gate_stands() {
    let rules = config::Gate::default();
    let last = jiff::civil::date(2026, 10, 24);
    let car = vehicle("苏F12345", |v| (v.dues, v.grace_until) = (Dues::default(), Some(last)));
    let found = found(&car, 1e6, 1e6);
    let snapshot = Snapshot::default();
    let at = |text: &str| decide(&case(&found, &snapshot, 3), &rules, &text.parse().unwrap());
    assert_eq!(at("2026-10-24T23:59:59+08:00[Asia/Shanghai]"), Verdict::Open(Rule::Grace));
    assert_eq!(at("2026-10-25T00:00:00+08:00[Asia/Shanghai]"), Verdict::Refuse(Rule::Unpaid));
    // The night in which summer time ends is an hour longer in Berlin; its midnight is where it was.
    assert_eq!(at("2026-10-24T23:59:59+02:00[Europe/Berlin]"), Verdict::Open(Rule::Grace));
    assert_eq!(at("2026-10-25T00:00:00+02:00[Europe/Berlin]"), Verdict::Refuse(Rule::Unpaid));
}

#[test]
fn the_compound_may_let_the_unpaid_in() {
    let rules = config::Gate { unpaid: Unpaid::Open, ..Default::default() };
    let vehicle = vehicle("苏F12345", |v| v.dues = Dues::default());
    assert_eq!(verdict(&found(&vehicle, 1e6, 1e6), 3, &rules), Verdict::Open(Rule::UnpaidOpen));
}

#[test]
fn one_frame_or_a_thin_margin_or_a_small_ratio_waits() {
    let rules = config::Gate::default();
    let vehicle = vehicle("苏F12345", |_| ());
    assert!(!verdict(&found(&vehicle, 1e6, 1e6), 1, &rules).is_open());
    assert!(!verdict(&found(&vehicle, 1e6, 99.0), 9, &rules).is_open());
    assert!(!verdict(&found(&vehicle, 9_999.0, 1e6), 9, &rules).is_open());
    // While the plate is small and grows, a thicker one is asked for; not more of the ratio.
    let at = |distance, ratio, margin| {
        let (found, register) = (found(&vehicle, ratio, margin), Snapshot::default());
        decide(&Case { distance, ..case(&found, &register, 9) }, &rules, &now()).is_open()
    };
    assert!(verdict(&found(&vehicle, 1e6, 100.0), 9, &rules).is_open());
    assert!(!at(Distance::Coming, 1e6, 299.0) && at(Distance::Coming, 1e4, 300.0));
    assert!(!at(Distance::Far, 1e6, 9_999.0) && at(Distance::Far, 1e4, 1e4));
}

#[test]
fn a_car_with_lookalikes_needs_more_of_everything() {
    let rules = config::Gate::default();
    let (one, other) = (vehicle("苏F8B12D", |_| ()), vehicle("苏FBB120", |_| ()));
    let of = |ratio, margin, others: f64| {
        let mut found = found(&one, ratio, margin);
        found.candidates[0].as_mut().unwrap().has_lookalike = true;
        found.candidates[1] = Some(candidate(&other, others));
        found
    };
    assert!(!verdict(&of(1e6, 999.0, 0.1), 9, &rules).is_open());
    assert!(!verdict(&of(5e4, 1e6, 0.1), 9, &rules).is_open());
    assert!(!verdict(&of(1e6, 1e6, 0.1), 2, &rules).is_open());
    assert!(verdict(&of(1e6, 1e6, 0.1), 3, &rules).is_open());
    // Once the pictures tell them apart, one frame more is all that is asked.
    assert!(!verdict(&of(5e4, 5e3, 1e-4), 2, &rules).is_open());
    assert!(verdict(&of(5e4, 5e3, 1e-4), 3, &rules).is_open());
}

#[test]
fn doubt_between_a_paid_and_an_unpaid_car_waits() {
    let rules = config::Gate::default();
    let (paid, unpaid) = (vehicle("苏F12345", |_| ()), vehicle("苏F12346", |v| v.dues = Dues::default()));
    let mut doubtful = found(&paid, 1e6, 1e6);
    doubtful.candidates[1] = Some(candidate(&unpaid, 0.1));
    assert_eq!(verdict(&doubtful, 5, &rules), Verdict::Wait(Rule::NearMiss));
    doubtful.candidates[1] = Some(candidate(&unpaid, 0.0001));
    assert_eq!(verdict(&doubtful, 5, &rules), Verdict::Open(Rule::Paid));
}

#[test]
fn a_white_emergency_plate_comes_in_at_once_and_always_and_a_blue_look_alike_does_not() {
    let rules = config::Gate::default();
    let read = "苏FX234应急".parse().unwrap();
    let snapshot = Snapshot::default();
    let decided = |colour, service, mode, frames| {
        let candidates = [None; 5];
        let found = Match { candidates, ratio: 0.0, margin: 0.0, read, confidence: 0.9, service };
        let case = Case { colour, mode, is_live: false, ..case(&found, &snapshot, frames) };
        decide(&case, &rules, &now())
    };
    assert_eq!(decided(Colour::White, 0.9999, Mode::Normal, 1), Verdict::Open(Rule::Service));
    assert_eq!(decided(Colour::White, 0.9999, Mode::Closed, 1), Verdict::Open(Rule::Service));
    assert!(!decided(Colour::Blue, 0.9999, Mode::Normal, 4).is_open());
    assert!(!decided(Colour::White, 0.9, Mode::Normal, 4).is_open());
    let none = config::Gate { always_open: Vec::new(), ..rules.clone() };
    let candidates = [None; 5];
    let found = Match { candidates, ratio: 0.0, margin: 0.0, read, confidence: 0.9, service: 0.9999 };
    let case = Case { colour: Colour::White, ..case(&found, &snapshot, 4) };
    assert!(!decide(&case, &none, &now()).is_open(), "as configured");
}

#[test]
fn modes_headings_and_photographs_have_their_rules() {
    let rules = config::Gate::default();
    let (paid, snapshot) = (vehicle("苏F12345", |_| ()), Snapshot::default());
    let found = found(&paid, 1e6, 1e6);
    let base = || case(&found, &snapshot, 3);
    let nothing = Liveness { presence: Finding::Picture, ..Liveness::default() };
    for (case, want) in [
        (Case { mode: Mode::Closed, ..base() }, Verdict::Refuse(Rule::Closed)),
        (Case { mode: Mode::HeldOpen, ..base() }, Verdict::Open(Rule::HeldOpen)),
        (Case { mode: Mode::HeldOpen, frames: 1, ..base() }, Verdict::Wait(Rule::HeldOpen)),
        (Case { heading: Heading::Going, ..base() }, Verdict::Wait(Rule::Leaving)),
        (Case { is_live: false, ..base() }, Verdict::Wait(Rule::Photograph)),
        (Case { is_live: false, liveness: nothing, ..base() }, Verdict::Wait(Rule::NothingThere)),
        (base(), Verdict::Open(Rule::Paid)),
    ] {
        assert_eq!(decide(&case, &rules, &now()), want, "{case:?}");
    }
}

#[test]
fn a_clear_stranger_is_refused_before_it_stands_and_a_near_miss_is_given_time() {
    let rules = config::Gate::default();
    let car = vehicle("苏F12345", |_| ());
    let of = |read: &str| Match { read: read.parse().unwrap(), ..found(&car, 1e-9, 1e-9) };
    assert_eq!(verdict(&of("皖A6P42Z"), 2, &rules), Verdict::Wait(Rule::Stranger));
    assert_eq!(verdict(&of("皖A6P42Z"), 5, &rules), Verdict::Refuse(Rule::Stranger));
    assert_eq!(verdict(&of("苏F12346"), 50, &rules), Verdict::Wait(Rule::NearMiss));
    assert_eq!(verdict(&Match { confidence: 0.2, ..of("皖A6P42Z") }, 50, &rules), Verdict::Wait(Rule::Unreadable));
}

#[test]
fn a_pass_lets_in_in_its_time_and_as_often_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let register = Register::open(std::sync::Arc::new(Store::open(folder.path()).unwrap())).unwrap();
    let (from, plate): (Timestamp, Plate) = (Timestamp::now() - 1.hour(), "皖A6P42Z".parse().unwrap());
    let pass = |id, plate, entries| Pass {
        id,
        plate,
        from,
        to: from + 2.hours(),
        entries,
        used: 0,
        household: "2-301".into(),
        note: String::new(),
        given_by: "test".into(),
    };
    let unpaid = vehicle("苏F12346", |v| v.dues = Dues::default());
    let blocked = vehicle("苏F12347", |v| v.blocked = true);
    let changes = [
        Change::Pass(pass(1, plate, Some(1))),
        Change::Pass(pass(2, unpaid.plate, None)),
        Change::Pass(pass(3, blocked.plate, None)),
    ];
    register.apply("test", &changes).unwrap();
    let snapshot = register.snapshot();
    let decided = |vehicle: Option<&Vehicle>, plate: Plate, at: Timestamp| {
        let candidate = Candidate { plate, vehicle, likelihood: 0.9, posterior: 0.9, has_lookalike: false };
        let candidates = [Some(candidate), None, None, None, None];
        let found = Match { candidates, ratio: 1e6, margin: 1e6, read: plate, confidence: 0.9, service: 0.0 };
        decide(&case(&found, &snapshot, 3), &config::Gate::default(), &at.to_zoned(jiff::tz::TimeZone::UTC))
    };
    let good = from + 1.hour();
    assert_eq!(decided(None, plate, from - 1.second()), Verdict::Refuse(Rule::PassEarly));
    assert_eq!(decided(None, plate, good), Verdict::Open(Rule::Pass));
    assert_eq!(decided(None, plate, from + 3.hours()), Verdict::Refuse(Rule::PassOver));
    assert!(good_pass(&snapshot, plate, &good.to_zoned(jiff::tz::TimeZone::UTC)).unwrap().take());
    assert_eq!(decided(None, plate, good), Verdict::Refuse(Rule::PassUsed));
    assert_eq!(
        decided(Some(&unpaid), unpaid.plate, good),
        Verdict::Open(Rule::Pass),
        "a pass helps one who has not paid"
    );
    assert_eq!(
        decided(Some(&blocked), blocked.plate, good),
        Verdict::Refuse(Rule::Blocked),
        "and nobody who is blocked"
    );
}
