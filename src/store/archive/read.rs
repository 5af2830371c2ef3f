//! Reading a backup: checking one, and bringing one back. Nothing of a backup is in place before all of its sums were
//! compared.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use super::seal::{Keys, MAGIC};
use super::{FORMAT, FileInfo, HEAD, Head, LARGEST, Line, MANIFEST, Manifest, Summary, settings};
use crate::ledger::receipts::is_receipt;
use crate::store::{Batch, INDEX, OWN, Store, StoreError, encode, hashed};
use crate::text::one_line;

/// What was brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// All of it.
    pub summary: Summary,
    /// The folder with the configuration and the files that it names: `DATA-config`, or with a number where that was taken.
    pub config: Option<PathBuf>,
}

/// Brings a backup back into a folder that is empty or not there. The configuration comes beside it, over nothing.
pub fn restore(from: &Path, to: &Path, keys: &Keys) -> Result<Restored, StoreError> {
    if std::fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
        let problem = "is not empty: restore into a new folder".to_owned();
        return Err(StoreError::Archive { path: to.to_path_buf(), problem });
    }
    let beside = to.with_extension("restoring");
    let _ = std::fs::remove_dir_all(&beside);
    let unpack = || {
        let store = Store::open(&beside)?;
        read(from, keys, &mut |file, summary| place(&store, &beside.join(CONFIG_FOLDER), file, summary))
    };
    let result = unpack().and_then(|summary| {
        File::open(&beside).and_then(|f| Ok(rustix::fs::syncfs(f)?)).map_err(|e| StoreError::disk(&beside, e))?;
        let settings = beside.join(CONFIG_FOLDER);
        let config = settings.exists().then(|| settings::settle(&settings, to)).transpose()?;
        let _ = std::fs::remove_dir(to);
        std::fs::rename(&beside, to).map_err(|e| StoreError::disk(to, e))?;
        Ok(Restored { summary, config })
    });
    if result.is_err() {
        let _ = std::fs::remove_dir_all(&beside);
    }
    result
}

/// Where the configuration lies until its sums were compared: no tree and no picture is called so.
const CONFIG_FOLDER: &str = "config.restoring";

/// Reads all of a backup and compares every sum; nothing is put anywhere.
pub fn check(from: &Path, keys: &Keys) -> Result<Summary, StoreError> {
    read(from, keys, &mut |file, summary| match file.belongs()? {
        Belongs::Tree(tree) => {
            *summary.records.entry(tree.to_owned()).or_default() += file.lines()?.len();
            Ok(())
        }
        Belongs::Picture => {
            summary.pictures += 1;
            Ok(())
        }
        Belongs::Key => Ok(()),
        Belongs::Setting(_) => {
            summary.count_setting(file.name);
            Ok(())
        }
    })
}

/// One file of an archive.
struct Entry<'a> {
    name: &'a str,
    bytes: &'a [u8],
}

