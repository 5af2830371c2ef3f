//! What may be pressed when: the button's state machine, without threads and told the time by a [`Clock`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Arm, ArmError, Pulse};
use crate::clock::Clock;
use crate::config;

/// How the barrier's output is doing, for the page and for metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BarrierState {
    /// What the "open" button hangs on, such as `gpio /dev/gpiochip0 line 17`.
    pub arm: String,
    /// "Open" is pressed at this moment.
    pub pressed: bool,
    /// It should have been let go and could not be: somebody has to look at the relay.
    pub stuck: bool,
    /// Presses since the start.
    pub presses: u64,
    /// When it was last pressed.
    pub last_press: Option<Timestamp>,
    /// Presses and releases that failed since the start.
    pub failures: u64,
    /// The newest of them.
    pub last_failure: Option<Failure>,
    /// It takes no more requests.
    pub stopped: bool,
}

/// A press or a release that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// What the output said.
    pub reason: String,
}

/// The first pause before a failed release is tried again.
const FIRST_RETRY: Duration = Duration::from_millis(2);
/// The longest one.
const LONGEST_RETRY: Duration = Duration::from_millis(50);

/// The button: the output and what was last done with it.
pub(super) struct Button {
    arm: Box<dyn Arm>,
    pulse: Duration,
    min_gap: Duration,
    pressed_at: Option<Instant>,
    /// When to let go, or to try again to.
    release_at: Option<Instant>,
    retry: Duration,
    state: BarrierState,
}

impl Button {
    /// A button that has not been pressed.
    pub fn new(arm: Box<dyn Arm>, settings: &config::Barrier) -> Button {
        let state = BarrierState { arm: arm.describe(), ..BarrierState::default() };
        Button {
            arm,
            pulse: Duration::from_millis(settings.pulse_ms),
            min_gap: Duration::from_millis(settings.min_gap_ms),
            pressed_at: None,
            release_at: None,
            retry: FIRST_RETRY,
            state,
        }
    }

    /// Presses, if it may. The gap is measured from press to press.
    pub fn press(&mut self, clock: &dyn Clock) -> Pulse {
        if self.state.stopped {
            return Pulse::Failed(ArmError::Unavailable("the gate is being stopped".into()));
        }
        let now = clock.now();
        if self.pressed_at.is_some_and(|at| now.saturating_duration_since(at) < self.min_gap) {
            return Pulse::JustPressed;
        }
        if self.release_at.is_some() {
            // A line that is still active has no edge to give: saying "pressed" would be a lie.
            let why = "the last press has not been let go yet: look at the relay and its wiring";
            return Pulse::Failed(ArmError::Output(why.into()));
        }
        // Noted first: whatever the output does now, a panic included, it is let go afterwards.
        self.release_at = Some(now);
        match guarded(|| self.arm.press()) {
            Ok(()) => {
                let at = clock.now();
                self.pressed_at = Some(at);
                self.release_at = Some(at + self.pulse);
                self.state.pressed = true;
                self.state.presses += 1;
                self.state.last_press = Some(Timestamp::now());
                Pulse::Pressed(at)
            }
            Err(error) => {
                // The line may have moved all the same, so it is let go at once. The gap is not started: the car still
                // waits, and the next frame may try again.
                self.note(&error);
                Pulse::Failed(error)
            }
        }
    }

    /// When [`let_go_if_due`](Button::let_go_if_due) wants to be called.
    pub fn due(&self) -> Option<Instant> {
        self.release_at
    }

    /// Lets go if it is time to; an error is reported once, and it is tried again and again.
    pub fn let_go_if_due(&mut self, clock: &dyn Clock) {
        let now = clock.now();
        if self.release_at.is_none_or(|at| now < at) {
            return;
        }
        match guarded(|| self.arm.release()) {
            Ok(()) => {
                if std::mem::take(&mut self.state.stuck) {
                    tracing::warn!("{}: let go at last", self.state.arm);
                }
                self.state.pressed = false;
                self.release_at = None;
                self.retry = FIRST_RETRY;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.state.stuck, true) {
                    tracing::error!("{}: \"open\" cannot be let go: {error}; trying on", self.state.arm);
                }
                self.note(&error);
                self.release_at = Some(now + self.retry);
                self.retry = (self.retry * 2).min(LONGEST_RETRY);
            }
        }
    }

    /// Takes no more requests, and lets go as soon as it is asked to.
    pub fn stop(&mut self, clock: &dyn Clock) {
        self.state.stopped = true;
        if self.release_at.is_some() {
            self.release_at = Some(clock.now());
        }
    }

    /// Has it been stopped?
    pub fn is_stopped(&self) -> bool {
        self.state.stopped
    }

    /// How it is doing.
    pub fn state(&self) -> &BarrierState {
        &self.state
    }

    fn note(&mut self, error: &ArmError) {
        self.state.failures += 1;
        self.state.last_failure = Some(Failure { at: Timestamp::now(), reason: error.to_string() });
    }
}

