//! What is measured every evening, and whether it grows.

use std::path::Path;

use serde::Serialize;

/// One evening's figures.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Evening {
    pub(super) day: u32,
    /// Arrivals that can be looked up.
    pub(super) on_record: usize,
    /// Of this process, resident.
    pub(super) memory_mb: f64,
    pub(super) store_mb: f64,
    pub(super) journal_mb: f64,
    pub(super) pictures_mb: f64,
}

pub(super) const MB: f64 = 1024.0 * 1024.0;

/// Memory of this process, MB.
pub(super) fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kilobytes.unwrap_or_default() / 1024.0
}

/// Bytes of all files below a folder.
pub(super) fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// From the middle third of the time to the last, what should have come to rest may not grow much.
pub(super) fn growth(evenings: &[Evening]) -> Vec<String> {
    const SHORTEST: usize = 24;
    if evenings.len() < SHORTEST {
        return Vec::new();
    }
    let third = evenings.len() / 3;
    let most = |part: &[Evening], of: fn(&Evening) -> f64| part.iter().map(of).fold(0.0, f64::max);
    let (middle, last) = (&evenings[third..2 * third], &evenings[2 * third..]);
    let mut faults = Vec::new();
    type Of = fn(&Evening) -> f64;
    let measures: [(&str, Of, f64, f64); 3] = [
        ("memory", |e| e.memory_mb, 1.1, 8.0),
        ("the store's files", |e| e.store_mb, 1.25, 4.0),
        ("the journal", |e| e.journal_mb, 1.5, 16.0),
    ];
    for (name, of, times, more) in measures {
        let (before, after) = (most(middle, of), most(last, of));
        if after > before * times + more {
            faults.push(format!("{name} grows: {before:.1} MB in the middle, {after:.1} MB at the end"));
        }
    }
    faults
}
