//! The book on the disk: opened and checked, appended to, exported.
//!
//! Entries are only ever added. One that was acknowledged is on the disk.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};

use super::book::Book;
use super::entry::{Draft, Entry, Sealed};
use super::receipts::Receipts;
use super::refusal::Refusal;
use super::rules;
use super::verify::{self, Fault, Record, Seal};
use crate::store::{Batch, Store, StoreError, Tree};

/// Why nothing was entered.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The book has a fault.
    #[error(
        "nothing can be entered, the book is damaged: {0}. Keep the data folder, and restore the newest backup whose book is whole"
    )]
    Damaged(Fault),
    /// Another box of the compound keeps the book.
    #[error(
        "nothing can be entered here: the book is kept at the gate {gate}. Enter it there, or let it hand the book over (plategate \
         fleet book hand-over)"
    )]
    Elsewhere {
        /// Which gate.
        gate: String,
    },
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Entered, but perhaps not on the disk.
    #[error("entry {number} may not be on the disk ({error}): look whether it is there before you enter it again")]
    Unsure {
        /// The last entry that was written.
        number: u64,
        /// What went wrong.
        error: StoreError,
    },
}

/// The book, as it is kept.
pub struct Ledger {
    tree: Tree,
    meta: Tree,
    receipts: Receipts,
    current: ArcSwap<Book>,
    fault: Option<Fault>,
    /// Held while entries are made.
    writing: Mutex<Writing>,
}

/// What only those who write need.
#[derive(Default)]
struct Writing {
    /// The first entry that may or may not be on the disk, if there is one.
    doubt: Option<u64>,
    /// A second book that is like the current one, to take the next entries while the current one is read: to copy one of
    /// many years for each entry would take longer than to write it. None after a failure; then it is copied.
    spare: Option<Book>,
}

impl Writing {
    /// A book like the current one, to be added to.
    fn book(&mut self, current: &Book) -> Book {
        self.spare.take().filter(|spare| spare.head() == current.head()).unwrap_or_else(|| current.clone())
    }
}

const SEAL: &[u8] = b"ledger";

impl Ledger {
    /// Opens the book and checks it from the first entry to the last. A book with a fault can be read.
    pub fn open(store: &Store) -> Result<Ledger, StoreError> {
        let (tree, meta) = (store.tree("ledger")?, store.tree("meta")?);
        let mut records = Vec::new();
        for item in tree.checked::<Record>() {
            let (key, record) = item?;
            let number = key.as_slice().try_into().map_or(0, u64::from_be_bytes);
            records.push((number, record));
        }
        let seal = match meta.get_checked::<Seal>(SEAL)? {
            None if records.is_empty() => None,
            None => Some(Err("it is missing")),
            seal => seal,
        };
        let (book, fault) = verify::read(records.into_iter(), seal);
        if let Some(fault) = &fault {
            tracing::error!(%fault, "the book is damaged: nothing more is entered into it (plategate ledger verify)");
        }
        let (receipts, current) = (Receipts::of(store), ArcSwap::from_pointee(book));
        Ok(Ledger { tree, meta, receipts, current, fault, writing: Mutex::default() })
    }

    /// The book as it is now; costs no more than a pointer.
    pub fn book(&self) -> Arc<Book> {
        self.current.load_full()
    }

    /// What was found wrong with it when it was opened.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// The photographs of receipts.
    pub fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// Makes entries of drafts, in their order; each sees those before it. Nothing is written yet, and nobody else can
    /// prepare any until this is done with.
    pub(crate) fn prepare(&self, drafts: &[Draft]) -> Result<Page<'_>, BookError> {
        let mut writing = self.writing.lock();
        if let Some(fault) = &self.fault {
            return Err(BookError::Damaged(fault.clone()));
        }
        if let Some(number) = writing.doubt {
            let problem = "may or may not be on the disk: start plategate anew, then it is known".to_owned();
            return Err(BookError::Damaged(Fault { number, problem }));
        }
        let (mut book, mut told, mut new) = (writing.book(&self.current.load()), Vec::new(), Vec::new());
        for draft in drafts {
            if let Some(known) = draft.token.as_deref().and_then(|token| book.by_token(token)) {
                told.push(known.clone());
                continue;
            }
            let today = draft.at.to_zoned(jiff::tz::TimeZone::system()).date();
            let postings = rules::check(&book, draft, today)?;
            let sealed = Arc::new(seal(&book, draft, postings));
            book.take(sealed.clone());
            told.push(sealed.clone());
            new.push(sealed);
        }
        Ok(Page { ledger: self, book, told, new, writing })
    }
}

