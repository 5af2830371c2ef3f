//! What goes wrong with the store, in a line that says what to do.

use std::path::{Path, PathBuf};

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
        tree: String,
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
    /// The disk failed twice: once to take a change, once to take it back.
    #[error(
        "{path}: the disk fails: whether the last change was kept is seen after the next start; nothing more is taken until then"
    )]
    Unsure {
        /// The journal.
        path: PathBuf,
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
            std::io::ErrorKind::FileTooLarge => ": its file system takes no larger files: format it as exFAT or ext4",
            _ => "",
        };
        StoreError::Disk { path: path.to_path_buf(), error, advice }
    }
}