/// An output that panics has failed, no more: the button must still be let go.
fn guarded(act: impl FnOnce() -> Result<(), ArmError>) -> Result<(), ArmError> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| Err(ArmError::Output("the output panicked".into())))
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use proptest::prelude::*;

    use super::super::{Edge, SimulatedArm};
    use super::*;

    /// A clock that stands still until it is turned.
    struct Hands(Mutex<Instant>);

    impl Hands {
        fn new() -> Hands {
            Hands(Mutex::new(Instant::now()))
        }

        fn turn(&self, ms: u64) {
            *self.0.lock() += Duration::from_millis(ms);
        }
    }

    impl Clock for Hands {
        fn now(&self) -> Instant {
            *self.0.lock()
        }
    }

    fn settings(pulse_ms: u64, min_gap_ms: u64) -> config::Barrier {
        config::Barrier { pulse_ms, min_gap_ms, ..config::Barrier::default() }
    }

    fn button(pulse_ms: u64, min_gap_ms: u64) -> (Button, SimulatedArm, Hands) {
        let arm = SimulatedArm::new();
        (Button::new(Box::new(arm.clone()), &settings(pulse_ms, min_gap_ms)), arm, Hands::new())
    }

    #[test]
    fn a_pulse_lasts_as_long_as_it_was_set() {
        let (mut button, arm, clock) = button(500, 3000);
        assert!(matches!(button.press(&clock), Pulse::Pressed(at) if at == clock.now()));
        assert_eq!(button.due(), Some(clock.now() + Duration::from_millis(500)));
        clock.turn(499);
        button.let_go_if_due(&clock);
        assert!(arm.is_pressed() && button.state().pressed);
        clock.turn(1);
        button.let_go_if_due(&clock);
        assert!(!arm.is_pressed() && !button.state().pressed && button.due().is_none());
    }

    #[test]
    fn the_gap_is_kept_from_press_to_press() {
        let (mut button, arm, clock) = button(100, 1000);
        assert!(matches!(button.press(&clock), Pulse::Pressed(_)));
        clock.turn(999);
        button.let_go_if_due(&clock);
        assert!(matches!(button.press(&clock), Pulse::JustPressed));
        clock.turn(1);
        assert!(matches!(button.press(&clock), Pulse::Pressed(_)));
        assert_eq!(arm.presses(), 2);
    }

    #[test]
    fn a_failed_press_is_let_go_and_does_not_start_the_gap() {
        let (mut button, arm, clock) = button(100, 1000);
        arm.fail_presses(1);
        assert!(matches!(button.press(&clock), Pulse::Failed(ArmError::Output(_))));
        button.let_go_if_due(&clock);
        assert_eq!(arm.history().iter().map(|(_, e)| *e).collect::<Vec<_>>(), [Edge::Released]);
        assert!(matches!(button.press(&clock), Pulse::Pressed(_)));
        assert_eq!((button.state().presses, button.state().failures), (1, 1));
        assert!(button.state().last_failure.as_ref().is_some_and(|f| f.reason.contains("told to fail")));
    }

    #[test]
    fn a_release_that_fails_is_tried_again_and_shown() {
        let (mut button, arm, clock) = button(100, 200);
        button.press(&clock);
        arm.fail_releases(3);
        clock.turn(100);
        button.let_go_if_due(&clock);
        assert!(button.state().stuck && button.state().pressed && arm.is_pressed());
        // It is pressed still: another press would have no edge.
        clock.turn(100);
        assert!(matches!(button.press(&clock), Pulse::Failed(_)));
        for _ in 0..4 {
            clock.turn(50);
            button.let_go_if_due(&clock);
        }
        assert!(!button.state().stuck && !button.state().pressed && !arm.is_pressed());
        assert_eq!(button.state().failures, 3);
    }

    #[test]
    fn an_output_that_panics_is_let_go() {
        struct Panics(SimulatedArm);
        impl Arm for Panics {
            fn press(&mut self) -> Result<(), ArmError> {
                self.0.press().expect("simulated");
                panic!("on purpose");
            }
            fn release(&mut self) -> Result<(), ArmError> {
                self.0.release()
            }
            fn describe(&self) -> String {
                "panics".into()
            }
        }
        let (arm, clock) = (SimulatedArm::new(), Hands::new());
        let mut button = Button::new(Box::new(Panics(arm.clone())), &settings(100, 200));
        assert!(matches!(button.press(&clock), Pulse::Failed(_)));
        assert!(arm.is_pressed());
        button.let_go_if_due(&clock);
        assert!(!arm.is_pressed());
    }

    #[test]
    fn once_stopped_it_lets_go_and_takes_no_more() {
        let (mut button, arm, clock) = button(500, 1000);
        button.press(&clock);
        button.stop(&clock);
        button.let_go_if_due(&clock);
        assert!(!arm.is_pressed());
        clock.turn(5000);
        assert!(matches!(button.press(&clock), Pulse::Failed(ArmError::Unavailable(_))));
        assert_eq!(arm.presses(), 1);
    }

    proptest! {
        /// Whatever is asked when, and whatever the output refuses: no two presses within the gap, and let go in the end.
        #[test]
        fn presses_keep_their_distance_and_end(
            pulse in 50u64..600,
            extra in 0u64..3000,
            steps in proptest::collection::vec((0u64..1500, any::<bool>(), 0u32..20, 0u32..20), 1..60),
        ) {
            let (mut button, arm, clock) = button(pulse, pulse + extra);
            let mut pressed = Vec::new();
            for (wait, ask, press_fault, release_fault) in steps {
                clock.turn(wait);
                button.let_go_if_due(&clock);
                arm.fail_presses(u32::from(press_fault == 0));
                arm.fail_releases(u32::from(release_fault == 0));
                if ask && let Pulse::Pressed(at) = button.press(&clock) {
                    pressed.push(at);
                }
                prop_assert_eq!(button.state().pressed, arm.is_pressed());
            }
            for pair in pressed.windows(2) {
                prop_assert!(pair[1] - pair[0] >= Duration::from_millis(pulse + extra));
            }
            prop_assert_eq!(pressed.len() as u64, arm.presses());
            button.stop(&clock);
            for _ in 0..3 {
                button.let_go_if_due(&clock);
                clock.turn(50);
            }
            prop_assert!(!arm.is_pressed());
            prop_assert_eq!(button.due(), None);
        }
    }
}
