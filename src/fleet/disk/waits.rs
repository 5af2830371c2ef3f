//! Which arrivals may be told now: a number is given before its picture and its record are written, so that the newest numbers
//! are on their way for a moment, and one of two may be quicker. What is passed over is never told.

use std::time::{Duration, Instant};

/// A number that is missing for so long could not be written: it is passed over.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for numbers that are on their way.
#[derive(Debug)]
pub(super) struct Waits {
    /// Everything up to here was there, or gone, when this began.
    settled: u64,
    missing: Option<(u64, Instant)>,
}

impl Waits {
    /// With this newest number at the start.
    pub(super) fn after(settled: u64) -> Waits {
        Waits { settled, missing: None }
    }

    /// Of records with these numbers, all that there are after `after`: how many may be told, and up to which number all is told
    /// then. `newest`: the newest number that was given before they were read; none where there may be more records than
    /// these.
    pub(super) fn may(&mut self, after: u64, numbers: &[u64], newest: Option<u64>, now: Instant) -> (usize, u64) {
        let mut up_to = after;
        for (count, number) in numbers.iter().enumerate() {
            if *number > up_to + 1 && self.waits_for(up_to + 1, now) {
                return (count, up_to);
            }
            up_to = *number;
        }
        match newest {
            Some(newest) if newest > up_to && !self.waits_for(up_to + 1, now) => (numbers.len(), newest),
            _ => (numbers.len(), up_to),
        }
    }

    fn waits_for(&mut self, number: u64, now: Instant) -> bool {
        if number <= self.settled {
            return false;
        }
        match self.missing {
            Some((n, since)) if n == number => now.saturating_duration_since(since) < PATIENCE,
            _ => {
                self.missing = Some((number, now));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_on_its_way_is_waited_for_and_not_passed_over() {
        let (mut waits, begun) = (Waits::after(3), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        // 1 and 2 were forgotten before the start.
        assert_eq!(waits.may(0, &[3], Some(3), at(0)), (1, 3));
        // The number 4 was given; its picture is being written.
        assert_eq!(waits.may(3, &[], Some(4), at(1)), (0, 3));
        assert_eq!(waits.may(3, &[4], Some(4), at(2)), (1, 4));
        // Of two that were given the second is quicker.
        assert_eq!(waits.may(4, &[6], Some(6), at(3)), (0, 4));
        assert_eq!(waits.may(4, &[5, 6], Some(6), at(4)), (2, 6));
        // One that could not be written holds nothing up for ever.
        assert_eq!(waits.may(6, &[8, 9], Some(9), at(5)), (0, 6));
        assert_eq!(waits.may(6, &[8, 9], Some(9), at(15)), (2, 9));
        assert_eq!(waits.may(9, &[], Some(10), at(16)), (0, 9));
        assert_eq!(waits.may(9, &[], Some(10), at(26)), (0, 10));
        // More may follow than were read.
        assert_eq!(waits.may(10, &[11], None, at(27)), (1, 11));
    }
}
