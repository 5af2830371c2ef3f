//! The barrier as everybody sees it: a press in the caller's own thread, everything else in ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use parking_lot::{Condvar, Mutex};

use super::output::{BarrierState, Noted, Works};
use super::states::{Mode, Reason, Rules};
use super::wires::{Direction, Input, Level, Levels};
use super::{Arm, ArmError, Outputs, Pulse};
use crate::config;

/// How long a stop tries to let go of an output that refuses to, before the output is dropped.
const LAST_TRIES: Duration = Duration::from_millis(300);
/// The thread wakes at least so often, to show that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A thread that has not woken for so long hangs in an output.
const HANGS_AFTER: Duration = Duration::from_secs(5);
/// Notes that may wait for a listener; one that does not keep up misses some.
const WAITING_NOTES: usize = 256;
/// A program that starts has its listeners come one after another within this time; each is told what was noted before it came.
const STARTING: Duration = Duration::from_secs(60);

/// Those who are told, and what was noted while the program was starting.
#[derive(Default)]
struct Listeners {
    all: Vec<Sender<Noted>>,
    early: Vec<Noted>,
}

/// The barrier. Share it by `Arc`; the last owner's drop lets go of the button.
///
/// ```
/// use plategate::barrier::{Barrier, Pulse, Reason, SimulatedArm};
///
/// let arm = SimulatedArm::new();
/// let barrier = Barrier::start(Box::new(arm.clone()), &plategate::config::Barrier::default());
/// assert!(matches!(barrier.open(Reason::person("王伟", "the doctor's car")), Pulse::Pressed(_)));
/// assert!(matches!(barrier.pulse(), Pulse::JustPressed));
/// barrier.stop();
/// assert!(!arm.is_pressed());
/// ```
pub struct Barrier {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    /// `None` once the thread has ended: the outputs are dropped with it, and the kernel has its lines back.
    works: Mutex<Option<Works>>,
    /// Something was pressed or has changed, or it is time to stop.
    changed: Condvar,
    /// How it is doing, to be read without waiting.
    state: ArcSwap<BarrierState>,
    listeners: Mutex<Listeners>,
    begun: Instant,
    /// When the thread last woke, milliseconds after `begun`.
    beat: AtomicU64,
}

impl Barrier {
    /// Takes the "open" output, which must be released, and starts the thread that lets go of it. Nothing else is wired.
    pub fn start(arm: Box<dyn Arm>, settings: &config::Barrier) -> Barrier {
        Barrier::start_with(Outputs { open: arm, close: None }, Rules::from_config(settings), [])
    }

    /// The same with everything that is wired. The inputs count as unknown until [`Inputs::set`] tells their levels.
    pub fn start_with(outputs: Outputs, rules: Rules, wired: impl IntoIterator<Item = Input>) -> Barrier {
        let mut works = Works::new(outputs, rules, wired);
        let shared = Arc::new(Shared {
            state: ArcSwap::from_pointee(works.state()),
            works: Mutex::new(Some(works)),
            changed: Condvar::new(),
            listeners: Mutex::default(),
            begun: Instant::now(),
            beat: AtomicU64::new(0),
        });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("barrier".into()).spawn(move || theirs.work_until_stopped());
        if let Err(error) = &thread {
            // Without its thread nothing would ever be let go: refuse every press instead.
            tracing::error!("the barrier's thread could not be started: {error}");
            shared.change(|works| works.machine.stop(works.now()));
        }
        Barrier { shared, thread: Mutex::new(thread.ok()) }
    }

    /// Presses "open" at once, in the caller's thread, if it may be pressed; it is let go by itself after `pulse_ms`.
    ///
    /// Costs what the output costs (one ioctl for GPIO; for a relay board on a bus at most its timeout) and a lock that is
    /// only ever held for as long.
    pub fn open(&self, reason: Reason) -> Pulse {
        let mut why = Some(reason);
        let pulse = self.shared.change(|works| match why.take() {
            Some(reason) => {
                tracing::debug!(%reason, "asked to open");
                works.open(reason)
            }
            None => Pulse::JustPressed,
        });
        pulse.unwrap_or_else(|| Pulse::Failed(ArmError::Unavailable("the gate has been stopped".into())))
    }

    /// [`open`](Barrier::open) for a car that the policy lets in.
    pub fn pulse(&self) -> Pulse {
        self.open(Reason::car())
    }

    /// Sets what the gate is asked to be, by the schedule or by hand. `false` if it has been stopped.
    pub fn set_mode(&self, mode: Mode, reason: Reason) -> bool {
        self.shared.change(|works| works.set_mode(mode, reason)).is_some()
    }

