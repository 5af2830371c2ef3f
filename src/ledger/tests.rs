//! The book under any sequence of operations, and under the hands of somebody who alters it.

use std::sync::Arc;

use jiff::civil::{Date, date};
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;

use super::board::{Board, Compound};
use super::entry::{Campaign, Draft, Exemption, Sealed, Tariff, Vote, What, Who};
use super::statement::Row;
use super::verify::{self, Record, Seal};
use super::{Account, Book, Dues, Fen, Period, Purpose, Refusal, Standing, Statement, Turnover, rules};
use crate::plate::Plate;

const START: Date = date(2026, 1, 1);
const PEOPLE: [&str; 3] = ["王芳", "李强", "赵敏"];

fn day(n: i64) -> Date {
    START.checked_add(n.days()).unwrap()
}

fn plate(n: u8) -> Plate {
    format!("苏F1234{}", n % 4).parse().unwrap()
}

fn cash(n: u8) -> Account {
    if n % 4 == 3 { Account::Bank } else { Account::Cash(PEOPLE[usize::from(n % 4)].into()) }
}

/// Enters a draft as the journal does, if the rules allow it.
fn enter(book: &mut Book, draft: &Draft) -> Result<Arc<Sealed>, Refusal> {
    let postings = rules::check(book, draft, day(400))?;
    let sealed = Arc::new(super::journal::seal(book, draft, postings));
    book.take(sealed.clone());
    Ok(sealed)
}

fn draft(by: &str, n: i64, what: What) -> Draft {
    let at = Timestamp::from_second(1_767_225_600 + 86_400 * n).unwrap();
    Draft { at, day: day(n), by: by.into(), what, note: String::new(), token: None }
}

fn contribution(n: u8, amount: Fen, into: Account) -> What {
    What::Contribution { campaign: "barrier".into(), plate: Some(plate(n)), household: "1-101".into(), amount, into }
}

fn spending(amount: Fen, out_of: Account) -> What {
    let (title, payee) = ("灯".into(), String::new());
    What::Spending { purpose: Purpose::Upkeep, title, payee, amount, out_of, receipt: None }
}

/// Anything that could be tried, sensible or not.
fn anything() -> impl Strategy<Value = Draft> {
    let amount = (0i64..30_000).prop_map(Fen::of);
    let number = 0u64..40;
    let reason = || "试".to_owned();
    let what = prop_oneof![
        6 => (any::<u8>(), amount.clone(), any::<u8>()).prop_map(|(p, a, to)| contribution(p, a, cash(to))),
        3 => (amount.clone(), any::<u8>()).prop_map(|(a, from)| spending(a, cash(from))),
        2 => (number.clone(), amount.clone(), any::<u8>()).prop_map(move |(of, amount, from)| What::Refund { of, amount,
            out_of: cash(from), reason: reason() }),
        2 => number.clone().prop_map(move |of| What::Correction { of, reason: reason() }),
        3 => (0usize..3, 0usize..3, amount.clone()).prop_map(|(from, to, amount)| What::Offer {
            from: PEOPLE[from].into(), to: PEOPLE[to].into(), amount }),
        3 => number.clone().prop_map(|offer| What::Confirm { offer }),
        1 => number.clone().prop_map(|offer| What::Withdrawal { offer }),
        2 => (any::<u8>(), any::<u8>(), amount.clone()).prop_map(|(from, to, amount)| What::Transfer { from: cash(from),
            to: cash(to), amount, receipt: None }),
        1 => (any::<u8>(), amount.clone()).prop_map(|(held, counted)| What::Count { held: cash(held), counted }),
        1 => (any::<u8>(), amount.clone()).prop_map(|(to, amount)| What::Opening { account: cash(to), amount,
            plate: None, household: None }),
        1 => (0i64..300, amount.clone()).prop_map(|(from, yearly)| What::Tariff(Tariff { from: day(from), yearly,
            grace_days: 30, vote: None })),
        2 => (any::<u8>(), 0i64..300, 0i64..400, amount, any::<u8>()).prop_map(|(p, from, n, amount, to)| What::Fee {
            plate: plate(p), household: "1-101".into(), from: day(from), until: day(from + n), amount, into: cash(to) }),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(old, new)| What::NewPlate { old: plate(old), new: plate(new) }),
    ];
    (what, 0usize..3, 0i64..420).prop_map(|(what, by, n)| draft(PEOPLE[by], n, what))
}

