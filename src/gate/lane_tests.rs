//! The lane driven by scripted readings: what opens, what does not, and what is put on record.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::event::{Arrival, Outcome, PulseReport, Rule};
use super::lane::{Button, Frames, Lane, Parts, Sight};
use crate::barrier::{ArmError, Pulse};
use crate::camera::Frame;
use crate::config;
use crate::picture::Picture;
use crate::register::{Dues, Snapshot, Vehicle};
use crate::vision::Reading;
use crate::vision::track::tests::reading;

/// Hands out empty frames, `ages` old, one a step.
struct Script(VecDeque<Duration>, u64);

impl Frames for Script {
    fn next(&mut self, frame: &mut Option<Frame>, _: Duration) -> bool {
        let Some(age) = self.0.pop_front() else { return false };
        self.1 += 1;
        let captured = Instant::now() - age;
        let picture = Picture::filled(64, 48, [90, 90, 90]);
        *frame = Some(Frame { picture, captured, taken_at: Timestamp::now(), sequence: self.1 });
        true
    }

    fn ended(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads the scripted plates, one list a frame.
struct Seen(VecDeque<Vec<Reading>>, Vec<Reading>);

impl Sight for Seen {
    fn read(&mut self, _: &Picture) -> anyhow::Result<&[Reading]> {
        self.1 = self.0.pop_front().ok_or_else(|| anyhow::anyhow!("the script is at its end"))?;
        Ok(&self.1)
    }
}

#[derive(Clone, Default)]
struct Presses(Arc<Mutex<u32>>, bool);

impl Button for Presses {
    fn press(&self) -> Pulse {
        if self.1 {
            return Pulse::Failed(ArmError::Output("the line is gone".into()));
        }
        *self.0.lock() += 1;
        Pulse::Pressed(Instant::now())
    }
}

struct Stand {
    lane: Lane,
    presses: Presses,
    arrivals: Receiver<Arrival>,
    steps: usize,
}

fn vehicle(plate: &str, dues: Dues) -> Vehicle {
    Vehicle::new(plate.parse().unwrap(), "2-301").with(dues)
}

fn stand(frames: Vec<Vec<Reading>>, age: Duration, broken: bool, room: usize) -> Stand {
    let register =
        Arc::new(Snapshot::new(vec![vehicle("苏F12345", Dues::settled()), vehicle("苏F8K291", Dues::default())]));
    let presses = Presses(Arc::default(), broken);
    let (send, arrivals) = bounded(room);
    let steps = frames.len();
    let lane = Lane::new(Parts {
        frames: Box::new(Script(vec![age; steps].into(), 0)),
        sight: Box::new(Seen(frames.into(), Vec::new())),
        register: Box::new(move || register.clone()),
        button: Box::new(presses.clone()),
        arrivals: send,
        viewfinder: Arc::default(),
        telemetry: Arc::default(),
        // Standing cars are put on record at once, so that a test need not wait.
        rules: config::Gate { refuse_after_ms: 0, ..Default::default() },
    });
    Stand { lane, presses, arrivals, steps }
}

impl Stand {
    fn run(mut self) -> (u32, Vec<Arrival>) {
        for _ in 0..self.steps {
            self.lane.step(Duration::ZERO);
        }
        let pressed = *self.presses.0.lock();
        (pressed, self.arrivals.try_iter().collect())
    }
}

fn fresh(frames: Vec<Vec<Reading>>) -> (u32, Vec<Arrival>) {
    stand(frames, Duration::ZERO, false, 16).run()
}

fn car(text: &str, frames: usize) -> Vec<Vec<Reading>> {
    vec![vec![reading(text, 100.0, 140.0, 0.99)]; frames]
}

#[test]
fn a_paid_car_is_let_in_once_however_long_it_stands() {
    let (pressed, arrivals) = fresh(car("苏F12345", 40));
    assert_eq!(pressed, 1);
    assert_eq!(arrivals.len(), 1);
    let event = &arrivals[0].event;
    assert_eq!((event.outcome, event.rule, event.frames), (Outcome::Opened, Rule::Paid, 2));
    assert_eq!(event.vehicle.as_ref().unwrap().household, "2-301");
    assert!(matches!(event.pulse, Some(PulseReport::Pressed { after_ms }) if after_ms < 500.0));
    assert_eq!(event.slots.len(), 8);
}

#[test]
fn unpaid_strangers_and_near_misses_stay_out_with_their_reason() {
    for (text, rule) in [
        ("苏F8K291", Rule::Unpaid),
        ("皖A9Z88M", Rule::Stranger),
        ("苏F12346", Rule::NearMiss),
        ("苏E12345", Rule::NearMiss),
    ] {
        let (pressed, arrivals) = fresh(car(text, 12));
        assert_eq!(pressed, 0, "{text}");
        let last = &arrivals.last().unwrap().event;
        assert_eq!((last.outcome, last.rule), (Outcome::Refused, rule), "{text}");
        assert_eq!(arrivals.len(), 1, "{text}: {arrivals:?}");
    }
}

#[test]
fn a_parked_car_whose_track_breaks_is_still_one_arrival() {
    for (text, pressed) in [("苏F12345", 1), ("苏F8K291", 0), ("皖A9Z88M", 0)] {
        let mut stand = stand(car(text, 12), Duration::ZERO, false, 16);
        for _ in 0..3 {
            for _ in 0..4 {
                stand.lane.step(Duration::ZERO);
            }
            // Longer than a track lives without being seen.
            std::thread::sleep(Duration::from_millis(1000));
        }
        stand.steps = 0;
        let (presses, arrivals) = stand.run();
        assert_eq!((presses, arrivals.len()), (pressed, 1), "{text}: {arrivals:?}");
    }
}

#[test]
fn old_frames_never_open() {
    let (pressed, arrivals) = stand(car("苏F12345", 10), Duration::from_secs(2), false, 16).run();
    assert_eq!(pressed, 0);
    assert!(arrivals.iter().all(|a| a.event.outcome == Outcome::Refused));
}

#[test]
fn a_broken_output_is_on_record_as_failed() {
    let (_, arrivals) = stand(car("苏F12345", 10), Duration::ZERO, true, 16).run();
    let failed: Vec<_> = arrivals.iter().filter(|a| a.event.outcome == Outcome::Failed).collect();
    assert_eq!(failed.len(), 1);
    assert!(matches!(&failed[0].event.pulse, Some(PulseReport::Failed { reason }) if reason.contains("gone")));
}

#[test]
fn a_recorder_that_does_not_keep_up_never_stops_the_lane() {
    let mut frames = car("苏F12345", 5);
    frames.extend(car("皖A9Z88M", 5));
    frames.extend(car("沪C77Q10", 5));
    let (pressed, arrivals) = stand(frames, Duration::ZERO, false, 1).run();
    assert_eq!((pressed, arrivals.len()), (1, 1));
}

#[test]
fn two_cars_in_one_frame_are_two_arrivals() {
    let both = vec![reading("苏F12345", 100.0, 140.0, 0.99), reading("皖A9Z88M", 600.0, 140.0, 0.99)];
    let (pressed, arrivals) = fresh(vec![both; 10]);
    assert_eq!(pressed, 1);
    assert!(arrivals.iter().any(|a| a.event.rule == Rule::Stranger));
}

#[test]
fn a_frame_that_cannot_be_read_is_passed_over() {
    let mut stand = stand(car("苏F12345", 3), Duration::ZERO, false, 16);
    stand.lane.step(Duration::ZERO);
    // The script of readings ends before that of frames.
    stand.steps = 5;
    assert_eq!(stand.run().0, 1);
}