/// Where it belongs.
enum Belongs<'a> {
    Tree(&'a str),
    Picture,
    Key,
    /// The configuration, or a file that it names.
    Setting(&'a str),
}

type Take<'t> = dyn FnMut(&Entry, &mut Summary) -> Result<(), String> + 't;

fn read(from: &Path, keys: &Keys, take: &mut Take) -> Result<Summary, StoreError> {
    let wrong = |problem: String| StoreError::Archive { path: from.to_path_buf(), problem };
    // What is wrong may be a name in the file, with anything in it.
    let cut = |e: std::io::Error| wrong(format!("is not a whole backup: {}", one_line(&e.to_string())));
    let mut file = BufReader::new(File::open(from).map_err(|e| StoreError::disk(from, e))?);
    let sealed = file.fill_buf().map_err(|e| StoreError::disk(from, e))?.starts_with(MAGIC);
    let inside: Box<dyn Read> = if sealed { keys.open(file).map_err(wrong)? } else { Box::new(file) };
    let mut tar = tar::Archive::new(zstd::Decoder::new(inside).map_err(cut)?);
    let mut unpacked = Unpacked::default();
    for entry in tar.entries().map_err(cut)? {
        let entry = entry.map_err(cut)?;
        let name = one_line(&entry.path().map_err(cut)?.to_string_lossy());
        let mut bytes = Vec::new();
        entry.take(LARGEST).read_to_end(&mut bytes).map_err(cut)?;
        unpacked.add(&Entry { name: &name, bytes: &bytes }, take).map_err(wrong)?;
    }
    unpacked.end().map_err(wrong)
}

/// What was seen of an archive so far.
#[derive(Default)]
struct Unpacked {
    format: Option<u32>,
    manifest: Option<Manifest>,
    seen: BTreeMap<String, FileInfo>,
    summary: Summary,
}

impl Unpacked {
    fn add(&mut self, file: &Entry, take: &mut Take) -> Result<(), String> {
        let Some(format) = self.format else { return self.begin(file) };
        if format > 1 && file.name == MANIFEST && self.manifest.is_none() {
            self.manifest = Some(serde_json::from_slice(file.bytes).map_err(|_| "has a manifest that is none")?);
            return Ok(());
        }
        let is = FileInfo::of(file.bytes);
        match &self.manifest {
            // In format 1 it comes first.
            Some(manifest) if format == 1 => {
                let told =
                    manifest.files.get(file.name).ok_or_else(|| format!("has an unexpected file {}", file.name))?;
                if is != *told {
                    return Err(format!("{} is damaged: its checksum is another", file.name));
                }
            }
            Some(_) => return Err(format!("has an unexpected file {}", file.name)),
            None => {}
        }
        if self.seen.insert(file.name.to_owned(), is).is_some() {
            return Err(format!("has {} twice", file.name));
        }
        take(file, &mut self.summary).map_err(|problem| format!("{}: {problem}", file.name))
    }

    fn begin(&mut self, file: &Entry) -> Result<(), String> {
        let none = || "is not a plategate backup".to_owned();
        let format = match file.name {
            HEAD => serde_json::from_slice::<Head>(file.bytes).map_err(|_| none())?.format,
            MANIFEST => {
                let manifest: Manifest = serde_json::from_slice(file.bytes).map_err(|_| none())?;
                let format = manifest.format.ok_or_else(none)?;
                self.manifest = Some(manifest);
                format
            }
            _ => return Err(none()),
        };
        if format > FORMAT || format == 0 {
            return Err(format!("has format {format}, this plategate reads up to {FORMAT}"));
        }
        self.format = Some(format);
        Ok(())
    }

    /// All of it was there, and nothing else, and nothing was damaged.
    fn end(self) -> Result<Summary, String> {
        let expected = self.manifest.ok_or("is not a whole backup: its end is missing")?.files;
        if self.seen.is_empty() || self.seen.len() != expected.len() {
            return Err(format!("is not a whole backup: {} of {} files", self.seen.len(), expected.len()));
        }
        match expected.iter().find(|(name, info)| self.seen.get(*name) != Some(info)) {
            Some((name, _)) => Err(format!("{name} is damaged: its checksum is another")),
            None => Ok(self.summary),
        }
    }
}

impl<'a> Entry<'a> {
    fn belongs(&self) -> Result<Belongs<'a>, &'static str> {
        let tree = self.name.strip_suffix(".jsonl").map(|rest| match rest.split_once('/') {
            Some((tree, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => tree,
            _ => rest,
        });
        if let Some(tree) = tree.filter(|tree| is_tree(tree)) {
            return Ok(Belongs::Tree(tree));
        }
        if self.name == hashed::KEY_FILE {
            return Ok(Belongs::Key);
        }
        if let Some(name) = settings::restored_name(self.name) {
            return Ok(Belongs::Setting(name));
        }
        let path = Path::new(self.name);
        let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
        let kept = path.extension().is_some_and(|e| e == "jpg" || e == "tsv");
        let picture = (self.name.starts_with("pictures/") || self.name.starts_with("corrections/")) && kept;
        let receipt = self.name.starts_with("receipts/") && is_receipt(path);
        if plain && (picture || receipt) { Ok(Belongs::Picture) } else { Err("does not belong into a backup") }
    }

    fn lines(&self) -> Result<Vec<Line>, String> {
        let lines = self.bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).map_err(|e| e.to_string())).collect()
    }
}

/// Puts one file of the archive where it belongs.
fn place(store: &Store, config: &Path, file: &Entry, summary: &mut Summary) -> Result<(), String> {
    let path = store.folder().join(file.name);
    match file.belongs()? {
        Belongs::Tree(tree) => {
            let (lines, mut batch) = (file.lines()?, Batch::default());
            *summary.records.entry(tree.to_owned()).or_default() += lines.len();
            for line in lines {
                batch.add(tree, &line.key, Some(encode(&line.record)));
            }
            store.write(batch).map_err(|e| e.to_string())
        }
        Belongs::Picture => {
            summary.pictures += 1;
            // All of them go onto the disk at once, before the folder gets its name.
            let put = || {
                std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
                std::fs::write(&path, file.bytes)
            };
            put().map_err(|e: std::io::Error| StoreError::disk(&path, e).to_string())
        }
        Belongs::Key => hashed::keep_key(&path, file.bytes).map_err(|e| e.to_string()),
        Belongs::Setting(name) => {
            summary.count_setting(file.name);
            settings::put(config, name, file.bytes).map_err(|e| e.to_string())
        }
    }
}

/// A name that one of our trees may have, and never the store's own.
fn is_tree(name: &str) -> bool {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    plain && !name.is_empty() && name.len() <= 40 && ![OWN, INDEX].contains(&name) && !name.starts_with("__")
}
