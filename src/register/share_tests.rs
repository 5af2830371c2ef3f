use std::sync::Arc;

use super::*;
use crate::ledger::{BookError, Draft, Fen, What};
use crate::plate::Plate;
use crate::register::shared::Keeper;
use crate::store::Store;

/// A box with its register in a folder of its own.
struct Station {
    register: Register,
    _folder: tempfile::TempDir,
}

impl Station {
    fn new(number: u16) -> Station {
        let folder = tempfile::tempdir().unwrap();
        let register = Register::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        register.set_station(number).unwrap();
        Station { register, _folder: folder }
    }

    fn cars(&self) -> Vec<Vehicle> {
        let mut cars = self.register.snapshot().vehicles().to_vec();
        cars.sort_by_key(|car| car.plate);
        cars
    }
}

fn plate(text: &str) -> Plate {
    text.parse().unwrap()
}

fn car(text: &str, household: &str) -> Vehicle {
    Vehicle::new(plate(text), household)
}

/// Carries what each box has not told to all others, as a broker does, until nobody has anything to tell.
fn talk(stations: &[&Station]) {
    // A broker's numbers go on, also after it was away.
    static SEQ: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let mut seq = 0;
    for round in 0.. {
        assert!(round < 20, "they go on telling each other the same");
        let mut said = false;
        for from in stations {
            let told = from.register.unsent(1000).unwrap();
            said |= !told.is_empty();
            let numbered: Vec<(Told, u64)> = told
                .into_iter()
                .map(|told| {
                    seq = SEQ.fetch_add(1, Ordering::Relaxed) + 1;
                    (told, seq)
                })
                .collect();
            from.register.sent(&numbered).unwrap();
            let messages: Vec<Told> = numbered.into_iter().map(|(t, seq)| Told { seq, ..t }).collect();
            for to in stations {
                to.register.hear(&messages, &Heard { stream: "a".into(), seq }).unwrap();
            }
        }
        if !said {
            return;
        }
    }
}

#[test]
fn what_two_stewards_write_on_cut_off_boxes_ends_the_same_on_both() {
    let (a, b) = (Station::new(1), Station::new(2));
    a.register
        .apply("王芳", &[Change::Vehicle(car("苏F12345", "1-101")), Change::Vehicle(car("苏F22222", "1-102"))])
        .unwrap();
    talk(&[&a, &b]);
    assert_eq!(a.cars(), b.cars());
    assert_eq!(b.cars().len(), 2);
    // Cut off: different fields of one car, the same field of another, one taken out.
    a.register.apply("王芳", &[Change::Vehicle(Vehicle { blocked: true, ..car("苏F12345", "1-101") })]).unwrap();
    b.register.apply("李强", &[Change::Vehicle(Vehicle { note: "白色".into(), ..car("苏F12345", "1-101") })]).unwrap();
    a.register.apply("王芳", &[Change::Vehicle(Vehicle { note: "a".into(), ..car("苏F22222", "1-102") })]).unwrap();
    b.register.apply("李强", &[Change::Vehicle(Vehicle { note: "b".into(), ..car("苏F22222", "1-102") })]).unwrap();
    b.register.apply("李强", &[Change::Vehicle(car("苏F33333", "1-103"))]).unwrap();
    talk(&[&a, &b]);
    assert_eq!(a.cars(), b.cars());
    let both = a.register.snapshot();
    let both = both.get(&plate("苏F12345")).unwrap();
    assert!(both.blocked && both.note == "白色", "{both:?}");
    assert_eq!(a.cars().len(), 3);
    a.register.apply("王芳", &[Change::Remove(plate("苏F33333"))]).unwrap();
    talk(&[&b, &a]);
    assert_eq!((a.cars().len(), b.cars().len()), (2, 2));
    // The change that came from elsewhere bears its author's name.
    assert!(a.register.changes().unwrap().iter().any(|entry| entry.by == "李强"));
}

#[test]
fn the_loser_of_a_conflict_is_told() {
    let (a, b) = (Station::new(1), Station::new(2));
    a.register.apply("王芳", &[Change::Vehicle(car("苏F12345", "1-101"))]).unwrap();
    talk(&[&a, &b]);
    let noted = |note: &str| [Change::Vehicle(Vehicle { note: note.into(), ..car("苏F12345", "1-101") })];
    a.register.apply("王芳", &noted("first")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(3));
    b.register.apply("李强", &noted("second")).unwrap();
    let from_b: Vec<Told> = b.register.unsent(9).unwrap().into_iter().map(|t| Told { seq: u64::MAX, ..t }).collect();
    let outcome = a.register.hear(&from_b, &Heard::default()).unwrap();
    let [(key, lost)] = outcome.lost.as_slice() else { panic!("{outcome:?}") };
    assert_eq!((key.as_str(), lost.by.as_str(), lost.to.as_str()), ("vehicle/苏F12345", "王芳", "李强"));
    assert!(lost.value.contains("first"));
    // Told once more, it is no loss any more.
    assert!(a.register.hear(&from_b, &Heard::default()).unwrap().lost.is_empty());
}

