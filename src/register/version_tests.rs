use super::*;
use proptest::prelude::*;
use serde_json::json;

#[derive(Clone, Debug)]
enum Step {
    /// A steward writes a field on a box, whose clock shows this.
    Write {
        station: usize,
        field: usize,
        value: u8,
        wall: i64,
    },
    Remove {
        station: usize,
        wall: i64,
    },
    /// A box hears what another one knew at some time.
    Hear {
        from: usize,
        to: usize,
        at: usize,
    },
}

const BOXES: usize = 3;
const FIELDS: [&str; 3] = ["household", "blocked", "note"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Clocks an hour apart and going back: wall is anywhere within two hours.
    let wall = 0i64..7_200_000;
    let step = prop_oneof![
        4 => (0..BOXES, 0..3usize, 0u8..4, wall.clone())
            .prop_map(|(station, field, value, wall)| Step::Write { station, field, value, wall }),
        1 => (0..BOXES, wall).prop_map(|(station, wall)| Step::Remove { station, wall }),
        5 => (0..BOXES, 0..BOXES, 0..40usize).prop_map(|(from, to, at)| Step::Hear { from, to, at }),
    ];
    proptest::collection::vec(step, 1..40)
}

/// Plays the steps; gives every state that every box ever had.
fn play(steps: &[Step]) -> Vec<Vec<State>> {
    let mut history: Vec<Vec<State>> = vec![vec![State::default()]; BOXES];
    let mut clocks: Vec<HybridClock> = (0..BOXES).map(|n| HybridClock::after(Stamp::default(), n as u16 + 1)).collect();
    for step in steps {
        match *step {
            Step::Write { station, field, value, wall } => {
                let mut state = history[station].last().unwrap().clone();
                let at = clocks[station].tick(Timestamp::from_millisecond(wall).unwrap());
                state.write([(FIELDS[field], json!(value))], at, &format!("steward {station}"));
                history[station].push(state);
            }
            Step::Remove { station, wall } => {
                let mut state = history[station].last().unwrap().clone();
                state.remove(clocks[station].tick(Timestamp::from_millisecond(wall).unwrap()), "remover");
                history[station].push(state);
            }
            Step::Hear { from, to, at } => {
                let told = history[from][at % history[from].len()].clone();
                clocks[to].hear(told.newest());
                let mut state = history[to].last().unwrap().clone();
                state.merge(&told);
                history[to].push(state);
            }
        }
    }
    history
}

fn joined<'a>(states: impl IntoIterator<Item = &'a State>) -> State {
    let mut all = State::default();
    states.into_iter().for_each(|state| {
        all.merge(state);
    });
    all
}

proptest! {
    #[test]
    fn whatever_the_order_and_however_often_all_boxes_end_the_same(
        steps in steps(), order in Just(()).prop_perturb(|(), mut rng| (0..64).map(|_| rng.next_u32()).collect::<Vec<_>>()),
    ) {
        let history = play(&steps);
        let last: Vec<&State> = history.iter().map(|h| h.last().unwrap()).collect();
        let want = joined(last.iter().copied());
        // Every state that ever was, shuffled and with repetitions, in place of the last ones.
        let mut all: Vec<&State> = history.iter().flatten().collect();
        all.extend(all.clone());
        all.sort_by_key(|state| {
            let n = crc32fast::hash(serde_json::to_string(state).unwrap().as_bytes());
            order[n as usize % order.len()] ^ n
        });
        prop_assert_eq!(&joined(all.iter().copied()), &want);
        prop_assert_eq!(&joined(last.into_iter().rev()), &want);
    }

    #[test]
    fn merging_is_a_join(steps in steps(), a in 0usize..99, b in 0usize..99, c in 0usize..99) {
        let all: Vec<State> = play(&steps).into_iter().flatten().collect();
        let [a, b, c] = [a, b, c].map(|n| &all[n % all.len()]);
        prop_assert_eq!(joined([a, b]), joined([b, a]));
        prop_assert_eq!(joined([&joined([a, b]), c]), joined([a, &joined([b, c])]));
        prop_assert_eq!(joined([a, a]), joined([a]));
    }

    #[test]
    fn a_box_never_writes_before_what_it_has_heard(heard in 0u64..10_000, wall in 0i64..10_000, n: u32) {
        let mut clock = HybridClock::after(Stamp::default(), 1);
        let heard = Stamp { ms: heard, n, station: 2 };
        clock.hear(heard);
        let first = clock.tick(Timestamp::from_millisecond(wall).unwrap());
        prop_assert!((first.ms, first.n) > (heard.ms, heard.n));
        prop_assert!(clock.tick(Timestamp::UNIX_EPOCH) > first);
    }
}

fn at(ms: u64, station: u16) -> Stamp {
    Stamp { ms, n: 0, station }
}

#[test]
fn two_stewards_on_cut_off_boxes_keep_both_fields_and_the_loser_is_told() {
    let mut common = State::default();
    common.write([("household", json!("1-101")), ("blocked", json!(false)), ("note", json!(""))], at(1, 1), "王芳");
    let (mut a, mut b) = (common.clone(), common);
    a.write([("blocked", json!(true))], at(10, 1), "王芳");
    b.write([("note", json!("白色"))], at(11, 2), "李强");
    let (one, two) = (joined([&a, &b]), joined([&b, &a]));
    assert_eq!(one, two);
    assert_eq!((one.value("blocked"), one.value("note")), (Some(&json!(true)), Some(&json!("白色"))));
    // The same field: the later one wins, and on each box the same loss is told.
    b.write([("blocked", json!("again"))], at(12, 2), "李强");
    let told = a.clone().merge(&b);
    assert_eq!((told.len(), told[0].by.as_str(), told[0].to.as_str()), (1, "王芳", "李强"));
    assert_eq!(b.clone().merge(&a), told);
    // One after the other is no conflict.
    let mut after = joined([&a, &b]);
    after.write([("blocked", json!(false))], at(13, 1), "王芳");
    assert!(b.clone().merge(&after).is_empty());
}

#[test]
fn a_removal_stays_unless_the_car_is_registered_anew() {
    let mut common = State::default();
    common.write([("household", json!("1-101")), ("note", json!(""))], at(1, 1), "王芳");
    let (mut a, mut b) = (common.clone(), common);
    a.remove(at(10, 1), "王芳");
    b.write([("note", json!("later"))], at(11, 2), "李强");
    let both = joined([&a, &b]);
    assert!(both.value("household").is_none() && both == joined([&b, &a]));
    b.write([("household", json!("2-301"))], at(12, 2), "李强");
    assert_eq!(joined([&b, &a]).value("household"), Some(&json!("2-301")));
}
