//! An arm that exists in memory only: for the painted lane, and for tests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Arm, ArmError};

/// How long a real controller's arm stays up before the loop in the ground lets it down.
const STAYS_UP: Duration = Duration::from_secs(4);
/// Older edges are forgotten, so that a demo may run for months.
const REMEMBERED: usize = 1024;

/// What the simulated relay did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// "Open" was pressed.
    Pressed,
    /// It was let go.
    Released,
}

/// A simulated output. Its clones are one and the same arm: keep one to look at what the other was told.
#[derive(Clone, Debug)]
pub struct SimulatedArm {
    shared: Arc<Mutex<Shared>>,
    stays_up: Duration,
}

#[derive(Debug, Default)]
struct Shared {
    pressed: bool,
    presses: u64,
    last_press: Option<Instant>,
    history: Vec<(Instant, Edge)>,
    failing_presses: u32,
    failing_releases: u32,
}

impl SimulatedArm {
    /// An arm that is down, and stays up for four seconds after a press.
    pub fn new() -> SimulatedArm {
        SimulatedArm::staying_up(STAYS_UP)
    }

    /// An arm that stays up for `stays_up` after a press.
    pub fn staying_up(stays_up: Duration) -> SimulatedArm {
        SimulatedArm { shared: Arc::default(), stays_up }
    }

    /// Is the arm up? So a lane that is painted knows whether a car may pass.
    pub fn is_up(&self) -> bool {
        self.shared.lock().last_press.is_some_and(|at| at.elapsed() < self.stays_up)
    }

    /// Is "open" pressed at this moment?
    pub fn is_pressed(&self) -> bool {
        self.shared.lock().pressed
    }

    /// How often it was pressed.
    pub fn presses(&self) -> u64 {
        self.shared.lock().presses
    }

    /// What it did and when, oldest first; the newest 1024 edges.
    pub fn history(&self) -> Vec<(Instant, Edge)> {
        self.shared.lock().history.clone()
    }

    /// Lets the next `count` presses fail.
    pub fn fail_presses(&self, count: u32) {
        self.shared.lock().failing_presses = count;
    }

    /// Lets the next `count` releases fail.
    pub fn fail_releases(&self, count: u32) {
        self.shared.lock().failing_releases = count;
    }
}

impl Default for SimulatedArm {
    fn default() -> SimulatedArm {
        SimulatedArm::new()
    }
}

impl Shared {
    fn remember(&mut self, edge: Edge) {
        if self.history.len() == REMEMBERED {
            self.history.remove(0);
        }
        self.history.push((Instant::now(), edge));
    }
}

/// Counts one down; `Err` as long as there were some.
fn fail_while(count: &mut u32) -> Result<(), ArmError> {
    match count.checked_sub(1) {
        Some(rest) => {
            *count = rest;
            Err(ArmError::Output("the simulated arm was told to fail".into()))
        }
        None => Ok(()),
    }
}

impl Arm for SimulatedArm {
    fn press(&mut self) -> Result<(), ArmError> {
        let mut shared = self.shared.lock();
        fail_while(&mut shared.failing_presses)?;
        shared.pressed = true;
        shared.presses += 1;
        shared.last_press = Some(Instant::now());
        shared.remember(Edge::Pressed);
        Ok(())
    }

    fn release(&mut self) -> Result<(), ArmError> {
        let mut shared = self.shared.lock();
        fail_while(&mut shared.failing_releases)?;
        shared.pressed = false;
        shared.remember(Edge::Released);
        Ok(())
    }

    fn describe(&self) -> String {
        "simulated".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_up_for_a_while_after_a_press() {
        let arm = SimulatedArm::staying_up(Duration::from_millis(40));
        assert!(!arm.is_up());
        let mut same = arm.clone();
        same.press().unwrap();
        same.release().unwrap();
        assert!(arm.is_up() && !arm.is_pressed());
        std::thread::sleep(Duration::from_millis(50));
        assert!(!arm.is_up());
        assert_eq!(arm.history().iter().map(|(_, e)| *e).collect::<Vec<_>>(), [Edge::Pressed, Edge::Released]);
    }

    #[test]
    fn its_memory_is_bounded() {
        let mut arm = SimulatedArm::new();
        for _ in 0..2000 {
            arm.press().unwrap();
        }
        assert_eq!((arm.presses(), arm.history().len()), (2000, REMEMBERED));
    }
}
