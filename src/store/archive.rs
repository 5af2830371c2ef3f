//! Backup and restore: everything in one file, readable without this program.
//!
//! A backup is a tar archive compressed with zstd: `manifest.json` (format, time, and the SHA-256 and size of each file),
//! one `*.jsonl` a tree with a key and a record per line, the pictures of arrivals and those of receipts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Batch, Store, StoreError, decode, encode};
use crate::ledger::receipts::is_receipt;

const FORMAT: u32 = 1;
/// No file of a backup is larger; a manipulated one may claim to be.
const LARGEST: u64 = 1 << 30;

#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    made: jiff::Timestamp,
    files: BTreeMap<String, FileInfo>,
}

#[derive(Serialize, Deserialize)]
struct FileInfo {
    sha256: String,
    bytes: u64,
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
}

/// Writes a backup. It is there whole or not at all.
pub fn backup(store: &Store, to: &Path) -> Result<Summary, StoreError> {
    let part = to.with_extension("part");
    let result = write(store, &part).and_then(|summary| {
        std::fs::rename(&part, to).map_err(|e| StoreError::disk(to, e))?;
        Ok(summary)
    });
    if result.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    result
}

fn write(store: &Store, part: &Path) -> Result<Summary, StoreError> {
    let disk = |error| StoreError::disk(part, error);
    let mut summary = Summary::default();
    let mut contents: Vec<(String, Vec<u8>)> = Vec::new();
    for tree in store.tree_names() {
        let lines = dump(store, &tree)?;
        summary.records.insert(tree.clone(), lines.iter().filter(|b| **b == b'\n').count());
        contents.push((format!("{tree}.jsonl"), lines));
    }
    let mut pictures = pictures(&store.folder().join("pictures"));
    pictures.extend(receipts(&store.folder().join("receipts")));
    summary.pictures = pictures.len();
    let mut files: BTreeMap<String, FileInfo> =
        contents.iter().map(|(name, bytes)| (name.clone(), info(bytes))).collect();
    for (name, path) in &pictures {
        files.insert(name.clone(), info(&std::fs::read(path).map_err(|e| StoreError::disk(path, e))?));
    }
    let manifest = Manifest { format: FORMAT, made: jiff::Timestamp::now(), files };
    let manifest = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain data");

    let file = BufWriter::new(File::create(part).map_err(disk)?);
    let mut tar = tar::Builder::new(zstd::Encoder::new(file, 6).map_err(disk)?);
    append(&mut tar, "manifest.json", &manifest).map_err(disk)?;
    for (name, bytes) in &contents {
        append(&mut tar, name, bytes).map_err(disk)?;
    }
    for (name, path) in &pictures {
        let bytes = std::fs::read(path).map_err(|e| StoreError::disk(path, e))?;
        append(&mut tar, name, &bytes).map_err(disk)?;
    }
    let file = tar.into_inner().and_then(zstd::Encoder::finish).map_err(disk)?;
    file.into_inner().map_err(|e| disk(e.into_error()))?.sync_all().map_err(disk)?;
    Ok(summary)
}

fn append(tar: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    tar.append_data(&mut header, name, bytes)
}

fn dump(store: &Store, tree: &str) -> Result<Vec<u8>, StoreError> {
    let mut out = Vec::new();
    for item in store.db.open_tree(tree)?.iter() {
        let (key, value) = item?;
        match decode::<serde_json::Value>(&value) {
            Ok(record) => {
                let line = Line { key: key.to_vec(), record };
                serde_json::to_writer(&mut out, &line).expect("a line is plain data");
                out.push(b'\n');
            }
            Err(problem) => tracing::error!(tree, problem, "a damaged record is not in the backup"),
        }
    }
    Ok(out)
}

fn info(bytes: &[u8]) -> FileInfo {
    let sha256 = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    FileInfo { sha256, bytes: bytes.len() as u64 }
}

fn pictures(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut out = Vec::new();
    let inside = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path());
    for day in inside(folder) {
        for path in inside(&day).filter(|p| p.extension().is_some_and(|e| e == "jpg")) {
            let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            out.push((format!("pictures/{}/{}", name(&day), name(&path)), path));
        }
    }
    out.sort();
    out
}

fn receipts(folder: &Path) -> Vec<(String, PathBuf)> {
    let paths = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut out: Vec<_> = paths.filter(|p| is_receipt(p)).map(|p| (format!("receipts/{}", name(&p)), p)).collect();
    out.sort();
    out
}

/// Brings a backup back into a folder that is empty or not there. All checksums are compared before anything is put in
/// place.
pub fn restore(from: &Path, to: &Path) -> Result<Summary, StoreError> {
    if std::fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
        let problem = "is not empty: restore into a new folder".to_owned();
        return Err(StoreError::Archive { path: to.to_path_buf(), problem });
    }
    let beside = to.with_extension("restoring");
    let _ = std::fs::remove_dir_all(&beside);
    let result = unpack(from, &beside).and_then(|summary| {
        let _ = std::fs::remove_dir(to);
        std::fs::rename(&beside, to).map_err(|e| StoreError::disk(to, e))?;
        Ok(summary)
    });
    if result.is_err() {
        let _ = std::fs::remove_dir_all(&beside);
    }
    result
}

