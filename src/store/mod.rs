//! sled: opening it safely, trees, codecs, backup and restore.
//!
//! In: typed records. Out: the same, after any power cut. This room must not know what a rule means.
//!
//! Three traps of sled 0.34 are stepped around here: a torn `snap.*.generating` file stops it from opening (such files are
//! set aside first), its `flush` does not reach the disk (the log file is synced after it), and its cache takes a
//! gigabyte (it is told less). Pictures stay outside of it, because it never gives space back.

pub mod archive;
mod codec;
pub mod events;
#[cfg(test)]
mod full;
pub mod index;
pub mod notes;

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::text::one_line;
pub(crate) use codec::{decode, encode};
pub(crate) use events::write_whole;

/// The data folder, opened by this process alone.
pub struct Store {
    folder: PathBuf,
    db: sled::Db,
    log: File,
    _lock: File,
}

/// Why something could not be kept or found again. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the folder.
    #[error("{folder}: another plategate{by} is using this data folder: stop it first (systemctl stop plategate)")]
    InUse {
        /// The data folder.
        folder: PathBuf,
        /// " (process N)", if it is known.
        by: String,
    },
    /// The disk or its permissions.
    #[error("{path}: {error}{advice}")]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
        /// What to do, if that is known.
        advice: &'static str,
    },
    /// sled cannot open its files.
    #[error(
        "{folder}: the register is damaged ({problem}): keep this folder, and bring the newest backup into a new one with \
         `plategate restore`"
    )]
    Damaged {
        /// The data folder.
        folder: PathBuf,
        /// What sled said.
        problem: String,
    },
    /// sled failed while running.
    #[error("the store failed: {0}")]
    Sled(sled::Error),
    /// A record does not come out as it went in.
    #[error("the record {key} of {tree} is damaged: {problem}")]
    Record {
        /// Which tree.
        tree: &'static str,
        /// Which record.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Kept by a newer plategate.
    #[error(
        "{folder}: a newer plategate keeps this folder (form {form}, this one knows {ours}): install the newer one"
    )]
    Newer {
        /// The data folder.
        folder: PathBuf,
        /// Its form.
        form: u32,
        /// The newest form that this program knows.
        ours: u32,
    },
    /// An archive that is none.
    #[error("{path}: {problem}")]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> StoreError {
        match error {
            sled::Error::Io(error) => StoreError::disk(Path::new("the register"), error),
            other => StoreError::Sled(other),
        }
    }
}

impl StoreError {
    pub(crate) fn disk(path: &Path, error: std::io::Error) -> StoreError {
        let advice = match error.kind() {
            std::io::ErrorKind::PermissionDenied => ": let the user that runs plategate write there",
            std::io::ErrorKind::StorageFull => ": the disk is full: make room and try again",
            std::io::ErrorKind::ReadOnlyFilesystem => ": the disk can only be read",
            _ => "",
        };
        StoreError::Disk { path: path.to_path_buf(), error, advice }
    }
}

/// Memory that sled may keep pages in. The whole register is well under a megabyte.
const CACHE_BYTES: u64 = 32 << 20;

