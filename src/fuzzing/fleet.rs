//! What other gates, brokers, programs of the house and visitors may hand over.

use std::path::Path;
use std::sync::LazyLock;

use jiff::Timestamp;

use super::one_line;
use crate::fleet::command::{Act, Command, Judge, Obeyed};
use crate::fleet::identity::Identity;
use crate::fleet::wire::{Health, Upward};
use crate::fleet::{join, mqtt, pass_code, sync};
use crate::gate::event::Event;
use crate::ledger::verify::Record;
use crate::register::share::{self, Told, Use};
use crate::register::version::Stamp;
use crate::register::{Change, Pass, Vehicle};

/// A compound of one box. Another one in each process: nothing that was signed before counts.
static FOUNDER: LazyLock<Identity> = LazyLock::new(|| {
    Identity::found("garden", "main", vec!["nats://127.0.0.1:4222".into()], None).expect("keys can be made")
});

/// What a broker hands over: records, arrivals, entries, counts, how gates are.
pub(super) fn message(bytes: &[u8]) {
    let key = serde_json::from_slice::<Told>(bytes).map(|told| told.key);
    let subject = key
        .map_or_else(|_| "pg.garden.register.vehicle.x".to_owned(), |key| crate::fleet::wire::record("garden", &key));
    match sync::parse_record(bytes, &subject, "garden") {
        Ok(told) => {
            if let Err(why) = share::check(&told, Timestamp::now()) {
                one_line(&why);
            }
            let mut state = told.state.clone();
            state.merge(&told.state);
            assert_eq!(state, told.state, "a state that was heard twice");
        }
        Err(why) => one_line(&why),
    }
    if let Err(why) = sync::parse_arrival(bytes, "pg.garden.events.main") {
        one_line(&why);
    }
    let _ = serde_json::from_slice::<Record>(bytes);
    let _ = serde_json::from_slice::<Use>(bytes);
    let _ = serde_json::from_slice::<Health>(bytes);
}

pub(super) fn messages() -> Vec<Vec<u8>> {
    let change = Change::Vehicle(Vehicle::new("苏F12345".parse().expect("a plate"), "2-301"));
    let mut told = Told { key: share::key(&change), state: Default::default(), seq: 0 };
    share::write(&mut told.state, &change, Stamp::default(), "王芳");
    let arrival = Upward::of(&Event::blank("main", Timestamp::UNIX_EPOCH), 2, 1, "main", None);
    let json = |value: serde_json::Result<Vec<u8>>| value.expect("plain data");
    let used = Use { pass: 7, station: 2, count: 3 };
    vec![json(serde_json::to_vec(&told)), json(serde_json::to_vec(&arrival)), json(serde_json::to_vec(&used))]
}

/// What asks a gate to do something: another gate, the house's broker, a box that wants to join.
pub(super) fn command(bytes: &[u8]) {
    let now = GIVEN.at;
    let judge = Judge::new("main", now, Obeyed::default(), |_| Ok(()));
    if let Err(refused) = judge.judge(bytes, &[FOUNDER.member()], |member| FOUNDER.vouched(member), now) {
        one_line(&refused.to_string());
    }
    if let Some(refused) = mqtt::command::why_refused(bytes) {
        one_line(&refused);
    }
    let (reply, member) = join::admit(&FOUNDER, Path::new("/nowhere"), bytes);
    assert!(member.is_none() && serde_json::from_slice::<serde_json::Value>(&reply).is_ok());
}

static GIVEN: LazyLock<Command> = LazyLock::new(|| Command::new(&FOUNDER, "main", Act::Open, "王芳", "快递"));

pub(super) fn commands() -> Vec<Vec<u8>> {
    let of_the_house: [&[u8]; 2] = [
        r#"{"do":"open","why":"快递","expires":1780000000,"nonce":"0123456789","mac":"00"}"#.as_bytes(),
        br#"{"do":"mode","mode":"hold_open"}"#,
    ];
    let joins = br#"{"gate":"north","token":"U","key":"U","by_token":"AA==","by_key":"AA=="}"#;
    let mut all = vec![GIVEN.sign(&FOUNDER).expect("its key"), joins.to_vec()];
    all.extend(of_the_house.map(<[u8]>::to_vec));
    all
}

/// A visitor's square code.
pub(super) fn pass(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match pass_code::check(&FOUNDER, &[], &text) {
        // What counts is what was given, to the letter.
        Ok(pass) => assert_eq!(pass_code::issue(&FOUNDER, &pass).as_deref(), Ok(text.trim())),
        Err(error) => one_line(&error.to_string()),
    }
    // Behind the signature, where nothing that was not signed gets.
    pass_code::fuzz(bytes);
}

pub(super) fn passes() -> Vec<Vec<u8>> {
    let pass = Pass {
        id: 7,
        plate: "皖A6P42Z".parse().expect("a plate"),
        from: Timestamp::UNIX_EPOCH,
        to: Timestamp::UNIX_EPOCH,
        entries: Some(2),
        used: 0,
        household: "2-301".into(),
        note: String::new(),
        given_by: String::new(),
    };
    let code = pass_code::issue(&FOUNDER, &pass).expect("its key");
    vec![pass_code::bytes_of(&code), code.into_bytes()]
}
