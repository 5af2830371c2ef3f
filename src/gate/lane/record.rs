//! What comes of a decision: the press, the count of who is inside, and the record.

use std::time::Duration;

use jiff::Zoned;

use super::Lane;
use crate::barrier::Pulse;
use crate::camera::Frame;
use crate::config::Direction;
use crate::gate::event::{Arrival, Event, Heading, Outcome, PulseReport, Rule};
use crate::gate::policy;
use crate::picture::Picture;
use crate::plate::Plate;
use crate::vision::track::Track;

impl Lane {
    /// Presses "open" for a car, unless its frame is too old. `plate` is the registered one it was taken for.
    pub(super) fn open(&mut self, car: usize, mut event: Event, plate: Option<Plate>, now: &Zoned, frame: &Frame) {
        if self.parts.clock.since(frame.captured) > Duration::from_millis(self.parts.rules.max_frame_age_ms) {
            self.parts.telemetry.stale();
            (event.outcome, event.rule) = (Outcome::Refused, Rule::Stale);
            self.keep_best(car, event, &frame.picture);
            return;
        }
        // A parked car whose track breaks must not hold the gate open all night.
        if event.plate.is_some_and(|plate| self.is_repeat(plate, Outcome::Opened)) {
            (self.cars[car].recorded, self.cars[car].plate) = (Some(Outcome::Opened), event.plate);
            return;
        }
        event.outcome = Outcome::Opened;
        match self.parts.button.press(event.rule == Rule::Service) {
            Pulse::Pressed(at) => {
                let after = at.saturating_duration_since(frame.captured);
                self.parts.telemetry.pulse(after);
                let after_ms = after.as_secs_f64() * 1e3;
                (event.pulse, event.times.relay_ms) = (Some(PulseReport::Pressed { after_ms }), Some(after_ms));
                self.count_entry(&mut event, plate, now);
            }
            Pulse::JustPressed => {
                // For the car in front. This one gets its own pulse once the gap is over; if it slips through before, its
                // best look is put on record when it has gone.
                event.pulse = Some(PulseReport::JustPressed);
                self.keep_best(car, event, &frame.picture);
                return;
            }
            Pulse::Failed(error) => {
                tracing::error!(%error, "the barrier could not be opened");
                (event.outcome, event.pulse) =
                    (Outcome::Failed, Some(PulseReport::Failed { reason: error.to_string() }));
            }
        }
        if self.cars[car].recorded != Some(event.outcome) {
            self.record(car, event, frame.picture.clone());
        }
    }

    /// It has been let in: a visitor has one entry less, and who is inside is inside.
    fn count_entry(&self, event: &mut Event, plate: Option<Plate>, now: &Zoned) {
        let Some(plate) = plate.filter(|_| event.rule != Rule::Service) else { return };
        if event.rule == Rule::Pass
            && let Some(pass) = policy::good_pass(&self.snapshot, plate, now)
        {
            // Another lane may have taken the last one in this very moment: one car more, once.
            pass.take();
            event.pass = Some(pass.id());
        }
        match self.parts.rules.direction {
            Direction::In if event.vehicle.is_some() => event.already_inside = self.parts.inside.comes_in(plate),
            Direction::Out if event.vehicle.is_some() => self.parts.inside.leaves(plate),
            _ => {}
        }
    }

    /// Hands an arrival on to be written down; never waits.
    pub(super) fn record(&mut self, car: usize, event: Event, picture: Picture) {
        (self.cars[car].recorded, self.cars[car].plate) = (Some(event.outcome), event.plate);
        self.cars[car].best = None;
        if let Some(plate) = event.plate {
            let repeat = event.outcome == Outcome::Refused && self.is_repeat(plate, Outcome::Refused);
            self.recent.remember(plate, event.outcome, self.parts.clock.now());
            if repeat {
                return;
            }
        }
        self.parts.telemetry.decided(event.outcome, event.rule);
        if self.parts.arrivals.try_send(Arrival { event, picture }).is_err() {
            self.parts.telemetry.event_lost();
            tracing::error!("an arrival could not be put on record: the recorder does not keep up");
        }
    }

    fn is_repeat(&mut self, plate: Plate, outcome: Outcome) -> bool {
        let keep = Duration::from_secs(self.parts.rules.repeat_after_s);
        self.recent.is_repeat(plate, outcome, self.parts.clock.now(), keep)
    }

    /// Puts cars on record that left undecided.
    pub(super) fn finish_gone(&mut self) {
        for track in std::mem::take(&mut self.gone) {
            let Some(i) = self.cars.iter().position(|c| c.track == track.id) else { continue };
            // A thing that was a plate in one frame only is no arrival.
            if self.cars[i].recorded.is_none()
                && track.frames >= self.parts.rules.frames_to_open.max(2)
                && let Some((event, picture)) = self.cars[i].best.take()
            {
                let event = self.farewell(event, &track);
                if event.rule != Rule::Unreadable {
                    self.record(i, event, picture);
                }
            }
            self.cars.swap_remove(i);
        }
    }

    /// The record of a car that has gone undecided: one that was only ever seen driving away has left.
    fn farewell(&self, event: Event, track: &Track) -> Event {
        let left = track.motion.heading() == Heading::Going && !track.motion.came && event.outcome == Outcome::Refused;
        if !left {
            return event;
        }
        if let (Some(vehicle), Direction::In) = (&event.vehicle, self.parts.rules.direction) {
            self.parts.inside.leaves(vehicle.plate);
        }
        Event { outcome: Outcome::Seen, rule: Rule::Leaving, heading: Heading::Going, ..event }
    }
}
