//! Opening sled safely, the journal beside it, trees, codecs, backup and restore.
//!
//! In: typed records, in batches that are kept whole or not at all ([`Store::write`]). Out: the same, after any power cut. This
//! room must not know what a rule means.
//!
//! Every change is a line of the journal first, on the disk (`journal`), and in sled second. At the start the two are made to
//! tell the same (`mend`); if sled refuses to open, its files are set aside and built anew from the journal. Arrivals are in
//! sled alone: there are many, and their pictures lie beside it, because sled never gives space back.
//!
//! Three traps of sled 0.34 are stepped around here: a torn `snap.*.generating` file stops it from opening (such files are
//! set aside first), its `flush` does not reach the disk (the log file is synced after it), and its cache takes a
//! gigabyte (it is told less).

pub mod archive;
pub mod caution;
mod codec;
pub(crate) mod cut;
mod error;
pub mod events;
#[cfg(test)]
mod full;
pub mod hashed;
pub mod index;
mod journal;
mod memory;
mod mend;
pub mod notes;
pub mod retention;
pub mod rounds;
pub mod signals;
#[cfg(test)]
mod tests;
mod tree;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use sled::Transactional;
use sled::transaction::{ConflictableTransactionError, TransactionError};

use crate::text::one_line;
pub(crate) use codec::{decode, encode};
pub use error::StoreError;
pub(crate) use events::write_whole;
use journal::Journal;
pub(crate) use tree::{Batch, Tree};

/// The data folder, opened by this process alone.
pub struct Store {
    folder: PathBuf,
    db: sled::Db,
    log: File,
    journal: Mutex<Journal>,
    told: Vec<String>,
    /// It lies in memory only, and takes no changes.
    frozen: bool,
    /// sled gave up in the middle of a change: it is read, and not written any more.
    broken: AtomicBool,
    _lock: File,
}

/// Trees that the journal leaves out: there is much in them, and the gate does without.
const DERIVED: &[&str] = &["events", "notes", "signals", "webhooks", "commands", INDEX];
/// The one whose values are no records; it is made anew where it is missing.
const INDEX: &str = "event_index";
/// The store's own tree, and in it the number of the journal's last line that sled has.
const OWN: &str = "store";
const APPLIED: &str = "applied";

/// A key and its record, as sled has them.
type Pair = (sled::IVec, sled::IVec);

/// Memory that sled may keep pages in. The whole register is well under a megabyte.
const CACHE_BYTES: u64 = 32 << 20;

impl Store {
    /// Opens the data folder, making it if it is not there.
    pub fn open(folder: &Path) -> Result<Store, StoreError> {
        Store::open_with(folder, journal::LONG)
    }