fn written(drafts: &[Draft]) -> Book {
    let mut book = Book::default();
    for draft in drafts {
        let _ = enter(&mut book, draft);
    }
    book
}

fn records(book: &Book) -> Vec<(u64, Record)> {
    let record = |s: &Arc<Sealed>| Record { entry: serde_json::to_value(&s.entry).unwrap(), hash: s.hash };
    book.entries().iter().map(|s| (s.entry.number, record(s))).collect()
}

fn seal(book: &Book) -> Option<Result<Seal, &'static str>> {
    let (count, hash) = book.head();
    Some(Ok(Seal { count, hash }))
}

fn read(records: Vec<(u64, Record)>, of: &Book) -> Option<verify::Fault> {
    verify::read(records.into_iter().map(|(n, r)| (n, Ok(r))), seal(of)).1
}

/// What the entries of a book say of one account on some days: received, given.
fn walked(book: &Book, account: &Account, from: Date, until: Date) -> Turnover {
    let here = book.entries().iter().filter(|s| from <= s.entry.day && s.entry.day <= until);
    let fens = here.flat_map(|s| &s.entry.postings).filter(|p| p.account == *account).map(|p| p.fen);
    let (received, given): (Vec<Fen>, Vec<Fen>) = fens.partition(|fen| *fen > Fen::ZERO);
    Turnover { received: received.into_iter().sum(), given: -given.into_iter().sum::<Fen>() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The sums that pages read are what a walk through all entries gives.
    #[test]
    fn sums_are_what_the_entries_add_up_to(drafts in prop::collection::vec(anything(), 0..60)) {
        let book = written(&drafts);
        let moved = |s: &&Arc<Sealed>| !s.entry.postings.is_empty();
        let numbers: Vec<u64> = book.entries().iter().filter(moved).map(|s| s.entry.number).collect();
        prop_assert_eq!(book.moves().map(|s| s.entry.number).collect::<Vec<_>>(), numbers);
        let (from, until) = (day(50), day(200));
        let inside = |s: &&Arc<Sealed>| moved(s) && from <= s.entry.day && s.entry.day <= until;
        let mut days: Vec<(Date, u64)> = book.entries().iter().filter(inside).map(|s| (s.entry.day, s.entry.number)).collect();
        days.sort();
        prop_assert_eq!(book.count_moves(from, until), days.len());
        prop_assert_eq!(book.moves_of(from, until).map(|s| (s.entry.day, s.entry.number)).collect::<Vec<_>>(), days);
        for (account, balance) in book.balances() {
            prop_assert_eq!(book.turnover(account, from, until), walked(&book, account, from, until));
            prop_assert_eq!(walked(&book, account, Date::MIN, Date::MAX).net(), balance);
        }
        let live = book.entries().iter().filter(|s| !book.is_undone(s.entry.number));
        let gave = live.map(|s| match &s.entry.what {
            What::Contribution { amount, .. } => *amount - book.refunded(s.entry.number).0,
            _ => Fen::ZERO,
        });
        prop_assert_eq!(book.gave("1-101"), gave.sum::<Fen>());
    }

    #[test]
    fn any_sequence_balances_and_never_pays_out_what_is_not_there(drafts in prop::collection::vec(anything(), 0..60)) {
        let mut book = Book::default();
        for draft in &drafts {
            let before = book.entries().len();
            let result = enter(&mut book, draft);
            prop_assert_eq!(book.entries().len(), before + usize::from(result.is_ok()));
            prop_assert_eq!(book.balances().map(|(_, fen)| fen).sum::<Fen>(), Fen::ZERO);
            for n in 0..4 {
                let account = cash(n);
                prop_assert!(book.balance(&account) >= Fen::ZERO, "{}", account);
                prop_assert!(book.least_from(&account, START) >= Fen::ZERO, "{} on some day", account);
                let offered = account.holder().map_or(Fen::ZERO, |name| book.offered_by(name));
                prop_assert!(offered <= book.balance(&account) || book.counted(&account).is_some());
            }
        }
        // The board and every statement add up to what is there.
        let board = Board::of(&book, &Compound::default());
        let came: Fen = board.campaigns.iter().map(|c| c.raised).sum::<Fen>() + board.fees;
        let went: Fen = board.spent.iter().map(|(_, fen)| *fen).sum::<Fen>() + board.differences + board.unexplained;
        prop_assert_eq!(board.balance(), came - went);
        let (first, second) = (Period { from: START, until: day(150) }, Period { from: day(151), until: day(400) });
        let (first, second) = (Statement::of(&book, first), Statement::of(&book, second));
        prop_assert_eq!(first.after(), second.before());
        for s in [&first, &second] {
            let change = s.income() - s.spent() - s.refunds - s.differences + s.opening;
            prop_assert_eq!(s.before() + change, s.after());
            prop_assert_eq!(s.rows.iter().map(|r| r.amount).sum::<Fen>(), change);
            // Where money only changed places, it went from the first to the second.
            for row in s.rows.iter().filter(|row| row.places.len() == 2) {
                let postings = &book.entry(row.number).unwrap().entry.postings;
                prop_assert!(postings.iter().any(|p| p.account == row.places[0] && p.fen < Fen::ZERO), "{:?}", row);
            }
            // In pieces it is the same.
            let (mut rows, mut last) = (Vec::new(), None);
            while rows.len() < s.rows.len() {
                let part = Statement::with_rows(&book, s.period, last, 3);
                prop_assert!(!part.rows.is_empty() && part.rows.len() <= 3);
                rows.extend(part.rows);
                last = rows.last().and_then(|row: &Row| book.entry(row.number)).map(|sealed| &sealed.entry);
            }
            prop_assert_eq!(&rows, &s.rows);
            prop_assert!(Statement::with_rows(&book, s.period, last, 3).rows.is_empty() || s.rows.is_empty());
        }
        prop_assert_eq!(second.after(), board.balance());
        // What was kept is read back whole, and says the same.
        let (again, fault) = verify::read(records(&book).into_iter().map(|(n, r)| (n, Ok(r))), seal(&book));
        prop_assert_eq!(fault, None);
        prop_assert_eq!(again.balances().collect::<Vec<_>>(), book.balances().collect::<Vec<_>>());
        prop_assert_eq!(again.head(), book.head());
    }

    #[test]
    fn a_refusal_is_one_line(drafts in prop::collection::vec(anything(), 0..40)) {
        let mut book = Book::default();
        for draft in &drafts {
            if let Err(refusal) = enter(&mut book, draft) {
                let told = refusal.to_string();
                prop_assert!(!told.is_empty() && !told.contains('\n'), "{}", told);
            }
        }
    }

    /// Whatever letter of whatever entry is changed, with or without a new hash, the first altered entry is named.
    #[test]
    fn any_altered_byte_is_found_and_named(drafts in prop::collection::vec(anything(), 20..40), at in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), to in 0x20u8..0x7f, rehash: bool) {
        let book = written(&drafts);
        prop_assume!(!book.entries().is_empty());
        let mut records = records(&book);
        let n = at.index(records.len());
        let (number, record) = &mut records[n];
        let mut bytes = serde_json::to_vec(&record.entry).unwrap();
        let place = byte.index(bytes.len());
        prop_assume!(bytes[place] != to);
        bytes[place] = to;
        // Bytes that are no JSON any more are a damaged record on the disk; see the journal's own test.
        let Ok(entry) = serde_json::from_slice::<serde_json::Value>(&bytes) else { return Ok(()) };
        prop_assume!(entry != record.entry);
        record.entry = entry;
        if rehash {
            record.hash = super::Hash::of(&super::hash::canonical(&record.entry));
        }
        let number = *number;
        let fault = read(records, &book);
        let named = fault.as_ref().map(|f| f.number);
        // With a hash made anew, a change of the link to the entry before accuses that one as well.
        let linked = rehash && fault.as_ref().is_some_and(|f| f.problem.contains(&format!("entry {number} was written after")));
        prop_assert!(named == Some(number) || (linked && named == Some((number - 1).max(1))), "{}: {:?}", number, fault);
    }

    #[test]
    fn a_missing_doubled_or_moved_entry_is_found(drafts in prop::collection::vec(anything(), 20..40), at in any::<prop::sample::Index>(), what in 0..3) {
        let book = written(&drafts);
        prop_assume!(book.entries().len() > 2);
        let mut records = records(&book);
        let n = at.index(records.len() - 1);
        match what {
            0 => { records.remove(n); }
            1 => { records.truncate(n); }
            _ => {
                let (a, b) = (records[n].1.clone(), records[n + 1].1.clone());
                (records[n].1, records[n + 1].1) = (b, a);
            }
        }
        let fault = read(records, &book).map(|f| f.number);
        prop_assert!(fault == Some(n as u64 + 1) || (what == 2 && fault == Some((n as u64).max(1))), "{:?} {}", fault, n + 1);
    }
}

