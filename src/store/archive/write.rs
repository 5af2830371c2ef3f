//! Writing a backup while the gate runs. What belongs together is taken at one moment; arrivals and pictures, of which
//! there may be gigabytes, go through a small buffer.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::seal::Sink;
use super::{FORMAT, FileInfo, HEAD, Head, How, Line, MANIFEST, Manifest, Summary, hex, settings};
use crate::ledger::receipts::is_receipt;
use crate::store::{DERIVED, INDEX, Store, StoreError, decode, hashed, sync_folder};

/// A file of records is not much longer.
const PIECE: usize = 4 << 20;

/// A backup that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// What it holds.
    pub summary: Summary,
    /// What of the configuration is not in it, and why.
    pub left_out: Option<String>,
    /// Its length.
    pub bytes: u64,
    /// Of the file, as it lies there.
    pub sha256: String,
}

/// Writes a backup. It is there whole or not at all, and on the disk when this returns.
pub fn backup(store: &Store, to: &Path, how: &How) -> Result<Made, StoreError> {
    let part = to.with_extension("part");
    let result = write(store, &part, how).and_then(|made| {
        let put = || {
            std::fs::rename(&part, to)?;
            sync_folder(to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))
        };
        put().map_err(|e| StoreError::disk(to, e))?;
        Ok(made)
    });
    if result.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    result
}

/// Reads a backup back from where it was written to. Its bytes must be the ones that were.
pub fn verify(path: &Path, made: &Made) -> Result<(), StoreError> {
    let read = || -> std::io::Result<String> {
        let file = File::open(path)?;
        // From the stick, not from memory. Where the system does not take advice, the comparison is worth a little less.
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        let (mut file, mut sum) = (BufReader::with_capacity(1 << 18, file), Sha256::new());
        std::io::copy(&mut file, &mut sum)?;
        Ok(hex(&sum.finalize()))
    };
    if read().map_err(|e| StoreError::disk(path, e))? == made.sha256 {
        return Ok(());
    }
    let problem = "reads back otherwise than it was written: replace the stick or disk".to_owned();
    Err(StoreError::Archive { path: path.to_path_buf(), problem })
}

/// A file whose sum is taken while it is written.
struct Summed {
    file: BufWriter<File>,
    sum: Sha256,
    bytes: u64,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.sum.update(&bytes[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// An archive on its way to the disk.
struct Archive {
    part: PathBuf,
    tar: tar::Builder<zstd::Encoder<'static, Sink<Summed>>>,
    manifest: Manifest,
    summary: Summary,
}

fn write(store: &Store, part: &Path, how: &How) -> Result<Made, StoreError> {
    let mut archive = Archive::begin(part, &how.recipients)?;
    for (tree, records) in store.at_one_moment()? {
        archive.tree(&tree, records.into_iter().map(Ok))?;
    }
    for tree in store.tree_names().into_iter().filter(|name| DERIVED.contains(&name.as_str()) && name != INDEX) {
        archive.tree(&tree, store.db.open_tree(&tree)?.iter())?;
    }
    archive.pictures("receipts", &store.folder().join("receipts"), &|path| is_receipt(path))?;
    if how.pictures {
        let kept = |path: &Path| path.extension().is_some_and(|e| e == "jpg" || e == "tsv");
        archive.pictures("corrections", &store.folder().join("corrections"), &kept)?;
        for day in sorted(&store.folder().join("pictures")) {
            let name = format!("pictures/{}", file_name(&day));
            archive.pictures(&name, &day, &|path| path.extension().is_some_and(|e| e == "jpg"))?;
        }
    }
    // With it, the marks of forgotten plates could be tried out one by one.
    if !how.recipients.is_empty()
        && let Ok(key) = std::fs::read(store.folder().join(hashed::KEY_FILE))
    {
        archive.file(hashed::KEY_FILE, &key)?;
    }
    let settings = settings::collect(how.config.as_deref(), !how.recipients.is_empty());
    for (name, bytes) in &settings.files {
        archive.file(name, bytes)?;
        archive.summary.count_setting(name);
    }
    Ok(Made { left_out: settings.left_out, ..archive.end()? })
}

impl Archive {
    fn begin(part: &Path, recipients: &[String]) -> Result<Archive, StoreError> {
        let disk = |error| StoreError::disk(part, error);
        let file = BufWriter::with_capacity(1 << 18, File::create(part).map_err(disk)?);
        let sink = Sink::new(Summed { file, sum: Sha256::new(), bytes: 0 }, recipients).map_err(disk)?;
        let tar = tar::Builder::new(zstd::Encoder::new(sink, 3).map_err(disk)?);
        let (manifest, summary) = (Manifest::default(), Summary::default());
        let mut archive = Archive { part: part.to_path_buf(), tar, manifest, summary };
        let head = Head { format: FORMAT, made: jiff::Timestamp::now() };
        archive.append(HEAD, &serde_json::to_vec(&head).expect("plain data"))?;
        Ok(archive)
    }

    /// All records of a tree, in files of some megabytes.
    fn tree(
        &mut self,
        name: &str,
        records: impl Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>>,
    ) -> Result<(), StoreError> {
        let (mut piece, mut number, mut count) = (Vec::new(), 0, 0);
        for item in records {
            let (key, value) = item?;
            match decode::<serde_json::Value>(&value) {
                Ok(record) => {
                    let line = Line { key: key.to_vec(), record };
                    serde_json::to_writer(&mut piece, &line).expect("a line is plain data");
                    piece.push(b'\n');
                    count += 1;
                }
                Err(problem) => tracing::error!(tree = name, problem, "a damaged record is not in the backup"),
            }
            if piece.len() >= PIECE {
                number += 1;
                self.file(&format!("{name}/{number:05}.jsonl"), &std::mem::take(&mut piece))?;
            }
        }
        if number == 0 || !piece.is_empty() {
            self.file(&format!("{name}/{:05}.jsonl", number + 1), &piece)?;
        }
        self.summary.records.insert(name.to_owned(), count);
        Ok(())
    }

    fn pictures(&mut self, name: &str, folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<(), StoreError> {
        for path in sorted(folder).into_iter().filter(|path| wanted(path)) {
            match std::fs::read(&path) {
                Ok(bytes) => {
                    self.file(&format!("{name}/{}", file_name(&path)), &bytes)?;
                    self.summary.pictures += 1;
                }
                // It was due while this was being written.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::disk(&path, error)),
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.manifest.files.insert(name.to_owned(), FileInfo::of(bytes));
        self.append(name, bytes)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        self.tar.append_data(&mut header, name, bytes).map_err(|e| StoreError::disk(&self.part, e))
    }

    fn end(mut self) -> Result<Made, StoreError> {
        let manifest = serde_json::to_vec_pretty(&self.manifest).expect("a manifest is plain data");
        self.append(MANIFEST, &manifest)?;
        let part = self.part;
        let disk = |error| StoreError::disk(&part, error);
        let sink = self.tar.into_inner().and_then(zstd::Encoder::finish).map_err(disk)?;
        let Summed { mut file, sum, bytes } = sink.finish().map_err(disk)?;
        file.flush().and_then(|()| file.get_ref().sync_all()).map_err(disk)?;
        Ok(Made { summary: self.summary, left_out: None, bytes, sha256: hex(&sum.finalize()) })
    }
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}
