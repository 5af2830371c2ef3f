//! A month, a year or any days of the book, as it is printed and hung up.
//!
//! In: a book and a first and last day. Out: what was there before, what came in, what went out, what is there, and each
//! entry that moved money, in the order of the days. One statement's end is the next one's beginning.

use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::Date;
use serde::Serialize;

use super::account::{Account, Purpose};
use super::book::Book;
use super::entry::{Entry, Posting};
use super::hash::Hash;
use super::money::Fen;
use super::sums::Turnover;
use super::words;

/// The days of a statement, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Period {
    /// The first day.
    pub from: Date,
    /// The last day.
    pub until: Date,
}

impl Period {
    /// The month of that day.
    pub fn month_of(day: Date) -> Period {
        Period { from: day.first_of_month(), until: day.last_of_month() }
    }
}

/// `2026-11` is a month, `2026` a year, `2026-11-01..2026-11-15` any days.
impl FromStr for Period {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Period, &'static str> {
        const WRONG: &str = "a month such as 2026-11, a year such as 2026, or days such as 2026-11-01..2026-11-15";
        if let Some((from, until)) = text.split_once("..") {
            let day = |t: &str| t.trim().parse::<Date>().map_err(|_| WRONG);
            let (from, until) = (day(from)?, day(until)?);
            return if from <= until { Ok(Period { from, until }) } else { Err(WRONG) };
        }
        let number = |t: &str, digits: usize| {
            let plain = t.len() == digits && t.bytes().all(|b| b.is_ascii_digit());
            if plain { t.parse::<i16>().map_err(|_| WRONG) } else { Err(WRONG) }
        };
        match text.trim().split_once('-') {
            Some((year, month)) => {
                let month = i8::try_from(number(month, 2)?).map_err(|_| WRONG)?;
                Date::new(number(year, 4)?, month, 1).map(Period::month_of).map_err(|_| WRONG)
            }
            None => {
                let first = Date::new(number(text.trim(), 4)?, 1, 1).map_err(|_| WRONG)?;
                Ok(Period { from: first, until: first.last_of_year() })
            }
        }
    }
}

/// `2026-11`, `2026`, or both days.
impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Period { from, until } = *self;
        if *self == Period::month_of(from) {
            write!(f, "{:04}-{:02}", from.year(), from.month())
        } else if from == from.first_of_year() && until == from.last_of_year() {
            write!(f, "{:04}", from.year())
        } else {
            write!(f, "{from}..{until}")
        }
    }
}

/// A place where money is, over the period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The bank, or somebody's cash.
    pub account: Account,
    /// What was there the evening before.
    pub before: Fen,
    /// What it received.
    pub received: Fen,
    /// What it gave.
    pub given: Fen,
    /// What is there on the last evening.
    pub after: Fen,
}

/// An account that money came from or went to, over the period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The account.
    pub account: Account,
    /// How much, as people say it: income and spending are both positive.
    pub amount: Fen,
}

/// An entry that moved money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its number.
    pub number: u64,
    /// Its day.
    pub day: Date,
    /// Who wrote it.
    pub by: String,
    /// What it was, in Chinese words.
    pub kind: &'static str,
    /// What for: a title, a plate, a reason.
    pub about: String,
    /// What all places with money together received (positive) or gave; 0 where it only changed places.
    pub amount: Fen,
    /// Where it changed: the accounts with money, those that gave before those that received.
    pub places: Vec<Account>,
    /// The correction that undid it.
    pub undone_by: Option<u64>,
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// Its days.
    pub period: Period,
    /// Where the money was and is.
    pub places: Vec<Place>,
    /// Campaigns and fees.
    pub income: Vec<Line>,
    /// By purpose.
    pub spent: Vec<Line>,
    /// Given back.
    pub refunds: Fen,
    /// What counts found missing (positive) or too much.
    pub differences: Fen,
    /// What was entered from before the book: more money there (positive) or less.
    pub opening: Fen,
    /// How many entries moved money.
    pub moves: usize,
    /// Those entries, in the order of the days; some of them where only so many were asked for.
    pub rows: Vec<Row>,
    /// The number and hash of the book's last entry when this was made: proof that nothing before was changed later.
    pub head: (u64, Hash),
}

impl Statement {
    /// Of these days, with every entry that moved money.
    pub fn of(book: &Book, period: Period) -> Statement {
        Statement::with_rows(book, period, None, usize::MAX)
    }

