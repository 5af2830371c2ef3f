//! A gate whose disk can only be read, or is full to the last byte, still knows who may come in.
//!
//! The journal is copied into memory and the store built from it there. Cars are let in as ever; the register and the book
//! cannot be changed, because nothing would be saved; what comes meanwhile is on record until the next start only.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Batch, Store, StoreError};

/// Trees that may be written in memory: who did what, also when it cannot be kept.
const MAY: [&str; 1] = ["audit"];

impl Store {
    /// Opens the data folder for a gate: if its disk cannot be written, a copy in memory that takes no changes.
    pub fn open_for_gate(folder: &Path) -> Result<Store, StoreError> {
        match Store::open(folder) {
            Err(StoreError::Disk { path, error, .. }) if is_sick(&error) && folder.join("journal").is_dir() => {
                let problem = StoreError::disk(&path, error).to_string();
                tracing::error!(problem, "the data folder cannot be written: the gate runs from memory");
                Store::in_memory(folder, &problem)
            }
            other => other,
        }
    }

    /// A copy of what the journal has, in memory.
    pub(super) fn in_memory(folder: &Path, problem: &str) -> Result<Store, StoreError> {
        let place = place();
        let _ = std::fs::remove_dir_all(&place);
        for part in ["journal", "tls"] {
            copy(&folder.join(part), &place.join(part))?;
        }
        let key = super::hashed::KEY_FILE;
        if let Ok(bytes) = std::fs::read(folder.join(key)) {
            super::hashed::keep_key(&place.join(key), &bytes)?;
        }
        let mut store = Store::open(&place)?;
        store.frozen = true;
        store
            .told
            .push(format!("{problem}; the gate runs from memory, and nothing can be changed until that is put right"));
        Ok(store)
    }

    /// Does it run from memory, and take no changes?
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    pub(super) fn refuse_if_frozen(&self, batch: &Batch) -> Result<(), StoreError> {
        if !self.frozen || batch.writes.iter().all(|write| MAY.contains(&write.tree.as_str())) {
            return Ok(());
        }
        Err(StoreError::disk(&self.folder, ErrorKind::ReadOnlyFilesystem.into()))
    }
}

fn is_sick(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
        // EIO has no kind of its own.
        || error.raw_os_error() == Some(5)
}

fn place() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    folder.join(format!("plategate-{}", std::process::id()))
}

/// Plain files of a folder.
fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(|e| StoreError::disk(to, e))?;
    for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_file() {
            std::fs::copy(&path, to.join(entry.file_name())).map_err(|e| StoreError::disk(&path, e))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::accounts::Accounts;
    use crate::register::{Change, Register, Vehicle, demo};

    #[test]
    fn a_gate_that_runs_from_memory_knows_the_cars_and_takes_no_changes() {
        let folder = tempfile::tempdir().unwrap();
        demo::load(&Register::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap()).unwrap();
        let store = Arc::new(Store::in_memory(folder.path(), "the disk can only be read").unwrap());
        assert!(store.is_frozen() && store.told()[0].contains("runs from memory"), "{:?}", store.told());
        let register = Register::open(store.clone()).unwrap();
        assert_eq!(register.snapshot().vehicles().len(), 103);
        let car = Change::Vehicle(Vehicle::new("苏F99999".parse().unwrap(), "2-301"));
        let error = register.apply("test", &[car]).unwrap_err().to_string();
        assert!(error.contains("can only be read"), "{error}");
        assert_eq!(register.snapshot().vehicles().len(), 103);
        // Somebody who opens by hand is still named.
        Accounts::open(store.clone()).unwrap().audit.add("王伟", "手动开闸", "访客", None).unwrap();
        let place = store.folder().to_path_buf();
        drop((register, store));
        std::fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn only_a_sick_disk_leads_into_memory() {
        for (number, sick) in [(30, true), (28, true), (5, true), (13, false), (2, false)] {
            assert_eq!(is_sick(&std::io::Error::from_raw_os_error(number)), sick, "{number}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(!Store::open_for_gate(folder.path()).unwrap().is_frozen());
        let _held = Store::open(folder.path()).unwrap();
        assert!(matches!(Store::open_for_gate(folder.path()), Err(StoreError::InUse { .. })));
    }
}