    /// The same; a journal's file of more than `long` bytes is begun anew.
    pub(crate) fn open_with(folder: &Path, long: u64) -> Result<Store, StoreError> {
        std::fs::create_dir_all(folder).map_err(|e| StoreError::disk(folder, e))?;
        let lock = lock(folder)?;
        let inside = folder.join("register.sled");
        set_torn_snapshots_aside(folder, &inside)?;
        let mut told = Vec::new();
        let opened = open_both(folder, &inside, false, long, &mut told);
        let (db, journal) = match opened {
            Err(StoreError::Damaged { problem, .. }) if !Journal::files(&folder.join("journal")).is_empty() => {
                let kept = mend::aside(folder, &inside)?;
                told = vec![format!(
                    "the register could not be opened ({problem}) and was built anew from its journal; the record of \
                     arrivals begins anew, the old files are in {}",
                    kept.display()
                )];
                open_both(folder, &inside, true, long, &mut told)?
            }
            other => other?,
        };
        for what in &told {
            tracing::error!("{what}");
        }
        let log_path = inside.join("db");
        let log = File::open(&log_path).map_err(|e| StoreError::disk(&log_path, e))?;
        Ok(Store {
            folder: folder.to_path_buf(),
            db,
            log,
            journal: Mutex::new(journal),
            told,
            frozen: false,
            broken: AtomicBool::new(false),
            _lock: lock,
        })
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What had to be put right or set aside when it was opened, in words; nothing as a rule.
    pub fn told(&self) -> &[String] {
        &self.told
    }

    /// Makes all of these changes or, on an error, none. When this returns they are on the disk.
    pub(crate) fn write(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.refuse_if_frozen(&batch)?;
        let kept: Vec<_> = batch.writes.iter().filter(|w| !DERIVED.contains(&w.tree.as_str())).cloned().collect();
        let in_journal = !kept.is_empty();
        {
            let mut journal = self.journal.lock();
            let before = journal.length();
            let n = if in_journal { Some(journal.add(kept)?) } else { None };
            if let Err(error) = self.guarded(|| self.apply(batch, n)) {
                if in_journal {
                    journal.take_back(before)?;
                }
                return Err(error);
            }
        }
        cut::here("sled has it and has not flushed");
        match self.guarded(|| self.commit()) {
            // The journal has it on the disk: the next start brings it back.
            Err(error) if in_journal => tracing::error!(%error, "the register's own files could not be written"),
            other => other?,
        }
        cut::here("sled has flushed");
        Ok(())
    }

    /// sled panics where a disk refuses to write. That is an error like any other, and sled is not written to again: what the
    /// panic left half-done is seen after the next start.
    pub(super) fn guarded<T>(&self, change: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let unsure = || StoreError::Unsure { path: self.folder.join("register.sled") };
        if self.broken.load(Ordering::Relaxed) {
            return Err(unsure());
        }
        catch_unwind(AssertUnwindSafe(change)).unwrap_or_else(|_| {
            self.broken.store(true, Ordering::Relaxed);
            tracing::error!("the store gave up in the middle of a change: nothing more is taken until the next start");
            Err(unsure())
        })
    }

    /// Did it give up in the middle of a change?
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    fn apply(&self, batch: Batch, n: Option<u64>) -> Result<(), StoreError> {
        let mut batches: Vec<(String, sled::Batch)> = Vec::new();
        for write in batch.writes {
            let at = batches.iter().position(|(tree, _)| *tree == write.tree).unwrap_or_else(|| {
                batches.push((write.tree.clone(), sled::Batch::default()));
                batches.len() - 1
            });
            match write.value {
                Some(value) => batches[at].1.insert(write.key, value),
                None => batches[at].1.remove(write.key),
            }
        }
        if let Some(n) = n {
            let mut own = sled::Batch::default();
            own.insert(APPLIED, encode(&n));
            batches.push((OWN.to_owned(), own));
        }
        let trees = batches.iter().map(|(tree, _)| self.db.open_tree(tree)).collect::<sled::Result<Vec<_>>>()?;
        let result: Result<(), TransactionError<()>> = trees.as_slice().transaction(|trees| {
            for (tree, (_, batch)) in trees.iter().zip(&batches) {
                tree.apply_batch(batch)?;
            }
            Ok::<(), ConflictableTransactionError<()>>(())
        });
        match result {
            Err(TransactionError::Storage(error)) => Err(error.into()),
            // Nothing in it aborts.
            Ok(()) | Err(TransactionError::Abort(())) => Ok(()),
        }
    }

    /// Returns when everything that sled was given is on the disk.
    fn commit(&self) -> Result<(), StoreError> {
        self.db.flush()?;
        self.log.sync_data().map_err(|e| StoreError::disk(&self.folder, e))
    }

    pub(crate) fn tree(&self, name: &'static str) -> Result<Tree, StoreError> {
        Ok(Tree { name, inner: self.db.open_tree(name)? })
    }

    /// Everything that the journal has too, tree by tree, as it is at one moment: nothing is written meanwhile.
    fn at_one_moment(&self) -> Result<Vec<(String, Vec<Pair>)>, StoreError> {
        let _still = self.journal.lock();
        let names = self.tree_names().into_iter().filter(|name| !DERIVED.contains(&name.as_str()));
        names
            .map(|name| {
                let records = self.db.open_tree(&name)?.iter().collect::<sled::Result<Vec<_>>>()?;
                Ok((name, records))
            })
            .collect()
    }

    /// Bytes that sled's files take.
    pub fn size(&self) -> u64 {
        self.db.size_on_disk().unwrap_or(0)
    }

    /// The names of all trees with records, without the store's own.
    fn tree_names(&self) -> Vec<String> {
        let names = self.db.tree_names().into_iter().map(|name| String::from_utf8_lossy(&name).into_owned());
        let mut names: Vec<String> =
            names.filter(|name| name != OWN && name != INDEX && !name.starts_with("__sled")).collect();
        names.sort();
        names
    }
}

impl Drop for Store {
    /// sled syncs its files when it is let go, and panics if it cannot: on a disk that fails it is never let go. Everything that
    /// was acknowledged is on the disk already.
    fn drop(&mut self) {
        if self.is_broken() || self.log.sync_all().is_err() {
            std::mem::forget(self.db.clone());
        }
    }
}

/// sled and the journal, telling the same. Whatever sled does on bad files, a panic included, it is damaged.
fn open_both(
    folder: &Path,
    inside: &Path,
    new: bool,
    long: u64,
    told: &mut Vec<String>,
) -> Result<(sled::Db, Journal), StoreError> {
    let damaged = |problem: &str| StoreError::Damaged { folder: folder.to_path_buf(), problem: one_line(problem) };
    let open = || -> Result<(sled::Db, Journal), StoreError> {
        let config = sled::Config::new().path(inside).cache_capacity(CACHE_BYTES).mode(sled::Mode::HighThroughput);
        let db = patiently(|| config.open(), is_locked).map_err(|error| match error {
            sled::Error::Io(error) => StoreError::disk(inside, error),
            other => damaged(&other.to_string()),
        })?;
        let journal = mend::reconcile(folder, &db, new, long, told)?;
        Ok((db, journal))
    };
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Err(StoreError::Sled(error))) => Err(damaged(&error.to_string())),
        Ok(other) => other,
        Err(_) => Err(damaged("sled gave up while reading it")),
    }
}

