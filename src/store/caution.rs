//! May anything be deleted now? Not after a jump of the clock, by which all of it would be too old.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::clock::Clock;

/// A clock that stands years ahead for an hour must not cost a year of records: after a jump nothing is deleted for a day.
#[derive(Debug, Default)]
pub struct Caution {
    /// Both clocks, when they were last looked at.
    seen: Option<(Instant, Timestamp)>,
    hold_until: Option<Instant>,
}

/// A wall clock that runs so differently from the other one has been set.
const JUMP: SignedDuration = SignedDuration::from_hours(12);
/// Nobody came for so long: the box was off, or its clock is wrong.
const LONG_AWAY: SignedDuration = SignedDuration::from_hours(24 * 7);
const HOLD: Duration = Duration::from_secs(24 * 3600);

impl Caution {
    /// May what is due be deleted now? `newest` is when the newest arrival was. To be asked at every round.
    pub fn may_delete(&mut self, clock: &dyn Clock, newest: Option<Timestamp>) -> bool {
        let (now, wall) = (clock.now(), clock.wall());
        let jumped = match self.seen.replace((now, wall)) {
            Some((then, wall_then)) => {
                let passed =
                    SignedDuration::try_from(now.saturating_duration_since(then)).unwrap_or(SignedDuration::MAX);
                wall.duration_since(wall_then).saturating_sub(passed).abs() > JUMP
            }
            None => newest.is_some_and(|at| wall.duration_since(at) > LONG_AWAY),
        };
        if jumped {
            tracing::warn!("the clock has jumped, or the box was off for long: nothing is deleted for a day");
            self.hold_until = now.checked_add(HOLD);
        }
        self.hold_until.is_none_or(|until| now >= until)
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::clock::Hands;

    #[test]
    fn a_clock_that_jumps_costs_nothing_for_a_day() {
        let right: Timestamp = "2026-11-26T00:00:00Z".parse().unwrap();
        let (clock, hour) = (Hands::at(right, TimeZone::UTC), Duration::from_secs(3600));
        let mut caution = Caution::default();
        assert!(caution.may_delete(&clock, Some(right)));
        clock.turn(hour * 5);
        assert!(caution.may_delete(&clock, Some(right)));
        clock.set_wall("2036-01-01T00:00:00Z".parse().unwrap());
        assert!(!caution.may_delete(&clock, Some(right)));
        clock.turn(hour);
        clock.set_wall(right);
        assert!(!caution.may_delete(&clock, Some(right)));
        clock.turn(hour * 23);
        assert!(!caution.may_delete(&clock, Some(right)));
        clock.turn(hour);
        assert!(caution.may_delete(&clock, Some(right)));
        // After a start there is no other clock to compare with: only how long nobody came.
        let mut caution = Caution::default();
        assert!(!caution.may_delete(&clock, Some(right - SignedDuration::from_hours(24 * 8))));
    }
}