#[test]
fn poisoned_messages_are_refused_and_the_others_taken() {
    let (a, b) = (Station::new(1), Station::new(2));
    a.register
        .apply("王芳", &[Change::Vehicle(car("苏F12345", "1-101")), Change::Vehicle(car("苏F22222", "1-102"))])
        .unwrap();
    let mut told = a.register.unsent(9).unwrap();
    let odd = told.iter_mut().find(|t| t.key.id() == "苏F22222").unwrap();
    odd.state.parts.get_mut("plate").unwrap().value = "not a plate".into();
    let mut ahead = told[0].clone();
    ahead.state.parts.values_mut().for_each(|part| part.at.ms += 1000 * 3600 * 48);
    told.push(ahead);
    let outcome = b.register.hear(&told, &Heard::default()).unwrap();
    assert_eq!((outcome.refused.len(), outcome.changed), (2, 1), "{outcome:?}");
    assert_eq!(b.cars().len(), 1);
    // The clock of the one that was ahead was not taken over: a change here is still of today.
    b.register.apply("李强", &[Change::Vehicle(car("苏F33333", "1-103"))]).unwrap();
    let newest = b.register.unsent(9).unwrap().iter().map(|t| t.state.newest().time()).max().unwrap();
    assert!(newest < Timestamp::now() + SignedDuration::from_hours(1));
}

fn pass(id: u64, entries: u32) -> Pass {
    let now = Timestamp::now();
    Pass {
        id,
        plate: plate("皖A6P42Z"),
        from: now - SignedDuration::from_hours(1),
        to: now + SignedDuration::from_hours(1),
        entries: Some(entries),
        used: 0,
        household: "2-301".into(),
        note: String::new(),
        given_by: "王芳".into(),
    }
}

#[test]
fn a_pass_is_counted_across_gates_and_overspending_is_told() {
    let (a, b) = (Station::new(1), Station::new(2));
    assert_ne!(a.register.next_pass().unwrap(), b.register.next_pass().unwrap());
    let id = a.register.next_pass().unwrap();
    a.register.apply("王芳", &[Change::Pass(pass(id, 2))]).unwrap();
    talk(&[&a, &b]);
    let take = |station: &Station| {
        let taken = station.register.snapshot().passes()[0].take();
        station.register.keep_counts().unwrap();
        taken
    };
    assert!(take(&a));
    assert!(b.register.hear_uses(&a.register.own_uses().unwrap()).unwrap().is_empty());
    // Heard twice is counted once.
    b.register.hear_uses(&a.register.own_uses().unwrap()).unwrap();
    assert_eq!(b.register.passes().unwrap()[0].used, 1);
    assert!(take(&b) && !take(&b), "one at each gate is two");
    assert_eq!(b.register.own_uses().unwrap(), [Use { pass: id, station: 2, count: 1 }]);
    // Cut off, the first gate lets in once more: together they let in three times, and that is told.
    assert!(take(&a));
    let over = a.register.hear_uses(&b.register.own_uses().unwrap()).unwrap();
    assert_eq!(over.iter().map(|p| (p.id, p.used)).collect::<Vec<_>>(), [(id, 3)]);
    assert_eq!(a.register.own_uses().unwrap(), [Use { pass: id, station: 1, count: 2 }]);
    assert!(!take(&a));
}

#[test]
fn a_use_that_is_heard_before_its_pass_counts() {
    let (a, b) = (Station::new(1), Station::new(2));
    b.register.hear_uses(&[Use { pass: 7, station: 1, count: 1 }]).unwrap();
    a.register.apply("王芳", &[Change::Pass(pass(7, 1))]).unwrap();
    b.register.hear(&a.register.unsent(9).unwrap(), &Heard::default()).unwrap();
    assert!(!b.register.snapshot().passes()[0].take());
}

#[test]
fn one_box_keeps_the_book_and_the_others_have_its_copy() {
    let (a, b) = (Station::new(1), Station::new(2));
    a.register.apply("王芳", &[Change::Vehicle(car("苏F12345", "1-101"))]).unwrap();
    talk(&[&a, &b]);
    let paid = Draft::now(
        "王芳",
        What::Opening {
            account: crate::ledger::Account::Campaign("barrier".into()),
            amount: Fen::yuan(100),
            plate: Some(plate("苏F12345")),
            household: None,
        },
    );
    let elsewhere = b.register.enter(std::slice::from_ref(&paid)).unwrap_err();
    assert!(matches!(elsewhere, BookError::Elsewhere { .. }), "{elsewhere}");
    if let Err(error) = a.register.enter(std::slice::from_ref(&paid)) {
        panic!("{error}");
    }
    let records = a.register.book_after(0, 99);
    assert_eq!(b.register.hear_book(&records).unwrap(), records.len());
    assert_eq!(b.register.hear_book(&records).unwrap(), 0, "heard again, it is taken once");
    assert_eq!(a.register.ledger().book().head(), b.register.ledger().book().head());
    let standing =
        |s: &Station| s.register.snapshot().get(&plate("苏F12345")).unwrap().standing(crate::register::today());
    assert_eq!(standing(&b), crate::register::Standing::Paid);
    // An altered one is refused.
    let mut forged = a.register.book_after(0, 99);
    forged[0].entry["by"] = "nobody".into();
    assert!(b.register.hear_book(&forged).is_err());
    // Handed over, the other one writes, once it has every entry.
    let head = a.register.ledger().book().head().0;
    a.register.apply("王芳", &[Change::Keeper(Keeper { station: 2, entries: head })]).unwrap();
    assert!(a.register.enter(std::slice::from_ref(&paid)).is_err());
    talk(&[&a, &b]);
    assert!(b.register.is_keeper().unwrap() && b.register.keeps_the_book().is_ok());
}

#[test]
fn a_box_that_joins_late_tells_what_it_had_before() {
    let folder = tempfile::tempdir().unwrap();
    let register = Register::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
    register.apply("王芳", &[Change::Vehicle(car("苏F12345", "1-101"))]).unwrap();
    let told = register.unsent(9).unwrap();
    register.sent(&told.into_iter().map(|t| (t, 4)).collect::<Vec<_>>()).unwrap();
    assert_eq!(register.unsent_count(), 0);
    register.set_station(3).unwrap();
    let told = register.unsent(9).unwrap();
    assert_eq!((told.len(), told[0].seq), (1, 0));
}
