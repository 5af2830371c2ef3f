//! The barrier as the lane sees it: a press in the caller's own thread, a release in ours.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::button::{BarrierState, Button};
use super::{Arm, ArmError, Pulse};
use crate::clock::SystemClock;
use crate::config;

/// How long a stop tries to let go of an output that refuses to, before the output is dropped.
const LAST_TRIES: Duration = Duration::from_millis(300);

/// The barrier. Share it by `Arc`; the last owner's drop lets go of the button.
///
/// ```
/// use plategate::barrier::{Barrier, Pulse, SimulatedArm};
///
/// let arm = SimulatedArm::new();
/// let barrier = Barrier::start(Box::new(arm.clone()), &plategate::config::Barrier::default());
/// assert!(matches!(barrier.pulse(), Pulse::Pressed(_)));
/// assert!(matches!(barrier.pulse(), Pulse::JustPressed));
/// barrier.stop();
/// assert!(!arm.is_pressed());
/// ```
pub struct Barrier {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    /// `None` once the thread has ended: the output is dropped with it, and the kernel has its line back.
    button: Mutex<Option<Button>>,
    /// Somebody pressed, or it is time to stop.
    changed: Condvar,
    /// How it was doing when the output was dropped.
    last: Mutex<BarrierState>,
}

impl Barrier {
    /// Takes the output, which must be released, and starts the thread that lets go of it.
    pub fn start(arm: Box<dyn Arm>, settings: &config::Barrier) -> Barrier {
        let shared = Arc::new(Shared {
            button: Mutex::new(Some(Button::new(arm, settings))),
            changed: Condvar::new(),
            last: Mutex::default(),
        });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("barrier".into()).spawn(move || theirs.let_go_until_stopped());
        if let Err(error) = &thread {
            // Without its thread nothing would ever be let go: refuse every press instead.
            tracing::error!("the barrier's thread could not be started: {error}");
            if let Some(button) = shared.button.lock().as_mut() {
                button.stop(&SystemClock);
            }
        }
        Barrier { shared, thread: Mutex::new(thread.ok()) }
    }

    /// Presses "open" at once, in the caller's thread; it is let go by itself after `pulse_ms`.
    ///
    /// Costs what the output costs (one ioctl for GPIO) and a lock that is only ever held for as long.
    pub fn pulse(&self) -> Pulse {
        let mut guard = self.shared.button.lock();
        let Some(button) = guard.as_mut() else {
            return Pulse::Failed(ArmError::Unavailable("the gate has been stopped".into()));
        };
        let pulse = button.press(&SystemClock);
        drop(guard);
        self.shared.changed.notify_one();
        pulse
    }

    /// How the output is doing.
    pub fn state(&self) -> BarrierState {
        match self.shared.button.lock().as_ref() {
            Some(button) => button.state().clone(),
            None => self.shared.last.lock().clone(),
        }
    }

    /// Lets go of the button within milliseconds, takes no more requests and gives the output back. Doing so twice is no
    /// error.
    pub fn stop(&self) {
        if let Some(button) = self.shared.button.lock().as_mut() {
            button.stop(&SystemClock);
        }
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the barrier's thread panicked");
        }
    }
}

impl Drop for Barrier {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn let_go_until_stopped(&self) {
        let mut guard = self.button.lock();
        let mut give_up = None;
        while let Some(button) = guard.as_mut() {
            button.let_go_if_due(&SystemClock);
            let due = button.due();
            if button.is_stopped() {
                let give_up = *give_up.get_or_insert_with(|| Instant::now() + LAST_TRIES);
                if due.is_none() || Instant::now() >= give_up {
                    break;
                }
            }
            match due {
                Some(due) => {
                    self.changed.wait_until(&mut guard, due);
                }
                None => self.changed.wait(&mut guard),
            }
        }
        if let Some(button) = guard.take() {
            *self.last.lock() = button.state().clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Edge, SimulatedArm};
    use super::*;

    fn settings(pulse_ms: u64, min_gap_ms: u64) -> config::Barrier {
        config::Barrier { pulse_ms, min_gap_ms, ..config::Barrier::default() }
    }

    fn edges(arm: &SimulatedArm) -> Vec<Edge> {
        arm.history().iter().map(|(_, edge)| *edge).collect()
    }

    #[test]
    fn a_press_is_let_go_after_its_time() {
        let arm = SimulatedArm::new();
        let barrier = Barrier::start(Box::new(arm.clone()), &settings(80, 200));
        let before = Instant::now();
        let Pulse::Pressed(at) = barrier.pulse() else { panic!("not pressed") };
        assert!(at >= before && at.elapsed() < Duration::from_millis(50));
        assert!(barrier.state().pressed && arm.is_pressed());
        std::thread::sleep(Duration::from_millis(300));
        assert!(!barrier.state().pressed);
        let history = arm.history();
        assert_eq!(edges(&arm), [Edge::Pressed, Edge::Released]);
        let held = history[1].0 - history[0].0;
        assert!(held >= Duration::from_millis(79) && held < Duration::from_millis(250), "{held:?}");
    }

    #[test]
    fn stopping_lets_go_at_once_and_ends_the_thread() {
        let arm = SimulatedArm::new();
        let barrier = Barrier::start(Box::new(arm.clone()), &settings(10_000, 10_000));
        barrier.pulse();
        let begun = Instant::now();
        barrier.stop();
        assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
        assert_eq!(edges(&arm), [Edge::Pressed, Edge::Released]);
        assert!(matches!(barrier.pulse(), Pulse::Failed(ArmError::Unavailable(_))));
        let state = barrier.state();
        assert!(state.stopped && !state.pressed && state.presses == 1);
        barrier.stop();
    }

    #[test]
    fn dropping_lets_go_also_when_a_panic_unwinds() {
        let arm = SimulatedArm::new();
        let theirs = arm.clone();
        let thread = std::thread::spawn(move || {
            let barrier = Barrier::start(Box::new(theirs), &settings(10_000, 10_000));
            barrier.pulse();
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        assert_eq!(edges(&arm), [Edge::Pressed, Edge::Released]);
    }

    #[test]
    fn an_output_that_never_lets_go_does_not_hold_up_the_stop() {
        let arm = SimulatedArm::new();
        arm.fail_releases(u32::MAX);
        let barrier = Barrier::start(Box::new(arm.clone()), &settings(50, 50));
        barrier.pulse();
        std::thread::sleep(Duration::from_millis(100));
        assert!(barrier.state().stuck);
        let begun = Instant::now();
        barrier.stop();
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert!(barrier.state().stuck && barrier.state().last_failure.is_some());
    }

    #[test]
    fn many_at_once_press_once() {
        let arm = SimulatedArm::new();
        let barrier = Barrier::start(Box::new(arm.clone()), &settings(50, 5000));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| barrier.pulse());
            }
        });
        assert_eq!(arm.presses(), 1);
    }
}