    /// Of these days, with at most so many entries: the first ones, or the first ones behind this one.
    pub fn with_rows(book: &Book, period: Period, behind: Option<&Entry>, most: usize) -> Statement {
        let moved = |account: &Account| book.balance_on(account, period.until) - before(book, account, period.from);
        let lines = |accounts: Vec<Account>, sign: fn(Fen) -> Fen| {
            let line = |account: Account| Line { amount: sign(moved(&account)), account };
            accounts.into_iter().map(line).filter(|l| l.amount != Fen::ZERO).collect::<Vec<_>>()
        };
        let used: Vec<Account> = book.balances().map(|(account, _)| account.clone()).collect();
        let income = used.iter().filter(|a| matches!(a, Account::Campaign(_) | Account::Fees)).cloned().collect();
        let order = |entry: &Entry| (entry.day, entry.number);
        let from = behind.map_or(period.from, |last| last.day.max(period.from));
        let rows = (from <= period.until).then(|| book.moves_of(from, period.until)).into_iter().flatten();
        let rows = rows.filter(|sealed| behind.is_none_or(|last| order(&sealed.entry) > order(last))).take(most);
        Statement {
            period,
            places: used.iter().filter(|a| a.is_money()).map(|a| place(book, a, period)).collect(),
            income: lines(income, |fen| -fen),
            spent: lines(Purpose::ALL.map(Account::Spent).to_vec(), |fen| fen),
            refunds: moved(&Account::Refunds),
            differences: moved(&Account::Differences),
            opening: -moved(&Account::Opening),
            moves: book.count_moves(period.from, period.until),
            rows: rows.map(|sealed| row(book, &sealed.entry)).collect(),
            head: book.head(),
        }
    }

    /// What was there before, in all places.
    pub fn before(&self) -> Fen {
        self.places.iter().map(|p| p.before).sum()
    }

    /// What is there at the end, in all places.
    pub fn after(&self) -> Fen {
        self.places.iter().map(|p| p.after).sum()
    }

    /// What came in.
    pub fn income(&self) -> Fen {
        self.income.iter().map(|l| l.amount).sum()
    }

    /// What was spent.
    pub fn spent(&self) -> Fen {
        self.spent.iter().map(|l| l.amount).sum()
    }
}

fn before(book: &Book, account: &Account, from: Date) -> Fen {
    from.yesterday().map_or(Fen::ZERO, |day| book.balance_on(account, day))
}

fn place(book: &Book, account: &Account, period: Period) -> Place {
    let (before, after) = (before(book, account, period.from), book.balance_on(account, period.until));
    let Turnover { received, given } = book.turnover(account, period.from, period.until);
    Place { account: account.clone(), before, received, given, after }
}

fn row(book: &Book, entry: &Entry) -> Row {
    let mut money: Vec<&Posting> = entry.postings.iter().filter(|p| p.account.is_money()).collect();
    // From where it came, then where it went.
    money.sort_by_key(|p| p.fen > Fen::ZERO);
    Row {
        number: entry.number,
        day: entry.day,
        by: entry.by.clone(),
        kind: words::kind_zh(&entry.what),
        about: words::about(book, entry, words::account_zh),
        amount: money.iter().map(|p| p.fen).sum(),
        places: money.iter().map(|p| p.account.clone()).collect(),
        undone_by: book.undone_by(entry.number),
    }
}

/// The last `n` months up to that day, the newest first.
pub fn months(until: Date, n: usize) -> Vec<Period> {
    let first = until.first_of_month();
    (0..n as i64).filter_map(|back| first.checked_sub(back.months()).ok()).map(Period::month_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    #[test]
    fn periods_are_read_as_people_write_them() {
        let period = |from, until| Period { from, until };
        for (text, want) in [
            ("2026-11", period(date(2026, 11, 1), date(2026, 11, 30))),
            ("2028-02", period(date(2028, 2, 1), date(2028, 2, 29))),
            ("2026", period(date(2026, 1, 1), date(2026, 12, 31))),
            ("2026-11-03..2026-12-04", period(date(2026, 11, 3), date(2026, 12, 4))),
        ] {
            assert_eq!(text.parse(), Ok(want));
            assert_eq!(want.to_string(), text);
        }
        for text in ["", "2026-13", "26-1", "2026-11-02..2026-11-01", "11/2026", "2026-1", "+026"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_period_or_refused(text in "[0-9.\\- +]{0,24}|\\PC{0,20}") {
            if let Ok(period) = text.parse::<Period>() {
                prop_assert!(period.from <= period.until);
                prop_assert_eq!(period.to_string().parse(), Ok(period));
            }
        }
    }
}
