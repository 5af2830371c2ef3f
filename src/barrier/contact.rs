//! One contact: when it may be pressed, and when it has to be let go. Plain, without threads, told the time.

use std::time::Duration;

/// Time since the barrier was started.
pub type At = Duration;

/// The first pause before a failed release is tried again.
const FIRST_RETRY: Duration = Duration::from_millis(2);
/// The longest one.
const LONGEST_RETRY: Duration = Duration::from_millis(50);

/// How long and how often a contact may be pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// How long a press lasts.
    pub pulse: Duration,
    /// The shortest time from one press to the next.
    pub min_gap: Duration,
    /// The most presses within [`window`](Timing::window).
    pub most: usize,
    /// The time that `most` speaks of: a minute.
    pub window: Duration,
}

/// Why a contact may not be pressed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// It was pressed less than the gap ago.
    JustPressed,
    /// It is pressed still: another press would have no edge.
    NotLetGo,
    /// It was pressed as often as it may be.
    TooOften,
}

/// What an output made of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Done {
    /// It did it.
    Yes,
    /// It did not, as far as it knows.
    No,
    /// Nobody knows: the answer of a relay board was lost, for example.
    Maybe,
}

/// One contact, and what was last done with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Contact {
    timing: Timing,
    /// The newest press, for the gap; one that may have happened counts as one.
    pressed_at: Option<At>,
    /// When to let go, or to try again to. `None`: it is let go.
    release_at: Option<At>,
    retry: Duration,
    /// The presses within the window, oldest first.
    recent: Vec<At>,
    /// It should have been let go and could not be.
    stuck: bool,
    /// The output said that it is pressed.
    pressed: bool,
}

impl Contact {
    /// A contact that has not been pressed.
    pub(super) fn new(timing: Timing) -> Contact {
        Contact {
            timing,
            pressed_at: None,
            release_at: None,
            retry: FIRST_RETRY,
            recent: Vec::new(),
            stuck: false,
            pressed: false,
        }
    }

    /// May it be pressed now?
    pub(super) fn may_press(&mut self, now: At) -> Result<(), NotNow> {
        if self.pressed_at.is_some_and(|at| now.saturating_sub(at) < self.timing.min_gap) {
            return Err(NotNow::JustPressed);
        }
        if self.release_at.is_some() {
            return Err(NotNow::NotLetGo);
        }
        let window = self.timing.window;
        self.recent.retain(|&at| now.saturating_sub(at) < window);
        if self.recent.len() >= self.timing.most { Err(NotNow::TooOften) } else { Ok(()) }
    }

    /// An order to press was carried out, at `now`, with this outcome. `hold`: it stays pressed until it is let go.
    pub(super) fn was_pressed(&mut self, now: At, done: Done, hold: bool) {
        match done {
            Done::Yes | Done::Maybe => {
                self.pressed_at = Some(now);
                self.recent.push(now);
                self.release_at = Some(if hold { At::MAX } else { now + self.timing.pulse });
                self.pressed = done == Done::Yes;
            }
            // The contact may have moved all the same, so it is let go at once. The gap is not started: the car still
            // waits, and the next frame may try again.
            Done::No => self.release_at = Some(now),
        }
    }

    /// An order to let go was carried out.
    pub(super) fn was_let_go(&mut self, now: At, done: Done) {
        if done == Done::Yes {
            (self.pressed, self.stuck) = (false, false);
            self.release_at = None;
            self.retry = FIRST_RETRY;
        } else {
            self.stuck = true;
            self.release_at = Some(now + self.retry);
            self.retry = (self.retry * 2).min(LONGEST_RETRY);
        }
    }

    /// Ends a press before its time.
    pub(super) fn let_go(&mut self, now: At) {
        if let Some(at) = &mut self.release_at {
            *at = (*at).min(now);
        }
    }

    /// Has it to be let go now?
    pub(super) fn is_due(&self, now: At) -> bool {
        self.release_at.is_some_and(|at| at <= now)
    }

    /// When it has to be let go; `None` while it is not pressed, or pressed until further notice.
    pub(super) fn due(&self) -> Option<At> {
        self.release_at.filter(|&at| at < At::MAX)
    }

    /// It is, or may be, pressed at this moment.
    pub(super) fn is_down(&self) -> bool {
        self.release_at.is_some()
    }

    /// It is pressed until further notice.
    pub(super) fn is_held(&self) -> bool {
        self.release_at == Some(At::MAX)
    }

    /// The output said that it is pressed.
    pub(super) fn is_pressed(&self) -> bool {
        self.pressed
    }

    /// It should have been let go and could not be.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// Was it pressed, or perhaps pressed, less than `time` ago?
    pub(super) fn pressed_within(&self, now: At, time: Duration) -> bool {
        self.pressed_at.is_some_and(|at| now.saturating_sub(at) < time)
    }