fn unpack(from: &Path, into: &Path) -> Result<Summary, StoreError> {
    let wrong = |problem: String| StoreError::Archive { path: from.to_path_buf(), problem };
    let cut = |e: std::io::Error| wrong(format!("is not a whole backup: {e}"));
    let file = File::open(from).map_err(|e| StoreError::disk(from, e))?;
    let mut tar = tar::Archive::new(zstd::Decoder::new(BufReader::new(file)).map_err(cut)?);
    let mut manifest: Option<Manifest> = None;
    let (mut summary, mut seen) = (Summary::default(), 0);
    let store = Store::open(into)?;
    for entry in tar.entries().map_err(cut)? {
        let entry = entry.map_err(cut)?;
        let name = entry.path().map_err(cut)?.to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.take(LARGEST).read_to_end(&mut bytes).map_err(cut)?;
        let Some(manifest) = &manifest else {
            let read: Manifest =
                serde_json::from_slice(&bytes).map_err(|_| wrong("is not a plategate backup".into()))?;
            if read.format != FORMAT {
                return Err(wrong(format!("has format {}, this plategate reads {FORMAT}", read.format)));
            }
            manifest = Some(read);
            continue;
        };
        let told = manifest.files.get(&name).ok_or_else(|| wrong(format!("has an unexpected file {name}")))?;
        let is = info(&bytes);
        if (is.bytes, &is.sha256) != (told.bytes, &told.sha256) {
            return Err(wrong(format!("{name} is damaged: its checksum is another")));
        }
        seen += 1;
        place(&store, &name, &bytes, &mut summary).map_err(|problem| wrong(format!("{name}: {problem}")))?;
    }
    let expected = manifest.map_or(0, |m| m.files.len());
    if seen == 0 || seen != expected {
        return Err(wrong(format!("is not a whole backup: {seen} of {expected} files")));
    }
    Ok(summary)
}

/// Puts one file of the archive where it belongs.
fn place(store: &Store, name: &str, bytes: &[u8], summary: &mut Summary) -> Result<(), String> {
    if let Some(tree) = name.strip_suffix(".jsonl").filter(|tree| is_tree(tree)) {
        let mut batch = Batch::default();
        for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let line: Line = serde_json::from_slice(line).map_err(|e| e.to_string())?;
            batch.add(tree, &line.key, Some(encode(&line.record)));
            *summary.records.entry(tree.to_owned()).or_default() += 1;
        }
        return store.write(batch).map_err(|e| e.to_string());
    }
    let path = Path::new(name);
    let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
    let receipt = name.starts_with("receipts/") && is_receipt(path);
    if !plain || !(name.starts_with("pictures/") || receipt) {
        return Err("does not belong into a backup".into());
    }
    super::events::write_whole(&store.folder().join(path), bytes).map_err(|e| e.to_string())?;
    summary.pictures += 1;
    Ok(())
}

/// A name that one of our trees may have, and never the store's own.
fn is_tree(name: &str) -> bool {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    plain && !name.is_empty() && name.len() <= 40 && ![super::OWN, super::INDEX].contains(&name) && !name.starts_with("__")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::event::Rule;
    use crate::register::{Register, demo};
    use crate::store::events::{Events, tests::arrival};
    use std::sync::Arc;

    fn filled(folder: &Path) -> Arc<Store> {
        let store = Arc::new(Store::open(folder).unwrap());
        demo::load(&Register::open(store.clone()).unwrap()).unwrap();
        let events = Events::open(store.clone()).unwrap();
        for _ in 0..2 {
            events.append(arrival(jiff::Timestamp::now(), Rule::Paid)).unwrap();
        }
        store
    }

    #[test]
    fn what_was_backed_up_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("backup.tar.zst");
        let store = filled(&folder.path().join("data"));
        let summary = backup(&store, &file).unwrap();
        assert_eq!((summary.records["vehicles"], summary.records["events"], summary.pictures), (103, 2, 2));
        let back = folder.path().join("back");
        assert_eq!(restore(&file, &back).unwrap(), summary);
        let restored = Arc::new(Store::open(&back).unwrap());
        assert_eq!(Register::open(restored.clone()).unwrap().snapshot().vehicles().len(), 103);
        let events = Events::open(restored).unwrap();
        let event = events.get(2).unwrap().unwrap();
        assert!(events.picture_path(&event).unwrap().exists());
    }

    #[test]
    fn a_cut_or_damaged_backup_restores_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("backup.tar.zst");
        backup(&filled(&folder.path().join("data")), &file).unwrap();
        let whole = std::fs::read(&file).unwrap();
        let to = folder.path().join("back");
        for n in 0..24 {
            let mut bad = whole.clone();
            match n % 2 {
                0 => bad.truncate(whole.len() * n / 24),
                _ => bad[whole.len() * n / 24] ^= 0x55,
            }
            std::fs::write(&file, &bad).unwrap();
            // zstd has unused bits; a flip there changes nothing and may pass.
            if let Err(error) = restore(&file, &to) {
                assert!(!error.to_string().contains('\n'));
                assert!(!to.exists(), "something was left after {error}");
            } else {
                assert_eq!(n % 2, 1);
                std::fs::remove_dir_all(&to).unwrap();
            }
        }
    }

    #[test]
    fn a_folder_that_is_not_empty_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x"), "mine").unwrap();
        assert!(restore(Path::new("none"), folder.path()).unwrap_err().to_string().contains("not empty"));
    }
}
