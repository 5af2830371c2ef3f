//! What the entries add up to, moved on with each of them, so that no page has to walk a book of years for it: what moved
//! on each account by day, which entries moved money, what each household gave.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;

use super::account::Account;
use super::entry::{Entry, What};
use super::money::Fen;

/// What an account received and gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turnover {
    /// Received.
    pub received: Fen,
    /// Given.
    pub given: Fen,
}

impl Turnover {
    /// What that makes.
    pub fn net(self) -> Fen {
        self.received - self.given
    }

    fn add(&mut self, fen: Fen) {
        if fen > Fen::ZERO { self.received += fen } else { self.given += -fen }
    }
}

/// The sums of a book.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    moved: BTreeMap<Account, BTreeMap<Date, Turnover>>,
    /// The places in the book of the entries that moved money, in the order in which they were made.
    pub(super) moves: Vec<usize>,
    /// The same by their day.
    days: BTreeMap<Date, Vec<usize>>,
    /// What each household put in, less what was given back of it.
    gave: HashMap<String, Fen>,
}

impl Sums {
    /// Moves on with the entry at this place. `of` is the entry that it gives back or undoes, and `of_that` the one that this
    /// one gave back.
    pub(super) fn take(&mut self, at: usize, entry: &Entry, of: Option<&Entry>, of_that: Option<&Entry>) {
        for posting in &entry.postings {
            self.moved.entry(posting.account.clone()).or_default().entry(entry.day).or_default().add(posting.fen);
        }
        if !entry.postings.is_empty() {
            self.moves.push(at);
            self.days.entry(entry.day).or_default().push(at);
        }
        match (&entry.what, of.map(|of| (of, &of.what))) {
            (What::Refund { amount, .. }, Some((of, _))) => self.give(of, -*amount),
            (What::Correction { .. }, Some((_, What::Refund { amount, .. }))) => {
                of_that.into_iter().for_each(|of| self.give(of, *amount));
            }
            (What::Correction { .. }, Some((of, _))) => self.give(of, -put_in(of).map_or(Fen::ZERO, |(_, fen)| fen)),
            _ => self.give(entry, put_in(entry).map_or(Fen::ZERO, |(_, fen)| fen)),
        }
    }

    /// The household of this entry put in so much more.
    fn give(&mut self, of: &Entry, fen: Fen) {
        if let Some((household, _)) = put_in(of) {
            *self.gave.entry(household.to_owned()).or_default() += fen;
        }
    }

    /// What stands on an account now.
    pub(super) fn balance(&self, account: &Account) -> Fen {
        self.moved.get(account).map_or(Fen::ZERO, |days| days.values().map(|t| t.net()).sum())
    }

    /// What stood on an account at the end of a day.
    pub(super) fn balance_on(&self, account: &Account, day: Date) -> Fen {
        self.moved.get(account).map_or(Fen::ZERO, |days| days.range(..=day).map(|(_, t)| t.net()).sum())
    }

    /// The least that stood on an account at the end of this day or of any later one.
    pub(super) fn least_from(&self, account: &Account, day: Date) -> Fen {
        let mut sum = self.balance_on(account, day);
        let mut least = sum;
        for (_, turnover) in self.moved.get(account).into_iter().flatten().filter(|(d, _)| **d > day) {
            sum += turnover.net();
            least = least.min(sum);
        }
        least
    }

    /// What an account received and gave on these days, both included.
    pub(super) fn turnover(&self, account: &Account, from: Date, until: Date) -> Turnover {
        let days = self.moved.get(account).into_iter().flat_map(|days| days.range(from..=until));
        days.fold(Turnover::default(), |sum, (_, t)| Turnover {
            received: sum.received + t.received,
            given: sum.given + t.given,
        })
    }

    /// Every account that was ever used.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.moved.keys()
    }

    /// The places of the entries that moved money on these days, both included: by day, then as they were made.
    pub(super) fn moves_of(&self, from: Date, until: Date) -> impl Iterator<Item = &Vec<usize>> {
        self.days.range(from..=until).map(|(_, places)| places)
    }

    /// The first day on which money moved.
    pub(super) fn first_day(&self) -> Option<Date> {
        self.days.keys().next().copied()
    }

    /// What a household put in, less what was given back of it.
    pub(super) fn gave(&self, household: &str) -> Fen {
        self.gave.get(household).copied().unwrap_or_default()
    }
}

/// Which household put in how much by this entry.
fn put_in(entry: &Entry) -> Option<(&str, Fen)> {
    match &entry.what {
        What::Contribution { household, amount, .. } => Some((household, *amount)),
        What::Opening { household: Some(household), amount, .. } => Some((household, *amount)),
        _ => None,
    }
}
