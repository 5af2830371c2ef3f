//! What to believe at the start: sled's files, the journal, or both, and what had to be put right.
//!
//! The journal has every change first, so it is believed where it is whole; where a part of it is damaged, sled is, and what
//! the journal has beyond it. Nothing that is put right is thrown away: it goes to `set-aside/`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use super::journal::{Journal, Told};
use super::tree::Write;
use super::{APPLIED, DERIVED, INDEX, OWN, StoreError, decode, encode};

/// Records by tree and key, as they are encoded.
type Records = BTreeMap<(String, Vec<u8>), Vec<u8>>;

/// Opens the journal beside sled, and makes both tell the same. What had to be put right is told in words.
pub(super) fn reconcile(
    folder: &Path,
    db: &sled::Db,
    new_sled: bool,
    long: u64,
    told: &mut Vec<String>,
) -> Result<Journal, StoreError> {
    let place = folder.join("journal");
    set_damaged_records_aside(folder, db, told)?;
    let (here, applied) = (records(db)?, applied(db)?);
    let files = Journal::files(&place);
    let Some(path) = files.last().cloned() else {
        return Journal::begin(&place, applied.max(1), writes(&here));
    };
    let bytes = std::fs::read(&path).map_err(|e| StoreError::disk(&path, e))?;
    let journal = Told::read(&bytes);
    let whole = journal.damaged == 0 && !journal.lines.is_empty();
    if journal.damaged > 0 {
        told.push(format!("{}: {} lines are damaged", path.display(), journal.damaged));
    }
    if whole && journal.last() >= applied || new_sled {
        // The journal is believed: sled follows.
        let mut wanted = Records::new();
        if !journal.begins {
            // Its beginning is damaged: what there was then is in the file before it.
            for older in &files[..files.len() - 1] {
                let bytes = std::fs::read(older).map_err(|e| StoreError::disk(older, e))?;
                wanted = replay(&Told::read(&bytes), 0, wanted);
            }
        }
        let wanted = replay(&journal, 0, wanted);
        if let Some(changed) = follow(db, &here, &wanted, journal.last())? {
            let unfinished = applied < journal.last() && !new_sled;
            let why = if unfinished { "the power was cut before" } else { "it was damaged" };
            tracing::warn!(records = changed, "the register was put right from its journal: {why}");
            if !unfinished {
                told.push(format!("{changed} records were put right from the journal"));
            }
        }
        if !whole {
            return Journal::begin(&place, journal.last().max(1), writes(&wanted));
        }
        if bytes.len() as u64 > long {
            match Journal::begin(&place, journal.last(), writes(&wanted)) {
                // A full disk: the long one serves.
                Err(error) => tracing::warn!(%error, "the journal could not be begun anew"),
                begun => return begun,
            }
        }
        return Journal::go_on(path, &journal);
    }
    // Sled is believed, and what the journal has beyond it.
    let wanted = replay(&journal, applied, here.clone());
    follow(db, &here, &wanted, journal.last().max(applied))?;
    told.push(format!("{}: begun anew from the register", path.display()));
    let journal = Journal::begin(&place, journal.last().max(applied).max(1), writes(&wanted))?;
    aside(folder, &path)?;
    Ok(journal)
}

/// Moves a file or folder to `set-aside/`.
pub(super) fn aside(folder: &Path, what: &Path) -> Result<PathBuf, StoreError> {
    let place = folder.join("set-aside");
    std::fs::create_dir_all(&place).map_err(|e| StoreError::disk(&place, e))?;
    let name = what.file_name().unwrap_or_default().to_string_lossy();
    let to = place.join(format!("{}-{name}", jiff::Timestamp::now().as_microsecond()));
    std::fs::rename(what, &to).map_err(|e| StoreError::disk(&to, e))?;
    Ok(to)
}

/// The number of the last line of the journal that sled has.
fn applied(db: &sled::Db) -> Result<u64, StoreError> {
    Ok(db.open_tree(OWN)?.get(APPLIED)?.and_then(|value| decode(&value).ok()).unwrap_or(0))
}

