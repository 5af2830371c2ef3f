//! Watches over what has no log of its own: a camera that goes and comes back, and what is wrong with the barrier. Goings and
//! comings are put on record, so that receivers hear of them; faults and the barrier's notes are counted for the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::barrier::{Barrier, Fault, Note};
use crate::camera::{CameraState, Watcher};
use crate::store::signals::{Signal, Signals};
use crate::telemetry::Telemetry;

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What it looks at.
pub struct Parts {
    /// The camera.
    pub watcher: Watcher,
    /// The barrier.
    pub barrier: Arc<Barrier>,
    /// Where faults are shown.
    pub telemetry: Arc<Telemetry>,
    /// Where goings and comings are put on record.
    pub signals: Arc<Signals>,
}

/// The thread.
pub struct Lookout {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Lookout {
    /// Starts it, and puts the start itself on record.
    pub fn start(parts: Parts) -> Lookout {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let noted = parts.barrier.listen();
        let run = move || {
            put(&parts.signals, Signal::Started { version: env!("CARGO_PKG_VERSION").into() });
            parts.telemetry.house.expect_notes(Note::KINDS.map(|(kind, _)| kind));
            let mut sight = Sight::default();
            while !stopped.load(Ordering::Relaxed) {
                if let Some(signal) = sight.look(&parts.watcher.state(), Instant::now()) {
                    put(&parts.signals, signal);
                }
                noted.try_iter().for_each(|noted| parts.telemetry.house.noted(noted.note.kind()));
                let faults = parts.barrier.state().faults;
                for (fault, word) in Fault::ALL {
                    parts.telemetry.house.fault(word, faults.contains(&fault));
                }
                std::thread::sleep(LOOK_EVERY);
            }
        };
        let thread = std::thread::Builder::new().name("lookout".into()).spawn(run);
        if let Err(error) = &thread {
            tracing::error!(%error, "nobody watches over the camera's goings and comings");
        }
        Lookout { stop, thread: thread.ok() }
    }

    /// Stops it.
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // One that panicked has been reported by the panic itself.
            let _ = thread.join();
        }
    }
}

fn put(signals: &Signals, signal: Signal) {
    if let Err(error) = signals.append(signal) {
        tracing::error!(%error, "something that happened to the box could not be put on record");
    }
}

/// A camera that is away for less than this is not reported; a loose plug would fill the log.
const AWAY: Duration = Duration::from_secs(5);

/// Turns the camera's states into goings and comings.
#[derive(Default)]
struct Sight {
    told_lost: bool,
    away_since: Option<Instant>,
}

impl Sight {
    fn look(&mut self, state: &CameraState, now: Instant) -> Option<Signal> {
        match state {
            CameraState::Live { .. } => {
                self.away_since = None;
                std::mem::take(&mut self.told_lost).then_some(Signal::CameraBack)
            }
            CameraState::Lost { .. } => {
                let since = *self.away_since.get_or_insert(now);
                let is_news = !self.told_lost && now.saturating_duration_since(since) >= AWAY;
                self.told_lost |= is_news;
                is_news.then_some(Signal::CameraLost)
            }
            // Being opened says nothing yet, and a file's end is no loss.
            CameraState::Opening | CameraState::Ended => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_that_goes_is_told_once_and_a_loose_plug_is_not() {
        let lost = CameraState::Lost { reason: "x".into(), since: jiff::Timestamp::now(), attempts: 1 };
        let live = CameraState::Live { width: 1, height: 1 };
        let (mut sight, begun) = (Sight::default(), Instant::now());
        let mut look = |state: &CameraState, s: u64| sight.look(state, begun + Duration::from_secs(s));
        assert_eq!(look(&live, 0), None);
        assert_eq!(look(&lost, 1), None);
        assert_eq!(look(&live, 3), None, "two seconds are a loose plug");
        assert_eq!((look(&lost, 10), look(&CameraState::Opening, 12), look(&lost, 14)), (None, None, None));
        assert_eq!(look(&lost, 15), Some(Signal::CameraLost));
        assert_eq!(look(&lost, 999), None);
        assert_eq!(look(&live, 1000), Some(Signal::CameraBack));
        assert_eq!(look(&live, 1001), None);
    }
}
