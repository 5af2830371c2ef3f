//! Reading the logs from where one was, without leaving anything out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Source, What};
use crate::store::StoreError;
use crate::store::events::Events;
use crate::store::notes::Notes;
use crate::store::signals::Signals;

/// The three logs.
#[derive(Clone)]
pub struct Logs {
    /// Arrivals.
    pub events: Arc<Events>,
    /// The barrier's notes.
    pub notes: Arc<Notes>,
    /// The box's own.
    pub signals: Arc<Signals>,
}

/// The number in each log up to which somebody was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cursor {
    /// In the arrivals.
    pub arrivals: u64,
    /// In the barrier's notes.
    pub notes: u64,
    /// In the box's own.
    pub signals: u64,
}

impl Cursor {
    /// Its number in one log.
    pub fn get(&self, source: Source) -> u64 {
        match source {
            Source::Arrival => self.arrivals,
            Source::Barrier => self.notes,
            Source::Box => self.signals,
        }
    }

    /// Moves it in one log.
    pub fn set(&mut self, source: Source, number: u64) {
        match source {
            Source::Arrival => self.arrivals = number,
            Source::Barrier => self.notes = number,
            Source::Box => self.signals = number,
        }
    }
}

/// A number that is missing in a log may still be on its way from another thread. It is waited for so long, and then passed over:
/// it could not be written, or has been forgotten.
const PATIENCE: Duration = Duration::from_secs(10);
/// Records read at a time from one log.
const AT_A_TIME: usize = 256;

/// Reads the logs from a cursor on, without leaving anything out.
pub struct Follower {
    logs: Logs,
    at: Cursor,
    /// Everything up to here was there, or gone, when it began: a missing number is gone.
    settled: Cursor,
    missing: Option<(Source, u64, Instant)>,
}

impl Follower {
    /// From this cursor on; one that is ahead of the logs (they were made anew) is set to their ends.
    pub fn new(logs: Logs, from: Cursor) -> Follower {
        let settled = logs.end();
        let mut at = from;
        for source in Source::ALL {
            at.set(source, from.get(source).min(settled.get(source)));
        }
        Follower { logs, at, settled, missing: None }
    }

    /// Up to where it has read.
    pub fn at(&self) -> Cursor {
        self.at
    }

    /// What came since, at most some hundred; none where there is nothing new. In the order of time, and of each log in the order
    /// of its numbers, also where somebody set the clock back in between.
    pub fn more(&mut self) -> Result<Vec<What>, StoreError> {
        let mut logs = Vec::new();
        for source in Source::ALL {
            if self.at.get(source) < self.logs.end_of(source) {
                let records = self.logs.since(source, self.at.get(source), AT_A_TIME)?;
                let mut found = Vec::new();
                self.take(source, records, &mut found);
                logs.push(found.into_iter().peekable());
            }
        }
        let mut merged = Vec::new();
        while let Some(next) = logs
            .iter_mut()
            .filter_map(|log| log.peek().map(What::at).map(|at| (at, log)))
            .min_by_key(|(at, _)| *at)
            .and_then(|(_, log)| log.next())
        {
            merged.push(next);
        }
        Ok(merged)
    }

    fn take(&mut self, source: Source, records: Vec<What>, found: &mut Vec<What>) {
        for what in records {
            let (last, number) = (self.at.get(source), what.number());
            if number > last + 1 && number > self.settled.get(source) && self.waits_for(source, last + 1) {
                return;
            }
            self.at.set(source, number);
            found.push(what);
        }
    }

    /// Is the missing number worth waiting for?
    fn waits_for(&mut self, source: Source, number: u64) -> bool {
        match self.missing {
            Some((s, n, since)) if (s, n) == (source, number) => since.elapsed() < PATIENCE,
            _ => {
                self.missing = Some((source, number, Instant::now()));
                true
            }
        }
    }
}

impl Logs {
    /// The newest number of each log.
    pub fn end(&self) -> Cursor {
        let mut end = Cursor::default();
        for source in Source::ALL {
            end.set(source, self.end_of(source));
        }
        end
    }

    fn end_of(&self, source: Source) -> u64 {
        match source {
            Source::Arrival => self.events.newest_number(),
            Source::Barrier => self.notes.newest_number(),
            Source::Box => self.signals.newest_number(),
        }
    }

    fn since(&self, source: Source, after: u64, count: usize) -> Result<Vec<What>, StoreError> {
        Ok(match source {
            Source::Arrival => {
                self.events.since(after, count)?.into_iter().map(|e| What::Arrival(Box::new(e))).collect()
            }
            Source::Barrier => self.notes.since(after, count)?.into_iter().map(What::Barrier).collect(),
            Source::Box => self.signals.since(after, count)?.into_iter().map(What::Box).collect(),
        })
    }

    /// One record; none if it has been forgotten since.
    pub fn get(&self, source: Source, number: u64) -> Result<Option<What>, StoreError> {
        Ok(match source {
            Source::Arrival => self.events.get(number)?.map(|e| What::Arrival(Box::new(e))),
            Source::Barrier => self.notes.get(number)?.map(What::Barrier),
            Source::Box => self.signals.get(number)?.map(What::Box),
        })
    }
}
