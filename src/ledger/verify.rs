//! Is the book whole? Every entry is there, none was altered, each was written after the one before, and all add up.
//!
//! In: the records as they lie on the disk or in an export. Out: the book of all readable entries, and the first fault with
//! the number of its entry. A book with a fault still tells how cars stand, so that the gate goes on; nothing more is
//! entered into it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::book::Book;
use super::entry::{Entry, Sealed};
use super::hash::{Hash, canonical};
use super::money::Fen;
use super::rules;

/// What is wrong, and with which entry: the first one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {number} {problem}")]
pub struct Fault {
    /// The entry's number.
    pub number: u64,
    /// What is wrong with it.
    pub problem: String,
}

/// A record: the entry as JSON, and its hash. The hash is compared with the JSON itself, so that nothing can be added to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The entry as JSON.
    pub entry: Value,
    /// Its hash.
    pub hash: Hash,
}

/// How many entries there are and the hash of the last, kept beside them: so cutting off the end is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seal {
    pub(super) count: u64,
    pub(super) hash: Hash,
}

/// Reads records in their order. `seal` is `None` where none is kept (an export).
pub(super) fn read(
    records: impl Iterator<Item = (u64, Result<Record, &'static str>)>,
    seal: Option<Result<Seal, &'static str>>,
) -> (Book, Option<Fault>) {
    let (mut book, mut fault) = (Book::default(), None);
    let (mut expected, mut previous) = (1, Hash::default());
    let mut note = |number: u64, problem: String| {
        fault.get_or_insert(Fault { number, problem });
    };
    for (number, record) in records {
        if number != expected {
            note(expected, "is missing".into());
        }
        expected = number.saturating_add(1);
        let record = match record {
            Ok(record) => record,
            Err(problem) => {
                note(number, format!("is damaged: {problem}"));
                continue;
            }
        };
        if Hash::of(&canonical(&record.entry)) != record.hash {
            note(number, "was altered: it does not have the hash that it was given".into());
        }
        let Ok(entry) = serde_json::from_value::<Entry>(record.entry) else {
            note(number, "was altered: it is no entry, or one of a newer plategate".into());
            continue;
        };
        if entry.previous != previous {
            note(number.saturating_sub(1).max(1), format!("was altered: entry {number} was written after another one"));
        }
        previous = record.hash;
        if let Err(problem) = adds_up(&book, number, &entry) {
            note(number, problem.into());
            if !in_range(&entry) {
                continue;
            }
        }
        book.take(Arc::new(Sealed { entry, hash: record.hash }));
    }
    match seal {
        None => {}
        Some(Err(problem)) => note(expected - 1, format!("has a damaged seal: {problem}")),
        Some(Ok(seal)) if seal.count >= expected => note(expected, "is missing".into()),
        Some(Ok(seal)) if seal.count + 1 < expected => note(seal.count + 1, "was not entered by plategate".into()),
        Some(Ok(seal)) if seal.hash != previous => {
            note(seal.count, "was altered: the book was sealed with another".into())
        }
        Some(Ok(_)) => {}
    }
    (book, fault)
}

/// The entry of a record that another box made: one that is in the book already, or the next one, as it ought to be.
pub(super) fn next(book: &Book, record: &Record) -> Result<Sealed, Fault> {
    let number = record.entry.get("number").and_then(Value::as_u64).unwrap_or(0);
    let fault = |problem: &str| Fault { number, problem: problem.to_owned() };
    if Hash::of(&canonical(&record.entry)) != record.hash {
        return Err(fault("was altered: it does not have the hash that it was given"));
    }
    let entry: Entry =
        serde_json::from_value(record.entry.clone()).map_err(|_| fault("is no entry, or one of a newer plategate"))?;
    let head = book.head().0;
    if number > head {
        adds_up(book, head + 1, &entry).map_err(fault)?;
    }
    Ok(Sealed { entry, hash: record.hash })
}

fn in_range(entry: &Entry) -> bool {
    entry.postings.iter().all(|p| (-Fen::MOST..=Fen::MOST).contains(&p.fen))
}

/// Does what moved follow from what happened, does it balance, and was the money there?
fn adds_up(book: &Book, number: u64, entry: &Entry) -> Result<(), &'static str> {
    if entry.number != number {
        return Err("was altered: it bears another number");
    }
    if !in_range(entry) {
        return Err("moves more money than there is");
    }
    if entry.postings.iter().map(|p| p.fen).sum::<Fen>() != Fen::ZERO {
        return Err("does not balance");
    }
    if rules::postings(book, entry.day, &entry.what).as_ref() != Some(&entry.postings) {
        return Err("moves something else than what it says");
    }
    let below = |p: &super::entry::Posting| p.account.is_money() && book.balance(&p.account) + p.fen < Fen::ZERO;
    if entry.postings.iter().any(|p| p.fen < Fen::ZERO && below(p)) {
        return Err("pays out money that was not there");
    }
    Ok(())
}