fn journalled(db: &sled::Db) -> Result<Vec<(String, sled::Tree)>, StoreError> {
    let mut out = Vec::new();
    for name in db.tree_names() {
        let name = String::from_utf8_lossy(&name).into_owned();
        if !DERIVED.contains(&name.as_str()) && name != OWN && name != "__sled__default" {
            let tree = db.open_tree(&name)?;
            out.push((name, tree));
        }
    }
    Ok(out)
}

fn records(db: &sled::Db) -> Result<Records, StoreError> {
    let mut out = Records::new();
    for (name, tree) in journalled(db)? {
        for item in tree.iter() {
            let (key, value) = item?;
            out.insert((name.clone(), key.to_vec()), value.to_vec());
        }
    }
    Ok(out)
}

fn writes(records: &Records) -> Vec<Write> {
    let write = |((tree, key), value): (&(String, Vec<u8>), &Vec<u8>)| Write {
        tree: tree.clone(),
        key: key.clone(),
        value: Some(value.clone()),
    };
    records.iter().map(write).collect()
}

/// The records after the journal's lines beyond that number; all of them begin with nothing.
fn replay(journal: &Told, after: u64, mut records: Records) -> Records {
    if after == 0 && journal.begins {
        records.clear();
    }
    for write in journal.lines.iter().filter(|line| line.n > after).flat_map(|line| &line.writes) {
        let place = (write.tree.clone(), write.key.clone());
        match &write.value {
            Some(value) => records.insert(place, value.clone()),
            None => records.remove(&place),
        };
    }
    records
}

/// How many records a journal's text leaves.
pub(super) fn fuzz_replay(journal: &Told) -> usize {
    replay(journal, 0, Records::new()).len()
}

/// Makes sled hold what is wanted; tells how many records that changed, if any.
fn follow(db: &sled::Db, here: &Records, wanted: &Records, last: u64) -> Result<Option<usize>, StoreError> {
    let mut batches: BTreeMap<&str, sled::Batch> = BTreeMap::new();
    let mut changed = 0;
    for ((tree, key), value) in wanted.iter().filter(|(place, value)| here.get(*place) != Some(*value)) {
        batches.entry(tree).or_default().insert(key.as_slice(), value.as_slice());
        changed += 1;
    }
    for (tree, key) in here.keys().filter(|place| !wanted.contains_key(*place)) {
        batches.entry(tree).or_default().remove(key.as_slice());
        changed += 1;
    }
    for (tree, batch) in batches {
        db.open_tree(tree)?.apply_batch(batch)?;
    }
    if applied(db)? != last {
        db.open_tree(OWN)?.insert(APPLIED, encode(&last))?;
    }
    Ok((changed > 0).then_some(changed))
}

/// A record that is not as it was written goes to `set-aside/records.jsonl`, so that the rest can go on; the journal then
/// brings back what it was.
fn set_damaged_records_aside(folder: &Path, db: &sled::Db, told: &mut Vec<String>) -> Result<(), StoreError> {
    use std::io::Write as _;
    for name in db.tree_names() {
        let tree = db.open_tree(&name)?;
        let name = String::from_utf8_lossy(&name).into_owned();
        if name == INDEX {
            continue;
        }
        for item in tree.iter() {
            let (key, value) = item?;
            let Err(problem) = decode::<IgnoredAny>(&value) else { continue };
            let place = folder.join("set-aside");
            let path = place.join("records.jsonl");
            let line =
                serde_json::json!({"tree": name, "key": key.to_vec(), "bytes": value.to_vec(), "problem": problem});
            let keep = || -> std::io::Result<()> {
                std::fs::create_dir_all(&place)?;
                let mut file = std::fs::File::options().create(true).append(true).open(&path)?;
                writeln!(file, "{line}")?;
                file.sync_data()
            };
            keep().map_err(|e| StoreError::disk(&path, e))?;
            tree.remove(&key)?;
            let key = String::from_utf8_lossy(&key).into_owned();
            told.push(StoreError::Record { tree: name.clone(), key, problem }.to_string());
        }
    }
    Ok(())
}