fn refused(book: &mut Book, by: &str, n: i64, what: What) -> Refusal {
    enter(book, &draft(by, n, what)).expect_err("it should have been refused")
}

fn entered(book: &mut Book, by: &str, n: i64, what: What) -> u64 {
    enter(book, &draft(by, n, what)).unwrap().entry.number
}

#[test]
fn cash_goes_over_only_when_both_say_so() {
    let mut book = Book::default();
    let (wang, zhao) = (Account::Cash(PEOPLE[0].into()), Account::Cash(PEOPLE[2].into()));
    entered(&mut book, PEOPLE[0], 1, contribution(1, Fen::yuan(100), wang.clone()));
    let offer = |amount| What::Offer { from: PEOPLE[0].into(), to: PEOPLE[2].into(), amount };
    assert!(matches!(refused(&mut book, PEOPLE[1], 2, offer(Fen::yuan(50))), Refusal::NotYours { .. }));
    assert!(matches!(refused(&mut book, PEOPLE[0], 2, offer(Fen::yuan(101))), Refusal::Short { .. }));
    let number = entered(&mut book, PEOPLE[0], 2, offer(Fen::yuan(80)));
    assert_eq!((book.balance(&wang), book.balance(&zhao)), (Fen::yuan(100), Fen::ZERO));
    // What is offered cannot be spent meanwhile, nor offered twice.
    let told = refused(&mut book, PEOPLE[0], 3, spending(Fen::yuan(30), wang.clone())).to_string();
    assert!(told.contains("80 are offered"), "{told}");
    assert!(matches!(refused(&mut book, PEOPLE[0], 3, offer(Fen::yuan(21))), Refusal::Short { .. }));
    assert!(matches!(refused(&mut book, PEOPLE[0], 3, What::Confirm { offer: number }), Refusal::NotYours { .. }));
    entered(&mut book, PEOPLE[2], 3, What::Confirm { offer: number });
    assert_eq!((book.balance(&wang), book.balance(&zhao)), (Fen::yuan(20), Fen::yuan(80)));
    assert!(matches!(refused(&mut book, PEOPLE[2], 3, What::Confirm { offer: number }), Refusal::NoOffer(_)));
}

