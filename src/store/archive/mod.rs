//! Backup and restore: everything in one file, readable without this program.
//!
//! A backup is a tar archive compressed with zstd and, where keys are given, encrypted with age: first
//! `plategate-backup.json` (format and time); a folder a tree with `*.jsonl`, a key and a record per line; the pictures of
//! arrivals, of receipts and of corrections; `config/`, the configuration and the files that it names; last `manifest.json`,
//! the SHA-256 and size of each file. With the keys at hand, `age -d -i KEY backup.tar.zst.age | zstd -d | tar -x` unpacks one.
//!
//! Older formats are read too: 2 has no configuration, 1 has the manifest first and one file a tree.

mod read;
mod seal;
mod settings;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use read::{Restored, check, restore};
pub use seal::{Keys, make_key};
pub use write::{Made, backup, verify};

const FORMAT: u32 = 3;
/// No file of a backup is larger; a manipulated one may claim to be.
const LARGEST: u64 = 1 << 30;
/// The first file of a backup.
const HEAD: &str = "plategate-backup.json";
/// The last one; in format 1 the first.
const MANIFEST: &str = "manifest.json";

/// How a backup is made.
#[derive(Clone, Debug)]
pub struct How {
    /// The keys that can read it (`age1…`); none: it is not encrypted.
    pub recipients: Vec<String>,
    /// With the pictures of arrivals and corrections?
    pub pictures: bool,
    /// The configuration's file, which goes along with the files that it names; what is secret, only if encrypted.
    pub config: Option<PathBuf>,
}

impl Default for How {
    fn default() -> How {
        How { recipients: Vec::new(), pictures: true, config: None }
    }
}

impl From<&crate::config::Config> for How {
    fn from(config: &crate::config::Config) -> How {
        let (settings, config) = (&config.backup, config.file.clone());
        How { recipients: settings.recipients.clone(), pictures: settings.pictures, config }
    }
}

impl How {
    /// How such a file's name ends.
    pub fn suffix(&self) -> &'static str {
        if self.recipients.is_empty() { "tar.zst" } else { "tar.zst.age" }
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    made: jiff::Timestamp,
}

#[derive(Default, Serialize, Deserialize)]
struct Manifest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<u32>,
    files: BTreeMap<String, FileInfo>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileInfo {
    sha256: String,
    bytes: u64,
}

impl FileInfo {
    fn of(bytes: &[u8]) -> FileInfo {
        FileInfo { sha256: hex(&Sha256::digest(bytes)), bytes: bytes.len() as u64 }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: Vec<u8>,
    record: serde_json::Value,
}

/// What a backup holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records per tree.
    pub records: BTreeMap<String, usize>,
    /// Pictures.
    pub pictures: usize,
    /// Is the configuration in it?
    pub config: bool,
    /// Files that the configuration names.
    pub config_files: usize,
}

impl Summary {
    fn count_setting(&mut self, name: &str) {
        match name == settings::CONFIG {
            true => self.config = true,
            false => self.config_files += 1,
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (tree, n) in &self.records {
            write!(f, "{n} {tree}, ")?;
        }
        write!(f, "{} pictures", self.pictures)?;
        if self.config {
            f.write_str(", the configuration")?;
        }
        match self.config_files {
            0 => Ok(()),
            n => write!(f, ", {n} files that it names"),
        }
    }
}
