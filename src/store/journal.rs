//! The journal of changes: every write to the register, the ledger and the accounts as a line of text, on the disk before
//! sled has it. Whatever becomes of sled's files, this brings everything back; a person can read it.
//!
//! A file `journal/NNNNNNNN.log` begins with everything there was when it was begun, so that it needs no older one. A line is
//! the CRC-32 of the rest in eight hexadecimal digits, a space, and
//! `{"n":17,"writes":[{"tree":"vehicles","key":"苏F12345","record":{…}}]}`; a key that is a number is written as one, and a
//! record that was taken out is missing. All of one line is kept or nothing.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::codec::{json, seal};
use super::tree::Write;
use super::{StoreError, sync_folder};

/// One line: writes that belong together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    /// Counts up by one.
    pub n: u64,
    pub writes: Vec<Write>,
}

#[derive(Serialize, Deserialize)]
struct LineText {
    n: u64,
    writes: Vec<WriteText>,
}

#[derive(Serialize, Deserialize)]
struct WriteText {
    tree: String,
    key: Key,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<Box<RawValue>>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Key {
    Number(u64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Key {
    /// Eight bytes that begin with zero are a number; no text does.
    fn of(bytes: &[u8]) -> Key {
        match (<[u8; 8]>::try_from(bytes), std::str::from_utf8(bytes)) {
            (Ok(number), _) if number[0] == 0 => Key::Number(u64::from_be_bytes(number)),
            (_, Ok(text)) => Key::Text(text.to_owned()),
            _ => Key::Bytes(bytes.to_vec()),
        }
    }

    fn bytes(self) -> Vec<u8> {
        match self {
            Key::Number(number) => number.to_be_bytes().to_vec(),
            Key::Text(text) => text.into_bytes(),
            Key::Bytes(bytes) => bytes,
        }
    }
}

impl Line {
    fn to_text(&self) -> String {
        let writes = self.writes.iter().map(|write| {
            // What is no text was not made by our codec; such a record is not kept twice.
            let raw =
                write.value.as_deref().and_then(json).and_then(|text| RawValue::from_string(text.to_owned()).ok());
            WriteText { tree: write.tree.clone(), key: Key::of(&write.key), record: raw }
        });
        let text = LineText { n: self.n, writes: writes.collect() };
        let text = serde_json::to_string(&text).expect("a line is plain data");
        format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes()))
    }

    /// A line without its newline; none if it is damaged.
    fn from_text(text: &[u8]) -> Option<Line> {
        let (sum, rest) = std::str::from_utf8(text).ok()?.split_once(' ')?;
        if sum != format!("{:08x}", crc32fast::hash(rest.as_bytes())) {
            return None;
        }
        let line: LineText = serde_json::from_str(rest).ok()?;
        let write = |w: WriteText| Write {
            tree: w.tree,
            key: w.key.bytes(),
            value: w.record.map(|raw| seal(raw.get().as_bytes())),
        };
        Some(Line { n: line.n, writes: line.writes.into_iter().map(write).collect() })
    }
}

/// What a journal's file told.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    pub lines: Vec<Line>,
    /// Lines that are damaged, in the middle or as the last whole one.
    pub damaged: usize,
    /// The first line is whole: it has everything there was when the file was begun.
    pub begins: bool,
    /// Bytes up to the end of the last line that is whole or damaged.
    pub length: u64,
}

impl Told {
    /// Everything in these bytes. A last line without its end was never acknowledged and is no damage.
    pub(super) fn read(bytes: &[u8]) -> Told {
        let mut told = Told::default();
        let mut at = 0;
        while let Some(end) = bytes[at..].iter().position(|b| *b == b'\n') {
            match Line::from_text(&bytes[at..at + end]) {
                // A number that does not go on is as wrong as a checksum.
                Some(line) if told.lines.last().is_none_or(|last| line.n > last.n) => {
                    if told.lines.last().is_some_and(|last| line.n != last.n + 1) && told.damaged == 0 {
                        told.damaged += 1;
                    }
                    told.begins |= at == 0;
                    told.lines.push(line);
                }
                _ => told.damaged += 1,
            }
            at += end + 1;
            told.length = at as u64;
        }
        told
    }

    /// The number of the last line; 0 if there is none.
    pub(super) fn last(&self) -> u64 {
        self.lines.last().map_or(0, |line| line.n)
    }
}

/// The journal, open for the next line.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    last: u64,
    /// A line that could not be taken back after it could not be written: nothing may follow it.
    torn: bool,
}

/// A file that has grown beyond this is begun anew at the next start.
pub(super) const LONG: u64 = 8 << 20;