#[test]
fn a_count_books_the_difference_and_closes_the_days_before() {
    let mut book = Book::default();
    let wang = Account::Cash(PEOPLE[0].into());
    entered(&mut book, PEOPLE[0], 10, contribution(1, Fen::yuan(100), wang.clone()));
    // At the end of January, the thirtieth day after its first, money was there; it is to be counted until somebody does.
    assert_eq!(book.to_count(&wang, day(31)), Some(day(30)));
    assert_eq!((book.to_count(&wang, day(30)), book.to_count(&Account::Fees, day(31))), (None, None));
    entered(&mut book, PEOPLE[2], 30, What::Count { held: wang.clone(), counted: Fen::yuan(95) });
    assert_eq!(book.to_count(&wang, day(31)), None);
    assert_eq!((book.balance(&wang), book.balance(&Account::Differences)), (Fen::yuan(95), Fen::yuan(5)));
    let late = contribution(2, Fen::yuan(100), wang.clone());
    assert!(matches!(refused(&mut book, PEOPLE[0], 30, late.clone()), Refusal::Counted { .. }));
    entered(&mut book, PEOPLE[0], 31, late);
}

#[test]
fn money_cannot_be_spent_on_a_day_before_it_came() {
    let mut book = Book::default();
    let wang = Account::Cash(PEOPLE[0].into());
    entered(&mut book, PEOPLE[0], 10, contribution(1, Fen::yuan(100), wang.clone()));
    assert!(matches!(refused(&mut book, PEOPLE[0], 9, spending(Fen::yuan(1), wang.clone())), Refusal::Short { .. }));
    entered(&mut book, PEOPLE[0], 10, spending(Fen::yuan(100), wang));
}