impl Store {
    /// Opens the data folder, making it if it is not there.
    pub fn open(folder: &Path) -> Result<Store, StoreError> {
        let disk = |path: &Path| {
            let path = path.to_path_buf();
            move |error| StoreError::disk(&path, error)
        };
        std::fs::create_dir_all(folder).map_err(disk(folder))?;
        let lock = lock(folder)?;
        let inside = folder.join("register.sled");
        set_torn_snapshots_aside(folder, &inside)?;
        let config = sled::Config::new().path(&inside).cache_capacity(CACHE_BYTES).mode(sled::Mode::HighThroughput);
        let db = config.open().map_err(|error| match error {
            sled::Error::Io(error) => StoreError::disk(&inside, error),
            other => StoreError::Damaged { folder: folder.to_path_buf(), problem: one_line(&other.to_string()) },
        })?;
        let log_path = inside.join("db");
        let log = File::open(&log_path).map_err(disk(&log_path))?;
        Ok(Store { folder: folder.to_path_buf(), db, log, _lock: lock })
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns when everything written so far is on the disk.
    pub fn commit(&self) -> Result<(), StoreError> {
        self.db.flush()?;
        self.log.sync_data().map_err(|e| StoreError::disk(&self.folder, e))
    }

    pub(crate) fn tree(&self, name: &'static str) -> Result<Tree, StoreError> {
        Ok(Tree { name, inner: self.db.open_tree(name)? })
    }
}

/// A named collection of records of one type.
pub(crate) struct Tree {
    pub(crate) name: &'static str,
    pub(crate) inner: sled::Tree,
}

impl Tree {
    /// Every record that is whole, in the order of the keys; damaged ones are logged and passed over.
    pub(crate) fn all<T: DeserializeOwned>(&self) -> Result<Vec<T>, StoreError> {
        let mut out = Vec::new();
        for item in self.inner.iter() {
            let (key, value) = item?;
            match decode(&value) {
                Ok(record) => out.push(record),
                Err(problem) => {
                    let key = String::from_utf8_lossy(&key).into_owned();
                    tracing::error!("{}", StoreError::Record { tree: self.name, key, problem });
                }
            }
        }
        Ok(out)
    }

    /// The last of the numbers that the records are kept by (big-endian, so that they are in order); 0 if there is none.
    pub(crate) fn last_number(&self) -> Result<u64, StoreError> {
        Ok(self.inner.last()?.and_then(|(key, _)| key.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        let damaged = |problem| {
            let key = String::from_utf8_lossy(key).into_owned();
            StoreError::Record { tree: self.name, key, problem }
        };
        self.inner.get(key)?.map(|value| decode(&value).map_err(damaged)).transpose()
    }
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    use std::io::Write;
    let path = folder.join("lock");
    let disk = |error| StoreError::disk(&path, error);
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(disk)?;
    match file.try_lock() {
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
            let aside = folder.join("set-aside");
            std::fs::create_dir_all(&aside).map_err(|e| StoreError::disk(&aside, e))?;
            let to = aside.join(format!("{}-{name}", jiff::Timestamp::now().as_second()));
            std::fs::rename(entry.path(), &to).map_err(|e| StoreError::disk(&to, e))?;
            tracing::warn!(file = %to.display(), "a half-written snapshot was set aside: the power was cut");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(folder: &Path) {
        let store = Store::open(folder).unwrap();
        let tree = store.tree("things").unwrap();
        for n in 0..103u32 {
            tree.inner.insert(n.to_be_bytes(), encode(&n)).unwrap();
        }
        store.commit().unwrap();
    }

    #[test]
    fn a_torn_snapshot_does_not_keep_the_store_shut() {
        for torn in [&b""[..], &b"half a snapshot"[..]] {
            let folder = tempfile::tempdir().unwrap();
            fill(folder.path());
            std::fs::write(folder.path().join("register.sled/snap.0000000000FFFFFF.generating"), torn).unwrap();
            let store = Store::open(folder.path()).unwrap();
            let all: Vec<u32> = store.tree("things").unwrap().all().unwrap();
            assert_eq!(all.len(), 103);
            assert_eq!(std::fs::read_dir(folder.path().join("set-aside")).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_second_instance_is_told_who_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Store::open(folder.path()).unwrap();
        let error = Store::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    }

    #[test]
    fn a_damaged_record_is_passed_over_and_named() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        let store = Store::open(folder.path()).unwrap();
        let tree = store.tree("things").unwrap();
        tree.inner.insert(5u32.to_be_bytes(), b"\x01\0\0\0\0 5".to_vec()).unwrap();
        assert_eq!(tree.all::<u32>().unwrap().len(), 102);
        let error = tree.get::<u32>(&5u32.to_be_bytes()).err().unwrap().to_string();
        assert!(error.contains("checksum"), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Store::open(&file.join("data")).err().unwrap().to_string();
        assert!(error.contains("data") && !error.contains('\n'), "{error}");
    }
}
