//! Places where a drill cuts the power: between a write and its flush, in the middle of a new journal.
//!
//! A gate passes them at the price of reading a number in memory; only `plategate drill` arms one.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// All of them.
pub(crate) const PLACES: [&str; 6] = [
    "half a line is written",
    "a line is written and not flushed",
    "a line is flushed",
    "sled has it and has not flushed",
    "sled has flushed",
    "a new journal is written",
];

/// Passes until the cut, counted from 1; 0: never.
static LEFT: AtomicU64 = AtomicU64::new(0);
static PLACE: Mutex<String> = Mutex::new(String::new());

/// Kills this process at the `pass`-th time that it comes by this place.
pub(crate) fn arm(place: &str, pass: u64) {
    *PLACE.lock() = place.to_owned();
    LEFT.store(pass, Ordering::Relaxed);
}

/// The power may go here.
pub(super) fn here(place: &str) {
    debug_assert!(PLACES.contains(&place), "{place}");
    if LEFT.load(Ordering::Relaxed) == 0 {
        return;
    }
    let wanted = PLACE.lock();
    if *wanted == place && LEFT.fetch_sub(1, Ordering::Relaxed) == 1 {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal is on its way; nothing more may be done.
        loop {
            std::thread::park();
        }
    }
}