#[test]
fn contributions_fees_refunds_and_corrections_decide_how_a_car_stands() {
    let mut book = Book::default();
    let (bank, at) = (Account::Bank, |n| day(n));
    let standing = |book: &Book, n: i64| book.dues(&plate(1), "1-101").on(day(n)).standing;
    assert_eq!(book.dues(&plate(1), "1-101"), Dues::default());
    let first = entered(&mut book, "a", 1, contribution(1, Fen::yuan(60), bank.clone()));
    assert_eq!(standing(&book, 1), Standing::Unpaid);
    let second = entered(&mut book, "a", 1, contribution(1, Fen::yuan(40), bank.clone()));
    assert_eq!(standing(&book, 1), Standing::Paid);
    let reason = || "x".to_owned();
    entered(
        &mut book,
        "a",
        2,
        What::Refund { of: first, amount: Fen::yuan(10), out_of: bank.clone(), reason: reason() },
    );
    assert_eq!((standing(&book, 2), book.raised("barrier")), (Standing::Unpaid, Fen::yuan(90)));
    assert!(matches!(
        refused(&mut book, "a", 2, What::Correction { of: first, reason: reason() }),
        Refusal::Refunded(_)
    ));
    entered(&mut book, "a", 3, contribution(1, Fen::yuan(10), bank.clone()));
    assert_eq!(standing(&book, 3), Standing::Paid);

    let fee = |from: i64, until: i64, yuan: i64| What::Fee {
        plate: plate(1),
        household: "1-101".into(),
        from: at(from),
        until: at(until),
        amount: Fen::yuan(yuan),
        into: Account::Bank,
    };
    assert!(matches!(refused(&mut book, "a", 4, fee(0, 9, 60)), Refusal::NoTariff(_)));
    entered(&mut book, "a", 4, What::Tariff(Tariff { from: at(0), yearly: Fen::yuan(60), grace_days: 30, vote: None }));
    assert_eq!((standing(&book, 29), standing(&book, 30)), (Standing::Grace, Standing::Unpaid));
    assert!(matches!(refused(&mut book, "a", 5, fee(0, 365, 60)), Refusal::TooLong { .. }));
    let paid = entered(&mut book, "a", 5, fee(0, 364, 60));
    assert!(matches!(refused(&mut book, "a", 5, fee(364, 400, 60)), Refusal::Overlap { .. }));
    assert_eq!(standing(&book, 364), Standing::Paid);
    // Given back in the middle, it ends the day before.
    entered(&mut book, "a", 100, What::Refund { of: paid, amount: Fen::yuan(30), out_of: bank, reason: reason() });
    assert_eq!((standing(&book, 99), standing(&book, 100)), (Standing::Paid, Standing::Grace));

    entered(&mut book, "a", 101, What::Correction { of: second, reason: reason() });
    assert_eq!(standing(&book, 99), Standing::Unpaid);
    assert!(matches!(
        refused(&mut book, "a", 101, What::Correction { of: second, reason: reason() }),
        Refusal::Undone { .. }
    ));
}