/// Reads the text of a journal, as it is done at the start; for [`crate::fuzzing`].
pub(crate) fn journal_text(bytes: &[u8]) {
    let told = journal::Told::read(bytes);
    assert!(told.length as usize <= bytes.len());
    let replayed = mend::fuzz_replay(&told);
    assert!(replayed <= told.lines.iter().map(|line| line.writes.len()).sum());
}

/// A folder's entries reach the disk only so.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Tries again for a moment while it is held: by a holder that is just going, or, once that has gone, by a program that it
/// was starting (`timedatectl`, say), until that program runs.
fn patiently<T, E>(mut take: impl FnMut() -> Result<T, E>, is_held: impl Fn(&E) -> bool) -> Result<T, E> {
    const TRIES: u32 = 20;
    for _ in 1..TRIES {
        match take() {
            Err(error) if is_held(&error) => std::thread::sleep(std::time::Duration::from_millis(25)),
            done => return done,
        }
    }
    take()
}

/// Is sled's own lock held? The folder's is ours by then, so that it is about to be let go. sled has no kind of error for it.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    use std::io::Write;
    let path = folder.join("lock");
    let disk = |error| StoreError::disk(&path, error);
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(disk)?;
    match patiently(|| file.try_lock(), |error| matches!(error, std::fs::TryLockError::WouldBlock)) {
        Ok(()) => {
            // Only told to the person who tries to start a second one.
            let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            Ok(file)
        }
        Err(std::fs::TryLockError::WouldBlock) => {
            let number = std::fs::read_to_string(&path).unwrap_or_default();
            let by = number.trim().parse::<u32>().map(|n| format!(" (process {n})")).unwrap_or_default();
            Err(StoreError::InUse { folder: folder.to_path_buf(), by })
        }
        Err(std::fs::TryLockError::Error(error)) => Err(disk(error)),
    }
}

/// A power cut while sled writes a snapshot leaves `snap.<lsn>.generating`, which its next start takes for whole
/// (spacejam/sled issues 1527 and 1533). Without it sled recovers everything from its log.
fn set_torn_snapshots_aside(folder: &Path, inside: &Path) -> Result<(), StoreError> {
    let Ok(entries) = std::fs::read_dir(inside) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            let to = mend::aside(folder, &entry.path())?;
            tracing::warn!(file = %to.display(), "a half-written snapshot was set aside: the power was cut");
        }
    }
    Ok(())
}
