//! `[backup]`: What the box backs up by itself, where to, and for whom it is sealed.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Problem, within};

/// `[backup]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backup {
    /// Where backups go, as a rule a folder of a USB stick. Not set: none is made by itself.
    pub folder: Option<PathBuf>,
    /// The keys that can read them (`age1…`). Empty: they are not encrypted.
    pub recipients: Vec<String>,
    /// Hours from one to the next.
    pub every_hours: u32,
    /// How many are kept; the oldest go first.
    pub keep: u32,
    /// With the pictures?
    pub pictures: bool,
    /// May the folder lie on the disk that the data lies on?
    pub same_disk: bool,
}

impl Default for Backup {
    fn default() -> Backup {
        Backup { folder: None, recipients: Vec::new(), every_hours: 24, keep: 14, pictures: true, same_disk: false }
    }
}

/// Is this a key that can be encrypted for?
pub fn is_recipient(text: &str) -> bool {
    text.parse::<age::x25519::Recipient>().is_ok()
}

impl Backup {
    pub(super) fn check(&self) -> Result<(), Problem> {
        for recipient in &self.recipients {
            if !is_recipient(recipient) {
                let found = recipient.chars().take(80).collect::<String>();
                return Err(Problem::new(
                    "backup.recipients",
                    found,
                    "keys as `plategate backup key` prints them, age1…",
                ));
            }
        }
        within("backup.every_hours", self.every_hours, 1..=24 * 31, "1..744 hours")?;
        within("backup.keep", self.keep, 1..=1000, "1..1000 backups")
    }
}