impl Ledger {
    /// Takes entries over that the box which keeps the book has made: each has to be the next one, and to carry the hash of the
    /// one before. Those that are here already must be the same; nothing is taken where one is not.
    pub(crate) fn copy(&self, records: &[Record]) -> Result<Option<Page<'_>>, BookError> {
        let mut writing = self.writing.lock();
        if let Some(fault) = &self.fault {
            return Err(BookError::Damaged(fault.clone()));
        }
        let (mut book, mut new) = (writing.book(&self.current.load()), Vec::new());
        for record in records {
            let fault = |number: u64, problem: &str| BookError::Damaged(Fault { number, problem: problem.to_owned() });
            let sealed = verify::next(&book, record).map_err(BookError::Damaged)?;
            let number = sealed.entry.number;
            match book.entry(number) {
                Some(known) if known.hash == sealed.hash => continue,
                Some(_) => return Err(fault(number, "is another one here than at the box that keeps the book")),
                None if sealed.entry.previous != book.head().1 => {
                    return Err(fault(number, "was written after another one than is here"));
                }
                None => {}
            }
            let sealed = Arc::new(sealed);
            book.take(sealed.clone());
            new.push(sealed);
        }
        Ok((!new.is_empty()).then_some(Page { ledger: self, book, told: new.clone(), new, writing }))
    }

    /// An entry as other boxes are told it.
    pub(crate) fn record(&self, number: u64) -> Option<Record> {
        let book = self.current.load();
        let sealed = book.entry(number)?;
        Some(Record { entry: serde_json::to_value(&sealed.entry).ok()?, hash: sealed.hash })
    }
}

pub(super) fn seal(book: &Book, draft: &Draft, postings: Vec<super::entry::Posting>) -> Sealed {
    let (last, previous) = book.head();
    // Whole seconds are enough for a book, and are written in one way only.
    let at = jiff::Timestamp::from_second(draft.at.as_second()).unwrap_or(draft.at);
    Sealed::new(Entry {
        number: last + 1,
        at,
        day: draft.day,
        by: draft.by.clone(),
        what: draft.what.clone(),
        postings,
        note: draft.note.clone(),
        token: draft.token.clone(),
        previous,
    })
}

/// Entries that are about to be written.
pub(crate) struct Page<'a> {
    ledger: &'a Ledger,
    book: Book,
    told: Vec<Arc<Sealed>>,
    new: Vec<Arc<Sealed>>,
    writing: MutexGuard<'a, Writing>,
}

impl Page<'_> {
    /// Writes them, together with whatever else is in the batch.
    pub(crate) fn write(&self, batch: &mut Batch) {
        for sealed in &self.new {
            let entry = serde_json::to_value(&sealed.entry).expect("an entry is plain data");
            let record = Record { entry, hash: sealed.hash };
            batch.put(&self.ledger.tree, sealed.entry.number.to_be_bytes(), &record);
        }
        let (count, hash) = self.book.head();
        if count > 0 {
            batch.put(&self.ledger.meta, SEAL, &Seal { count, hash });
        }
    }

    /// They are written: everybody sees them. Gives one entry for each draft.
    pub(crate) fn turn(mut self) -> Vec<Arc<Sealed>> {
        let before = self.ledger.current.swap(Arc::new(self.book));
        // The one that nobody reads any more catches up.
        self.writing.spare = Arc::into_inner(before).map(|mut book| {
            self.new.iter().for_each(|sealed| book.take(sealed.clone()));
            book
        });
        self.told
    }

    /// Nobody knows whether they are on the disk. Nothing more is entered before the next start, lest two entries get one
    /// number. Gives the number of the last.
    pub(crate) fn doubt(mut self) -> u64 {
        self.writing.doubt = self.new.first().map(|sealed| sealed.entry.number);
        self.book.head().0
    }
}