#[test]
fn an_exemption_needs_its_vote_and_goes_with_it() {
    let mut book = Book::default();
    let vote = |yes, no| What::Vote(Vote { held: day(1), question: "医生免缴".into(), yes, no, of: 96 });
    assert!(matches!(refused(&mut book, "a", 1, vote(60, 40)), Refusal::Vote));
    let lost = entered(&mut book, "a", 1, vote(20, 40));
    let carried = entered(&mut book, "a", 1, vote(60, 4));
    let exempt = |vote| {
        let who = Who::Household("2-301".into());
        What::Exemption(Exemption { who, from: day(2), until: None, vote: Some(vote), reason: "医生".into() })
    };
    assert!(matches!(refused(&mut book, "a", 2, exempt(lost)), Refusal::NotCarried(_)));
    entered(&mut book, "a", 2, exempt(carried));
    let stand = |book: &Book, household: &str| book.dues(&plate(2), household).on(day(9));
    assert_eq!((stand(&book, "2-301").standing, stand(&book, "2-301").vote), (Standing::Exempt, Some(carried)));
    assert_eq!(stand(&book, "2-302").standing, Standing::Unpaid);
    entered(&mut book, "a", 10, What::Correction { of: carried, reason: "计票有误".into() });
    assert_eq!(stand(&book, "2-301").standing, Standing::Unpaid);
}

#[test]
fn a_new_plate_takes_over_an_exemption_however_often_it_changes() {
    let mut book = Book::default();
    let exempt =
        Exemption { who: Who::Plate(plate(1)), from: day(1), until: None, vote: None, reason: "医生".into() };
    let number = entered(&mut book, "a", 1, What::Exemption(exempt));
    assert!(book.knows(&plate(1)) && !book.knows(&plate(2)));
    entered(&mut book, "a", 2, What::NewPlate { old: plate(1), new: plate(2) });
    entered(&mut book, "a", 3, What::NewPlate { old: plate(2), new: plate(3) });
    let standing = |book: &Book, n| book.dues(&plate(n), "2-301").on(day(9)).standing;
    assert_eq!([1, 2, 3].map(|n| standing(&book, n)), [Standing::Unpaid, Standing::Unpaid, Standing::Exempt]);
    assert!(matches!(refused(&mut book, "a", 4, What::NewPlate { old: plate(1), new: plate(4) }), Refusal::NewPlate));
    // With the exemption corrected nothing is left of it, whatever plate it had come to.
    entered(&mut book, "a", 5, What::Correction { of: number, reason: "x".into() });
    assert_eq!(standing(&book, 3), Standing::Unpaid);
}

#[test]
fn a_new_plate_takes_over_what_was_paid_and_a_campaign_changes_the_share() {
    let mut book = Book::default();
    entered(&mut book, "a", 1, contribution(1, Fen::yuan(100), Account::Bank));
    entered(&mut book, "a", 2, What::NewPlate { old: plate(1), new: plate(2) });
    let standing = |book: &Book, n| book.dues(&plate(n), "1-101").on(day(9)).standing;
    assert_eq!((standing(&book, 1), standing(&book, 2)), (Standing::Unpaid, Standing::Paid));
    let share = Fen::yuan(120);
    let campaign = Campaign { name: "barrier".into(), title: "道闸".into(), goal: Fen::yuan(12_000), share };
    entered(&mut book, "a", 3, What::Campaign(campaign));
    let stand = book.dues(&plate(2), "1-101").on(day(9));
    assert_eq!((stand.standing, stand.since), (Standing::Unpaid, Some(day(3))));
}
