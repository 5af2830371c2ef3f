//! Backups that the box makes by itself: when one is due, where it goes, which old ones go, and what became of it.
//!
//! The time is passed in. What became of it lies in `backup.json` in the data folder, so that the page, `/metrics` and
//! `plategate doctor` tell the same, also while the gate does not run.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::archive::{self, How, Made};
use super::{Store, StoreError, write_whole};
use crate::config::{self, Config};

/// After a backup that could not be made, it is tried again.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// What became of the backups.
const FILE: &str = "backup.json";
/// The name of every backup that the box makes begins so.
const PREFIX: &str = "plategate-";

/// A backup that was made and read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Good {
    /// When.
    pub at: Timestamp,
    /// Where it lies.
    pub file: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Records in it.
    pub records: usize,
    /// Pictures in it.
    pub pictures: usize,
    /// Only the holders of a key can read it.
    pub encrypted: bool,
    /// What of the configuration is not in it, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The first time.
    pub since: Timestamp,
    /// The last try.
    pub tried: Timestamp,
    /// What to do about it, in one line.
    pub problem: String,
}

/// What became of the backups so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The last good one.
    pub last_good: Option<Good>,
    /// Why the last try made none.
    pub trouble: Option<Trouble>,
}

impl State {
    /// As the data folder has it; nothing where it was never written or is damaged.
    pub fn read(folder: &Path) -> State {
        let bytes = std::fs::read(folder.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }
}

/// The rounds.
pub struct Rounds {
    store: Arc<Store>,
    settings: config::Backup,
    how: How,
    gate: String,
    state: Mutex<State>,
}

impl Rounds {
    /// For this store and as the configuration says; the gate's name is part of the backups' names.
    pub fn new(store: Arc<Store>, config: &Config) -> Rounds {
        let gate = config.gate.name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).take(40).collect();
        let state = Mutex::new(State::read(store.folder()));
        Rounds { store, settings: config.backup.clone(), how: How::from(config), gate, state }
    }

    /// What became of them so far.
    pub fn state(&self) -> State {
        self.state.lock().clone()
    }

    /// Is one due at this moment?
    pub fn is_due(&self, now: Timestamp) -> bool {
        let state = self.state.lock();
        if let Some(trouble) = &state.trouble {
            return passed(trouble.tried, now, AGAIN_AFTER);
        }
        let every = SignedDuration::from_hours(i64::from(self.settings.every_hours));
        state.last_good.as_ref().is_none_or(|good| passed(good.at, now, every))
    }

    /// Makes a backup if one is due; tells whether it did.
    pub fn look(&self, now: Timestamp) -> bool {
        let Some(folder) = self.settings.folder.clone().filter(|_| self.is_due(now)) else { return false };
        let made = self.make(&folder, now);
        let mut state = self.state.lock();
        match &made {
            Ok(good) => {
                tracing::info!(bytes = good.bytes, records = good.records, pictures = good.pictures, "backed up");
                if let Some(left_out) = &good.left_out {
                    tracing::warn!(left_out, "not all of the configuration is in the backup");
                }
                *state = State { last_good: Some(good.clone()), trouble: None };
            }
            Err(error) => {
                let problem = error.to_string();
                let before = state.trouble.take();
                // Once for each reason: a stick that is away for a week must not fill the log.
                if before.as_ref().is_none_or(|t| t.problem != problem) {
                    tracing::error!(problem, "no backup could be made");
                }
                let since = before.map_or(now, |t| t.since);
                state.trouble = Some(Trouble { since, tried: now, problem });
            }
        }
        let text = serde_json::to_vec(&*state).expect("plain data");
        if let Err(error) = write_whole(&self.store.folder().join(FILE), &text) {
            tracing::error!(%error, "what became of the backup could not be noted");
        }
        made.is_ok()
    }

    fn make(&self, folder: &Path, now: Timestamp) -> Result<Good, StoreError> {
        self.arrive(folder)?;
        let how = &self.how;
        let name = format!("{PREFIX}{}-{}.{}", self.gate, now.strftime("%Y%m%d-%H%M%S"), how.suffix());
        let file = folder.join(name);
        let made: Made = archive::backup(&self.store, &file, how)?;
        archive::verify(&file, &made)?;
        self.clear(folder, &file);
        let records = made.summary.records.values().sum();
        let encrypted = !how.recipients.is_empty();
        let (bytes, pictures) = (made.bytes, made.summary.pictures);
        Ok(Good { at: now, file, bytes, records, pictures, encrypted, left_out: made.left_out })
    }