impl Journal {
    /// The files in the folder, the oldest first.
    pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
        let mut files: Vec<PathBuf> = names.filter(|p| p.extension().is_some_and(|e| e == "log")).collect();
        files.sort();
        files
    }

    /// Goes on with a file that was read; what follows its last whole line is cut off.
    pub(super) fn go_on(path: PathBuf, told: &Told) -> Result<Journal, StoreError> {
        let open = || -> std::io::Result<File> {
            let file = File::options().write(true).open(&path)?;
            file.set_len(told.length)?;
            file.sync_data()?;
            Ok(file)
        };
        let file = open().map_err(|e| StoreError::disk(&path, e))?;
        Ok(Journal { path, file, length: told.length, last: told.last(), torn: false })
    }

    /// Begins a new file with all there is, and drops all but the one before it.
    pub(super) fn begin(folder: &Path, n: u64, all: Vec<Write>) -> Result<Journal, StoreError> {
        let number = |path: &Path| path.file_stem().and_then(|s| s.to_str()?.parse::<u64>().ok()).unwrap_or(0);
        let next = Journal::files(folder).last().map_or(1, |path| number(path) + 1);
        let path = folder.join(format!("{next:08}.log"));
        let part = path.with_extension("part");
        let text = Line { n, writes: all }.to_text();
        let write = || -> std::io::Result<File> {
            std::fs::create_dir_all(folder)?;
            let mut file = File::create(&part)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            super::cut::here("a new journal is written");
            std::fs::rename(&part, &path)?;
            sync_folder(folder)?;
            Ok(file)
        };
        let file = write().map_err(|error| {
            let _ = std::fs::remove_file(&part);
            StoreError::disk(&path, error)
        })?;
        for path in Journal::files(folder).iter().filter(|path| number(path) + 1 < next) {
            // A leftover costs some room, no more.
            let _ = std::fs::remove_file(path);
        }
        Ok(Journal { path, file, length: text.len() as u64, last: n, torn: false })
    }

    /// Adds a line; on the disk when this returns. On an error nothing is left of it.
    pub(super) fn add(&mut self, writes: Vec<Write>) -> Result<u64, StoreError> {
        if self.torn {
            return Err(StoreError::Unsure { path: self.path.clone() });
        }
        let line = Line { n: self.last + 1, writes };
        let text = line.to_text();
        let mut write = || -> std::io::Result<()> {
            self.file.seek(SeekFrom::Start(self.length))?;
            let (first, second) = text.as_bytes().split_at(text.len() / 2);
            self.file.write_all(first)?;
            super::cut::here("half a line is written");
            self.file.write_all(second)?;
            super::cut::here("a line is written and not flushed");
            self.file.sync_data()
        };
        match write() {
            Ok(()) => {
                super::cut::here("a line is flushed");
                self.length += text.len() as u64;
                self.last = line.n;
                Ok(line.n)
            }
            Err(error) => {
                self.cut_back()?;
                Err(StoreError::disk(&self.path, error))
            }
        }
    }

    /// Takes the last line back: sled would not have it.
    pub(super) fn take_back(&mut self, length: u64) -> Result<(), StoreError> {
        self.length = length;
        self.last -= 1;
        self.cut_back()
    }

    /// Where the next line begins.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// One that every write to fails, as on a full or dying disk.
    #[cfg(test)]
    pub(super) fn read_only(path: &Path) -> Journal {
        let told = Told::read(&std::fs::read(path).unwrap());
        let file = File::open(path).unwrap();
        Journal { path: path.to_path_buf(), file, length: told.length, last: told.last(), torn: false }
    }

    fn cut_back(&mut self) -> Result<(), StoreError> {
        let cut = self.file.set_len(self.length).and_then(|()| self.file.sync_data());
        self.torn = cut.is_err();
        cut.map_err(|_| StoreError::Unsure { path: self.path.clone() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::encode;
    use super::*;

    fn write(key: &[u8], record: Option<&str>) -> Write {
        Write { tree: "things".into(), key: key.to_vec(), value: record.map(|r| encode(&r)) }
    }

    fn lines(count: u64) -> Vec<Line> {
        (1..=count).map(|n| Line { n, writes: vec![write(&n.to_be_bytes(), Some("苏F12345"))] }).collect()
    }

    fn text(lines: &[Line]) -> Vec<u8> {
        lines.iter().flat_map(|line| line.to_text().into_bytes()).collect()
    }

    #[test]
    fn a_line_reads_as_a_person_would_write_it() {
        let line =
            Line { n: 17, writes: vec![write("苏F12345".as_bytes(), Some("x")), write(&3u64.to_be_bytes(), None)] };
        let told = r#"{"n":17,"writes":[{"tree":"things","key":"苏F12345","record":"x"},{"tree":"things","key":3}]}"#;
        assert_eq!(line.to_text()[9..].trim_end(), told);
        assert_eq!(Line::from_text(line.to_text().trim_end().as_bytes()).unwrap(), line);
    }

    #[test]
    fn a_lost_line_in_the_middle_is_noticed() {
        let mut all = lines(5);
        all.remove(2);
        let told = Told::read(&text(&all));
        assert_eq!((told.lines.len(), told.damaged, told.last()), (4, 1, 5));
    }

    proptest! {
        #[test]
        fn any_key_and_record_come_back(key in proptest::collection::vec(any::<u8>(), 0..12), record in proptest::option::of("\\PC{0,20}")) {
            let line = Line { n: 1, writes: vec![write(&key, record.as_deref())] };
            prop_assert_eq!(Line::from_text(line.to_text().trim_end().as_bytes()).unwrap(), line);
        }

        #[test]
        fn any_bytes_are_read_or_counted(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let told = Told::read(&bytes);
            prop_assert!(told.length as usize <= bytes.len() && told.lines.is_empty());
        }

        #[test]
        fn a_cut_loses_the_last_line_and_is_no_damage(cut in 0usize..2000) {
            let all = lines(9);
            let bytes = text(&all);
            let told = Told::read(&bytes[..cut.min(bytes.len())]);
            prop_assert_eq!(told.damaged, 0);
            prop_assert_eq!(&told.lines[..], &all[..told.lines.len()]);
        }

        #[test]
        fn a_flipped_bit_costs_one_or_two_lines_and_is_noticed(at in 0usize..2000, bit in 0u8..8) {
            let all = lines(9);
            let mut bytes = text(&all);
            let at = at % (bytes.len() - 1);
            bytes[at] ^= 1 << bit;
            let told = Told::read(&bytes);
            prop_assert!(told.damaged >= 1 && told.lines.len() >= 7);
            prop_assert!(told.lines.iter().all(|line| all.contains(line)));
        }
    }
}
