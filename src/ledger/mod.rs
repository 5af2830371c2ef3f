//! The crowdfunding and fee book: where each fen came from, where it is, what it went for.
//!
//! In: drafts of what happened (money taken, spent, refunded, handed over, counted; campaigns, tariffs, votes). Out: a chain of
//! entries that are only ever added, and what follows from them: balances, statements, the neighbours' board, and how each
//! car stands. Money is whole fen, every entry balances, each carries the SHA-256 of the one before, and a mistake is undone
//! by a counter-entry. What was acknowledged is on the disk. This room knows cars by plate and households by key, and
//! nothing else of the register; nothing of frames and pages.
//!
//! Follow it in this order: [`entry`] → [`rules`] → [`book`] → [`verify`] → [`journal`].

pub mod account;
pub mod board;
pub mod book;
pub mod dues;
pub mod entry;
pub mod export;
pub mod hash;
pub mod journal;
pub mod money;
pub mod receipts;
pub mod refusal;
pub mod rules;
pub mod statement;
mod sums;
pub mod verify;
pub mod words;

pub use account::{Account, Purpose};
pub use book::Book;
pub use dues::{Dues, Stand, Standing};
pub use entry::{Campaign, Draft, Entry, Exemption, Sealed, Tariff, Vote, What, Who};
pub use hash::Hash;
pub use journal::{BookError, Ledger};
pub use money::Fen;
pub use refusal::Refusal;
pub use statement::{Period, Statement};
pub use sums::Turnover;
pub use verify::Fault;

#[cfg(test)]
mod tests;
