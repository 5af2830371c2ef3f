//! What time is it? Passed in wherever time matters, so that a test can be its master.
//!
//! Two clocks in one: one that never jumps, for how long things took, and the wall's, for the day, the hour and the record.
//! The wall clock may jump (a box without a battery learns the time minutes after its start); nothing that counts seconds
//! may depend on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use parking_lot::Mutex;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now, on the clock that never jumps.
    fn now(&self) -> Instant;

    /// Now, on the wall clock.
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Where the gate stands, for days and hours.
    fn zone(&self) -> TimeZone {
        TimeZone::system()
    }

    /// Day and hour at the gate.
    fn local(&self) -> Zoned {
        self.wall().to_zoned(self.zone())
    }

    /// How long ago this was; nothing for what is still to come.
    fn since(&self, then: Instant) -> Duration {
        self.now().saturating_duration_since(then)
    }
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that stands still until its hands are turned: for tests and for simulations. Clones are one clock.
#[derive(Clone, Debug)]
pub struct Hands {
    at: Arc<Mutex<(Instant, Timestamp)>>,
    zone: TimeZone,
}

impl Hands {
    /// A clock that shows this time, in this zone.
    pub fn at(wall: Timestamp, zone: TimeZone) -> Hands {
        Hands { at: Arc::new(Mutex::new((Instant::now(), wall))), zone }
    }

    /// Time passes, on both clocks.
    pub fn turn(&self, by: Duration) {
        let mut at = self.at.lock();
        at.0 += by;
        at.1 += SignedDuration::try_from(by).unwrap_or(SignedDuration::ZERO);
    }

    /// Somebody sets the wall clock; the other one knows nothing of it.
    pub fn set_wall(&self, wall: Timestamp) {
        self.at.lock().1 = wall;
    }
}

impl Clock for Hands {
    fn now(&self) -> Instant {
        self.at.lock().0
    }

    fn wall(&self) -> Timestamp {
        self.at.lock().1
    }

    fn zone(&self) -> TimeZone {
        self.zone.clone()
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Instant {
        (**self).now()
    }

    fn wall(&self) -> Timestamp {
        (**self).wall()
    }

    fn zone(&self) -> TimeZone {
        (**self).zone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_jumps_does_not_move_the_other() {
        let clock = Hands::at("2026-11-25T08:00:00Z".parse().unwrap(), TimeZone::UTC);
        let begun = clock.now();
        clock.turn(Duration::from_millis(1500));
        clock.set_wall("1970-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(clock.since(begun), Duration::from_millis(1500));
        assert_eq!(clock.local().year(), 1970);
        assert_eq!(clock.since(clock.now() + Duration::from_secs(9)), Duration::ZERO);
    }
}
