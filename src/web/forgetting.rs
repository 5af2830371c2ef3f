//! Retention, seen to happen: what has been kept long enough is deleted every hour, and when it was is shown.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use super::Site;
use crate::clock::SystemClock;
use crate::config;
use crate::store::StoreError;
use crate::store::caution::Caution;
use crate::store::retention::Thinned;

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// When.
    pub at: Timestamp,
    /// Arrivals, notes, passes and kept pictures that were deleted or lost their number.
    pub gone: usize,
    /// Pictures that went before their time, to make room.
    pub thinned: Thinned,
}

/// The last run, and whether the clock can be trusted with the next.
#[derive(Debug, Default)]
pub struct Forgetting {
    last: Mutex<Option<Run>>,
    caution: Mutex<Caution>,
}

impl Forgetting {
    /// The last run since the start.
    pub fn last(&self) -> Option<Run> {
        *self.last.lock()
    }
}

const EVERY: Duration = Duration::from_secs(3600);

/// Deletes what is due now, and every hour.
pub async fn keep_forgetting(site: Arc<Site>) {
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tick.tick().await;
        let there = site.clone();
        match tokio::task::spawn_blocking(move || forget(&there)).await {
            Ok(Ok(gone)) => tracing::info!(gone, "deleted what has been kept long enough"),
            Ok(Err(error)) => tracing::error!(%error, "what has been kept long enough could not be deleted"),
            Err(_) => tracing::error!("deleting what has been kept long enough failed"),
        }
    }
}

/// How long a pass is kept when it is over, days: as long as a stranger's plate, and as long as it counts for its month.
pub(super) fn keep_passes_days(data: &config::Data) -> u32 {
    data.keep_strangers_days.max(31)
}

fn forget(site: &Site) -> Result<usize, StoreError> {
    let (now, data) = (Timestamp::now(), &site.gate.config.data);
    let before = |days: u32| now - SignedDuration::from_hours(24 * i64::from(days));
    let newest = site.gate.events.newest(1, None)?.first().map(|event| event.at);
    if !site.forgetting.caution.lock().may_delete(&SystemClock, newest) {
        return Ok(0);
    }
    let events = site.gate.events.prune(now, data.keep_strangers_days, data.keep_events_days)?;
    let notes = site.gate.notes.prune(now, data.keep_events_days)?;
    let signals = site.gate.signals.prune(now, data.keep_events_days)?;
    let passes = {
        let _changing = site.register_lock.lock();
        let over_before = before(keep_passes_days(data));
        let register = &site.gate.register;
        register.forget_passes(over_before)? + register.forget_visitors(|pass| pass.to < over_before)?
    };
    let gone = events + notes + signals + passes + forget_corrections(site, before)?;
    site.digits.keep_only(&site.gate.register.passes()?)?;
    let thinned = site.gate.events.thin_out(data.into())?;
    if thinned.pictures > 0 {
        tracing::warn!(pictures = thinned.pictures, mb = thinned.bytes >> 20, "the oldest pictures made room");
    }
    if thinned.still_short {
        tracing::error!("the disk is full of other things than pictures: make room");
    }
    *site.forgetting.last.lock() = Some(Run { at: now, gone, thinned });
    Ok(gone)
}

/// Pictures that were kept as test data: a registered car's go when its arrivals go, a stranger's when a stranger's do.
fn forget_corrections(site: &Site, before: impl Fn(u32) -> Timestamp) -> Result<usize, StoreError> {
    let (data, cars) = (&site.gate.config.data, site.gate.register.snapshot());
    let (strangers, all) = (before(data.keep_strangers_days), before(data.keep_events_days));
    site.corrections.prune(|c| if cars.get(&c.plate).is_some() { all } else { strangers.max(all) })
}
