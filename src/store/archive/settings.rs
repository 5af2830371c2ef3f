//! The configuration in a backup, and the files that it names: passwords, keys, certificates.
//!
//! What is secret goes into encrypted backups only. A configuration is not supposed to hold any; one that does is secret itself.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::store::{StoreError, hashed, sync_folder};

/// They are in this folder of the archive: `plategate.toml`, and each other file by the key that names it.
const FOLDER: &str = "config/";
/// The configuration's name there.
pub(super) const CONFIG: &str = "config/plategate.toml";

/// Files for the archive, and why some are not among them (one line, or nothing).
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) files: Vec<(String, Vec<u8>)>,
    pub(super) left_out: Option<String>,
}

/// Reads the configuration and what it names. What cannot be read is left out: the register is worth more.
pub(super) fn collect(file: Option<&Path>, sealed: bool) -> Collected {
    let Some(file) = file else { return Collected::default() };
    let mut left_out = Vec::new();
    let mut files = Vec::new();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let why = format!("the configuration ({}: {error})", file.display());
            return Collected { files, left_out: Some(why) };
        }
    };
    // Of one that is being edited and is no configuration just now, nobody knows what it holds.
    let config = Config::parse(&text, file).ok();
    let inside = config.as_ref().map_or(Some("it cannot be understood, and perhaps"), Config::secret_inside);
    match inside.filter(|_| !sealed) {
        Some(key) => left_out.push(format!("the configuration ({key} holds a secret)")),
        None => files.push((CONFIG.to_owned(), text.into_bytes())),
    }
    for named in config.iter().flat_map(Config::named_files) {
        if named.secret && !sealed {
            left_out.push(format!("{} (a secret)", named.key));
            continue;
        }
        match std::fs::read(named.place()) {
            Ok(bytes) => files.push((format!("{FOLDER}{}", named.key), bytes)),
            Err(error) => left_out.push(format!("{} ({}: {error})", named.key, named.path.display())),
        }
    }
    Collected { files, left_out: (!left_out.is_empty()).then(|| left_out.join(", ")) }
}

/// The name that such a file is restored under, if this is one.
pub(super) fn restored_name(name: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let rest = name.strip_prefix(FOLDER)?;
    (!rest.is_empty() && rest.len() <= 80 && !rest.starts_with('.') && rest.chars().all(plain)).then_some(rest)
}

/// Puts one of them into a folder, for its owner's eyes only.
pub(super) fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().mode(0o700).recursive(true).create(folder);
    made.map_err(|e| StoreError::disk(folder, e))?;
    hashed::keep_key(&folder.join(name), bytes)
}

/// Gives the folder of restored files a name beside the data folder: `DATA-config`, or with a number where that is taken.
pub(super) fn settle(from: &Path, data: &Path) -> Result<PathBuf, StoreError> {
    let named = |end: String| {
        let mut name = data.file_name().unwrap_or_default().to_os_string();
        name.push(end);
        data.with_file_name(name)
    };
    let first = std::iter::once(named("-config".to_owned()));
    let free = first.chain((2..1000).map(|n| named(format!("-config-{n}")))).find(|path| !path.exists());
    let to = free.unwrap_or_else(|| named("-config".to_owned()));
    // Where all are taken, the system refuses: a folder with something in it is never overwritten.
    std::fs::rename(from, &to).map_err(|e| StoreError::disk(&to, e))?;
    let parent = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_folder(parent).map_err(|e| StoreError::disk(parent, e))?;
    Ok(to)
}
