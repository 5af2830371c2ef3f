//! What the sync wants of a gate: its register, its arrivals, its book, how it is.
//!
//! Two have it: a real gate ([`super::disk`]) and one in memory, of which a simulation runs hundreds
//! ([`super::simulate`]). The sync ([`super::sync`]) knows neither. Nothing here waits for a network; what is told as kept is on
//! the gate's disk.

use serde::{Deserialize, Serialize};

use super::command::Answer;
use super::wire::{Health, Upward};
use crate::ledger::Hash;
use crate::ledger::verify::Record;
use crate::register::Key;
use crate::register::share::{Heard, Outcome, Told, Use};

/// How far the broker was told of this gate's arrivals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsTold {
    /// Changes when the record of arrivals begins anew.
    pub epoch: u32,
    /// The number of the last one.
    pub id: u64,
}

/// Arrivals to be told next.
#[derive(Clone, Debug)]
pub struct Next {
    /// What they were.
    pub events: Vec<Upward>,
    /// With them all is told up to this number; where nothing is to be told yet, the last one that was.
    pub up_to: u64,
}

/// Why the gate could not do it: its disk, in one sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct HomeError(pub String);

impl From<crate::store::StoreError> for HomeError {
    fn from(error: crate::store::StoreError) -> HomeError {
        HomeError(error.to_string())
    }
}

/// A gate, as the sync sees it.
pub trait Home: Send + Sync + 'static {
    /// Counts up with every change of the register, the uses or the book.
    fn generation(&self) -> u64;
    /// How far the changes of others were heard.
    fn heard(&self) -> Result<Heard, HomeError>;
    /// Another stream than the one that was heard: everything is to be told anew.
    fn begin_stream(&self, heard: &Heard) -> Result<(), HomeError>;
    /// Records that others have not been told of, at most so many.
    fn unsent(&self, most: usize) -> Result<Vec<Told>, HomeError>;
    /// How many there are.
    fn unsent_count(&self) -> usize;
    /// The broker has these, under these numbers.
    fn sent(&self, told: &[(Told, u64)]) -> Result<(), HomeError>;
    /// Why this gate refuses a state; none where it takes it.
    fn refuses(&self, told: &Told) -> Option<String>;
    /// What the broker has last of a record, under this number, is no state of it: this gate's own is to take its place. The
    /// record is the one that this is true of; nothing where it is not known here.
    fn supersede(&self, is_it: &dyn Fn(&Key) -> bool, seq: u64) -> Result<(), HomeError>;
    /// Others know this.
    fn hear(&self, told: Vec<Told>, heard: &Heard) -> Result<Outcome, HomeError>;

    /// How often this gate has let in on each pass.
    fn own_uses(&self) -> Result<Vec<Use>, HomeError>;
    /// How often others have.
    fn hear_uses(&self, uses: &[Use]) -> Result<(), HomeError>;

    /// The number of the newest arrival.
    fn newest_event(&self) -> u64;
    /// How far the broker was told of them.
    fn events_told(&self) -> Result<EventsTold, HomeError>;
    /// The broker has them up to this one.
    fn keep_events_told(&self, told: EventsTold) -> Result<(), HomeError>;
    /// The arrivals after this one, oldest first, at most so many; none that lies behind one that is still being written.
    fn events_after(&self, told: EventsTold, most: usize) -> Result<Next, HomeError>;
    /// Arrivals at any gate of the compound, each once.
    fn arrived(&self, events: Vec<Upward>);
    /// The number after which the broker's events are new to this gate; none: from the oldest.
    fn events_heard(&self) -> Option<u64>;
    /// They were heard up to this number of the broker's.
    fn keep_events_heard(&self, seq: u64);

    /// Does this gate keep the book?
    fn keeps_book(&self) -> bool;
    /// The number of the book's last entry here.
    fn book_head(&self) -> u64;
    /// The entries after this one.
    fn book_after(&self, number: u64, most: usize) -> Vec<Record>;
    /// The keeper made these.
    fn hear_book(&self, records: Vec<Record>) -> Result<(), HomeError>;

    /// Receipts of the book whose photographs are not here.
    fn missing_receipts(&self) -> Vec<Hash>;
    /// Gates that may have them, likeliest first.
    fn holders(&self) -> Vec<String>;
    /// Another gate has this of a receipt. `false`: that is not it.
    fn keep_receipt(&self, hash: &Hash, jpeg: &[u8]) -> Result<bool, HomeError>;

    /// How this gate is.
    fn health(&self) -> Health;
    /// How another one is.
    fn heard_health(&self, health: Health);

    /// Somebody tells this gate to do something.
    fn obey(&self, message: &[u8]) -> Answer;
    /// Somebody asks for a picture: JPEG, or a part of a receipt ([`super::sync`] says how it is framed), or why not.
    fn picture(&self, message: &[u8]) -> Result<Vec<u8>, Answer>;
    /// A box with a token introduces itself: gives the reply.
    fn admit(&self, message: &[u8]) -> Vec<u8>;
    /// The reply is on its way: now the broker may be told of the box. Being told ends what it knows of open questions.
    fn admitted(&self);
}