    /// Moves every time by the same distance and forgets how long ago the long past was: for a search over all states.
    #[cfg(test)]
    pub(super) fn rebase(&mut self, now: At, rebase: &impl Fn(At) -> At) {
        // What has left the gap or the window says nothing any more.
        let Timing { min_gap, window, .. } = self.timing;
        self.pressed_at = self.pressed_at.filter(|&at| now.saturating_sub(at) < min_gap).map(rebase);
        self.recent.retain(|&at| now.saturating_sub(at) < window);
        for at in self.recent.iter_mut().chain(self.release_at.iter_mut().filter(|at| **at < At::MAX)) {
            *at = rebase(*at);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn contact(pulse: u64, gap: u64) -> Contact {
        Contact::new(Timing { pulse: ms(pulse), min_gap: ms(gap), most: 100, window: ms(60_000) })
    }

    #[test]
    fn a_pulse_lasts_as_long_as_it_was_set() {
        let mut c = contact(500, 3000);
        c.was_pressed(ms(10), Done::Yes, false);
        assert!(!c.is_due(ms(509)) && c.is_due(ms(510)) && c.due() == Some(ms(510)));
        c.was_let_go(ms(510), Done::Yes);
        assert!(!c.is_down() && c.due().is_none());
    }

    #[test]
    fn the_gap_is_kept_from_press_to_press() {
        let mut c = contact(100, 1000);
        c.was_pressed(ms(0), Done::Yes, false);
        c.was_let_go(ms(100), Done::Yes);
        assert_eq!(c.may_press(ms(999)), Err(NotNow::JustPressed));
        assert_eq!(c.may_press(ms(1000)), Ok(()));
    }

    #[test]
    fn a_failed_press_is_let_go_and_does_not_start_the_gap() {
        let mut c = contact(100, 1000);
        c.was_pressed(ms(5), Done::No, false);
        assert!(c.is_due(ms(5)) && !c.is_pressed());
        c.was_let_go(ms(5), Done::Yes);
        assert_eq!(c.may_press(ms(6)), Ok(()));
    }

    #[test]
    fn a_press_that_may_have_happened_starts_the_gap() {
        let mut c = contact(100, 1000);
        c.was_pressed(ms(5), Done::Maybe, false);
        assert_eq!(c.may_press(ms(900)), Err(NotNow::JustPressed));
        assert!(c.is_due(ms(105)) && !c.is_pressed());
    }

    #[test]
    fn a_release_that_fails_is_tried_again_with_growing_pauses() {
        let mut c = contact(100, 200);
        c.was_pressed(ms(0), Done::Yes, false);
        let (mut at, mut pauses) = (ms(100), Vec::new());
        for _ in 0..8 {
            c.was_let_go(at, Done::No);
            assert!(c.is_stuck() && c.is_pressed());
            assert_eq!(c.may_press(ms(10_000)), Err(NotNow::NotLetGo));
            pauses.push((c.due().unwrap() - at).as_millis());
            at = c.due().unwrap();
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 50, 50, 50]);
        c.was_let_go(at, Done::Yes);
        assert!(!c.is_stuck() && !c.is_pressed());
    }

    #[test]
    fn a_held_contact_is_let_go_when_it_is_told_to() {
        let mut c = contact(100, 200);
        c.was_pressed(ms(0), Done::Yes, true);
        assert!(c.is_held() && !c.is_due(ms(3_600_000)) && c.due().is_none());
        c.let_go(ms(3_600_000));
        assert!(c.is_due(ms(3_600_000)));
    }

    proptest! {
        /// Whatever is asked when, and whatever the output makes of it.
        #[test]
        fn presses_keep_their_distance_and_their_number(
            pulse in 50u64..600,
            extra in 0u64..3000,
            most in 1usize..6,
            steps in proptest::collection::vec((0u64..2500, any::<bool>(), 0u8..6, 0u8..6), 1..120),
        ) {
            let timing = Timing { pulse: ms(pulse), min_gap: ms(pulse + extra), most, window: ms(10_000) };
            let mut c = Contact::new(timing);
            let (mut now, mut pressed) = (ms(0), Vec::new());
            for (wait, ask, press, release) in steps {
                now += ms(wait);
                if c.is_due(now) {
                    c.was_let_go(now, if release == 0 { Done::No } else { Done::Yes });
                }
                if ask && c.may_press(now).is_ok() {
                    let done = match press { 0 => Done::No, 1 => Done::Maybe, _ => Done::Yes };
                    c.was_pressed(now, done, false);
                    if done != Done::No {
                        pressed.push(now);
                    }
                    prop_assert!(c.due().is_some_and(|at| at <= now + timing.pulse));
                }
            }
            for pair in pressed.windows(2) {
                prop_assert!(pair[1] - pair[0] >= timing.min_gap);
            }
            for many in pressed.windows(most + 1) {
                prop_assert!(many[most] - many[0] >= timing.window);
            }
        }
    }
}