    /// How it is doing; never waits.
    pub fn state(&self) -> BarrierState {
        BarrierState::clone(&self.shared.state.load())
    }

    /// A handle to the inputs: for those who read wires to tell their levels, and for the policy to look at them.
    pub fn inputs(&self) -> Inputs {
        Inputs { shared: self.shared.clone() }
    }

    /// Everything that is noted from now on, and what was noted in the barrier's first minute: a wire may be broken before
    /// anybody could listen.
    pub fn listen(&self) -> Receiver<Noted> {
        let (send, receive) = crossbeam_channel::bounded(WAITING_NOTES);
        let mut listeners = self.shared.listeners.lock();
        if self.shared.begun.elapsed() < STARTING {
            // There is room for all of them.
            listeners.early.iter().for_each(|noted| drop(send.try_send(noted.clone())));
        }
        listeners.all.push(send);
        receive
    }

    /// Is the thread that lets go of the button alive, and not hanging in an output?
    pub fn is_alive(&self) -> bool {
        let beat = Duration::from_millis(self.shared.beat.load(Ordering::Relaxed));
        self.shared.begun.elapsed().saturating_sub(beat) < HANGS_AFTER
    }

    /// Lets go of everything within milliseconds, takes no more requests and gives the outputs back. Doing so twice is no
    /// error.
    pub fn stop(&self) {
        self.shared.change(|works| works.machine.stop(works.now()));
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

/// The inputs of a barrier. Clones are handles to the same ones.
#[derive(Clone)]
pub struct Inputs {
    shared: Arc<Shared>,
}

/// What the loops say at this moment about the car before the arm; what the policy asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Approach {
    /// The loop before the arm.
    pub presence: Level,
    /// The loop or light barrier under the arm.
    pub passage: Level,
    /// The way of the car under the arm, or of the last one; none where the loops do not tell.
    pub direction: Option<Direction>,
}

impl Inputs {
    /// Tells the level of an input; one that was not said to be wired is passed over. The barrier acts on it at once, in its
    /// own thread.
    pub fn set(&self, input: Input, level: Level) {
        self.shared.change(|works| works.machine.set_level(works.now(), input, level));
    }

    /// All levels; never waits.
    pub fn levels(&self) -> Levels {
        self.shared.state.load().inputs
    }

    /// One level; never waits.
    pub fn level(&self, input: Input) -> Level {
        self.levels().get(input)
    }

    /// What the loops say; never waits.
    pub fn approach(&self) -> Approach {
        let state = self.shared.state.load();
        Approach {
            presence: state.inputs.get(Input::Presence),
            passage: state.inputs.get(Input::Passage),
            direction: state.direction,
        }
    }
}

impl Shared {
    /// Changes something, publishes the new state and wakes the thread. `None` if the barrier has been stopped.
    fn change<T>(&self, change: impl FnOnce(&mut Works) -> T) -> Option<T> {
        let mut guard = self.works.lock();
        let works = guard.as_mut()?;
        let result = change(works);
        self.publish(works);
        drop(guard);
        self.changed.notify_one();
        Some(result)
    }

    fn publish(&self, works: &mut Works) {
        self.state.store(Arc::new(works.state()));
        for noted in works.take_notes() {
            if noted.note.is_alert() {
                tracing::warn!(note = ?noted.note, "the barrier");
            } else {
                tracing::debug!(note = ?noted.note, "the barrier");
            }
            let mut listeners = self.listeners.lock();
            listeners
                .all
                .retain(|listener| !matches!(listener.try_send(noted.clone()), Err(TrySendError::Disconnected(_))));
            if self.begun.elapsed() >= STARTING {
                listeners.early = Vec::new();
            } else if listeners.early.len() < WAITING_NOTES {
                listeners.early.push(noted);
            }
        }
    }

    fn work_until_stopped(&self) {
        let mut guard = self.works.lock();
        let mut give_up = None;
        while let Some(works) = guard.as_mut() {
            self.beat.store(self.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
            works.work();
            self.publish(works);
            if works.machine.is_stopped() {
                let give_up = *give_up.get_or_insert_with(|| Instant::now() + LAST_TRIES);
                if works.machine.is_let_go() || Instant::now() >= give_up {
                    break;
                }
            }
            let latest = Instant::now() + HEARTBEAT;
            let due = works.machine.due(works.now()).map_or(latest, |at| works.moment(at).min(latest));
            self.changed.wait_until(&mut guard, due);
        }
        *guard = None;
    }
}

#[cfg(test)]
#[path = "pulser_tests.rs"]
mod tests;
