//! The thread of `plategate run` that writes down what happened, tells the sign, and shows that the store is alive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::barrier::{By, Input, Inputs, Note, Noted};
use crate::display::{Display, Greeting};
use crate::gate::event::{Arrival, Event, Outcome, Rule};
use crate::register::Register;
use crate::store::events::Events;
use crate::store::notes::Notes;
use crate::telemetry::Telemetry;
use crate::watchdog::Heart;
use crate::web::words;

/// How long it waits for an arrival before it looks at the barrier's notes and beats.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What the recorder is given.
pub struct Recorder {
    /// From the lane.
    pub arrivals: Receiver<Arrival>,
    /// From the barrier.
    pub noted: Receiver<Noted>,
    /// The journal.
    pub events: Arc<Events>,
    /// Visitors' entries are counted there.
    pub register: Arc<Register>,
    /// The barrier's notes.
    pub notes: Arc<Notes>,
    /// The loop before the arm: a driver who has just come is asked to wait.
    pub inputs: Inputs,
    /// The sign, where there is one.
    pub display: Option<Display>,
    /// Beats while the store answers.
    pub heart: Heart,
    /// Told how long records take.
    pub telemetry: Arc<Telemetry>,
    /// Print arrivals to standard output instead of logging them.
    pub print: bool,
    /// Keep what was recorded, for the end.
    pub keep: bool,
}

impl Recorder {
    /// Writes until the lane has gone; gives what was kept.
    pub fn run(self) -> Vec<Event> {
        let (mut kept, mut somebody) = (Vec::new(), false);
        loop {
            self.heart.beat();
            let now = self.inputs.level(Input::Presence).is_active();
            if let (true, false, Some(display)) = (now, somebody, &self.display) {
                display.greet(Greeting::Wait);
            }
            somebody = now;
            match self.arrivals.recv_timeout(LOOK_EVERY) {
                Ok(arrival) => kept.extend(self.record(arrival).filter(|_| self.keep)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.note();
                    return kept;
                }
            }
            self.note();
        }
    }

    fn record(&self, arrival: Arrival) -> Option<Event> {
        let span = span(&arrival.event);
        let _arrival = span.enter();
        // The driver first: the disk may take a moment.
        if let (Some(display), Some(greeting)) = (&self.display, greeting(&arrival.event)) {
            tracing::info_span!("greet").in_scope(|| display.greet(greeting));
        }
        let begun = Instant::now();
        let event = match self.events.append(arrival) {
            Ok(event) => {
                span.record("id", event.id);
                self.telemetry.recorded(begun.elapsed());
                event
            }
            Err(error) => {
                self.telemetry.event_lost();
                tracing::error!(%error, "an arrival could not be put on record");
                return None;
            }
        };
        if event.pass.is_some()
            && let Err(error) = self.register.keep_counts()
        {
            tracing::error!(%error, "a visitor's entry could not be counted on the disk");
        }
        if self.print {
            println!("{}", words::line(&event));
        } else {
            tracing::info!(id = event.id, outcome = ?event.outcome, rule = ?event.rule, "arrival");
        }
        Some(event)
    }

    /// Writes the barrier's notes down; a press for a car is on record with its arrival.
    fn note(&self) {
        for noted in self.noted.try_iter() {
            let by_car = noted.reason.as_ref().is_some_and(|reason| matches!(reason.by, By::Car | By::Service));
            if by_car && matches!(noted.note, Note::Pressed | Note::PressFailed) {
                continue;
            }
            if let Err(error) = self.notes.append(noted) {
                tracing::error!(%error, "a note of the barrier could not be put on record");
            }
        }
    }
}

/// The root of an arrival's spans. The corridor makes none itself, because it waits for nothing: how long its stages took, from
/// the deciding frame's capture, are fields of it.
fn span(event: &Event) -> tracing::Span {
    let times = &event.times;
    tracing::info_span!(
        "arrival",
        id = tracing::field::Empty,
        outcome = ?event.outcome,
        rule = ?event.rule,
        frames = event.frames,
        taken_ms = times.taken_ms,
        read_ms = times.read_ms,
        decided_ms = times.decided_ms,
        relay_ms = times.relay_ms,
        since_first_ms = times.since_first_ms,
    )
}

/// What the driver is told; nothing where nobody waits for an answer. What is between a household and the stewards is nobody
/// else's business.
fn greeting(event: &Event) -> Option<Greeting> {
    match (event.outcome, event.rule) {
        (Outcome::Seen, _) => None,
        (Outcome::Opened, _) => Some(Greeting::Welcome),
        (Outcome::Failed, _) | (_, Rule::Stale) => Some(Greeting::Wait),
        (Outcome::Refused, Rule::Closed) => Some(Greeting::Closed),
        (Outcome::Refused, Rule::Unpaid | Rule::Blocked | Rule::PassEarly | Rule::PassOver | Rule::PassUsed) => {
            Some(Greeting::AskSteward)
        }
        (Outcome::Refused, _) => Some(Greeting::Unregistered),
    }
}