    /// Is the stick there? Its mount point without it is a folder of the box's own disk.
    fn arrive(&self, folder: &Path) -> Result<(), StoreError> {
        let disk_of = |path: &Path| std::fs::metadata(path).map(|m| m.dev());
        let own = disk_of(self.store.folder()).map_err(|e| StoreError::disk(self.store.folder(), e))?;
        let away = |problem: &str| StoreError::Archive { path: folder.to_path_buf(), problem: problem.to_owned() };
        let allowed = |disk: u64| self.settings.same_disk || disk != own;
        match disk_of(folder) {
            Ok(disk) if allowed(disk) => Ok(()),
            Ok(_) => Err(away(
                "lies on the box's own disk: plug in the stick or mount it (backup.same_disk = true allows it)",
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let parent = folder.parent().unwrap_or(folder);
                if !disk_of(parent).is_ok_and(allowed) {
                    return Err(away("is not there: plug in the stick or mount it"));
                }
                std::fs::create_dir(folder).map_err(|e| StoreError::disk(folder, e))
            }
            Err(error) => Err(StoreError::disk(folder, error)),
        }
    }

    /// Deletes the oldest of this gate's backups beyond those that are kept, and what a cut left half-written.
    fn clear(&self, folder: &Path, newest: &Path) {
        let begins = format!("{PREFIX}{}-", self.gate);
        let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let ours = super::retention::sorted(folder).into_iter().filter(|path| name(path).starts_with(&begins));
        let (parts, backups): (Vec<_>, Vec<_>) = ours.partition(|path| path.extension().is_some_and(|e| e == "part"));
        let whole = |path: &PathBuf| name(path).ends_with(".tar.zst") || name(path).ends_with(".tar.zst.age");
        // The time in their names is in order, whatever the clock says now; the newest one stays in any case.
        let mut backups: Vec<_> = backups.into_iter().filter(|path| whole(path) && path != newest).collect();
        backups.truncate((backups.len() + 1).saturating_sub(self.settings.keep as usize));
        for path in parts.into_iter().chain(backups) {
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(file = %path.display(), %error, "an old backup could not be deleted");
            }
        }
    }
}

/// Has so much time passed, or has the clock been put back?
fn passed(since: Timestamp, now: Timestamp, time: SignedDuration) -> bool {
    now < since || now.duration_since(since) >= time
}

#[cfg(test)]
mod tests {
    use super::super::archive::{Keys, check, make_key};
    use super::*;
    use crate::register::{Register, demo};

    fn rounds(folder: &Path, settings: config::Backup) -> Rounds {
        let store = Arc::new(Store::open(&folder.join("data")).unwrap());
        demo::load(&Register::open(store.clone()).unwrap()).unwrap();
        let mut config = Config { backup: settings, ..Config::default() };
        config.gate.name = "东门 1".into();
        Rounds::new(store, &config)
    }

    fn backups(folder: &Path) -> Vec<PathBuf> {
        super::super::retention::sorted(folder)
    }

    #[test]
    fn one_a_day_is_made_encrypted_read_back_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let (stick, key) = (folder.path().join("stick"), folder.path().join("key.txt"));
        let recipients = vec![make_key(&key).unwrap()];
        let settings =
            config::Backup { folder: Some(stick.clone()), recipients, keep: 2, same_disk: true, ..Default::default() };
        let rounds = rounds(folder.path(), settings);
        std::fs::create_dir(&stick).unwrap();
        std::fs::write(stick.join("plategate-东门_1-20200101-000000.tar.zst.part"), "half").unwrap();
        std::fs::write(stick.join("holiday.jpg"), "somebody's").unwrap();
        let mut now: Timestamp = "2026-11-26T03:00:00Z".parse().unwrap();
        let mut made = 0;
        for _hour in 0..73 {
            made += usize::from(rounds.look(now));
            now += SignedDuration::from_hours(1);
        }
        assert_eq!(made, 4);
        let files = backups(&stick);
        assert_eq!(files.len(), 3, "{files:?}");
        let newest = &files[2];
        assert!(newest.ends_with("plategate-东门_1-20261129-030000.tar.zst.age"), "{files:?}");
        let good = rounds.state().last_good.unwrap();
        assert!(good.file == *newest && good.encrypted && good.records > 103, "{good:?}");
        assert_eq!(State::read(&folder.path().join("data")), rounds.state());
        // Nothing of the register can be read without the key, all of it can with it.
        assert!(check(newest, &Keys::default()).unwrap_err().to_string().contains("--identity"));
        assert_eq!(check(newest, &Keys::read(&key).unwrap()).unwrap().records["vehicles"], 103);
    }

    #[test]
    fn a_stick_that_is_away_is_told_once_and_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let stick = folder.path().join("media/stick");
        let settings = config::Backup { folder: Some(stick.clone()), same_disk: true, ..Default::default() };
        let rounds = rounds(folder.path(), settings);
        let begun: Timestamp = "2026-11-26T03:00:00Z".parse().unwrap();
        let minutes = |n: i64| begun + SignedDuration::from_mins(n);
        assert!(!rounds.look(begun));
        let trouble = rounds.state().trouble.unwrap();
        assert!(trouble.problem.contains("plug in the stick"), "{trouble:?}");
        std::fs::create_dir(stick.parent().unwrap()).unwrap();
        assert!(!rounds.look(minutes(9)) && rounds.state().trouble.as_ref() == Some(&trouble));
        assert!(rounds.look(minutes(10)));
        assert_eq!(rounds.state().trouble, None);
        assert_eq!(backups(&stick).len(), 1);
        // A clock that was put back by years does not keep it from being made.
        assert!(!rounds.look(minutes(20)) && rounds.look("2020-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn the_boxs_own_disk_is_no_stick() {
        let folder = tempfile::tempdir().unwrap();
        let settings = config::Backup { folder: Some(folder.path().to_path_buf()), ..Default::default() };
        let rounds = rounds(folder.path(), settings);
        assert!(!rounds.look(Timestamp::now()));
        assert!(rounds.state().trouble.unwrap().problem.contains("own disk"));
        assert!(backups(folder.path()).iter().all(|p| !p.to_string_lossy().contains(PREFIX)));
    }
}
