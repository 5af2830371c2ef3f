//! One approach on the lane: its frames, painted when first asked for, and what is read off them, read once. The lane is
//! the one that `run` runs; only camera, clock and button are played.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use parking_lot::Mutex;

use super::record::Around;
use crate::barrier::Pulse;
use crate::camera::Frame;
use crate::clock::{Clock, Hands};
use crate::config;
use crate::gate::event::{Event, Liveness, Outcome, Rule};
use crate::gate::lane::{Button, Frames, Lane, Parts, Sight};
use crate::picture::Picture;
use crate::plate::Plate;
use crate::register::Snapshot;
use crate::vision::empty_lane::EmptyLane;
use crate::vision::surroundings::Surroundings;
use crate::vision::{Reading, Vision};

/// The time from frame to frame.
pub const TICK: Duration = Duration::from_millis(80);
/// Before the approach so many frames show the empty lane, one every half second: the networks are not asked about them.
const EMPTY: usize = 10;
const EMPTY_TICK: Duration = Duration::from_millis(500);

/// What is to be seen in the frames of an approach.
pub type Painter = Box<dyn FnMut(usize, &mut Picture) + Send>;

/// The frames of one approach and what was read off them.
pub struct Stage {
    painter: Painter,
    /// Paints the lane before the approach; none if it was not seen then.
    lane: Option<Painter>,
    /// What it painted.
    empty: Vec<Picture>,
    vision: Option<Arc<Mutex<Vision>>>,
    pictures: Vec<Option<Picture>>,
    readings: Vec<Option<Vec<Reading>>>,
    /// The frame of the approach that the lane has in hand; none while it sees the empty lane.
    current: Option<usize>,
}

/// Under what rules a lane is run.
#[derive(Clone)]
pub struct Terms {
    /// The gate's rules.
    pub rules: config::Gate,
    /// The check for photographs.
    pub photo_check: config::PhotoCheck,
    /// Who is registered.
    pub register: Arc<Snapshot>,
}

/// What happened.
#[derive(Clone, Debug)]
pub struct Played {
    /// Was "open" asked for, at or after the frame from which it counts?
    pub opened: bool,
    /// In which frame of the approach, if it was.
    pub at: Option<usize>,
    /// Frames fused when it was.
    pub frames: u32,
    /// From the first frame in which the plate was read to the pulse, milliseconds of the scripted clock.
    pub ms: f64,
    /// The rule that was recorded last.
    pub rule: Option<Rule>,
    /// The well-formed plate that was recorded as read.
    pub read: Option<Plate>,
    /// What the check for photographs found then.
    pub liveness: Option<Liveness>,
}

impl Stage {
    /// An approach of so many frames, before which the lane was seen as `lane` paints it, if it was.
    pub fn new(
        frames: usize,
        painter: Painter,
        lane: Option<Painter>,
        vision: Arc<Mutex<Vision>>,
    ) -> Arc<Mutex<Stage>> {
        let (pictures, readings) = (vec![None; frames], vec![None; frames]);
        let (vision, empty) = (Some(vision), Vec::new());
        Arc::new(Mutex::new(Stage { painter, lane, empty, vision, pictures, readings, current: None }))
    }

    /// An approach that was read before: nothing is to be seen, only what was read.
    pub fn read_before(readings: Vec<Vec<Reading>>) -> Arc<Mutex<Stage>> {
        let blank = Box::new(|_: usize, into: &mut Picture| *into = Picture::filled(16, 9, [90; 3]));
        let (pictures, readings) = (vec![None; readings.len()], readings.into_iter().map(Some).collect());
        let (lane, empty) = (None, Vec::new());
        Arc::new(Mutex::new(Stage { painter: blank, lane, empty, vision: None, pictures, readings, current: None }))
    }

    /// How many frames the approach has.
    pub fn frames(&self) -> usize {
        self.readings.len()
    }

    /// What was read off each frame, as far as they were looked at.
    pub fn readings(&self) -> impl Iterator<Item = &Vec<Reading>> {
        self.readings.iter().map_while(Option::as_ref)
    }

    /// Reads the frames that nobody has looked at yet, too. Gives what was seen around the best plate, after each frame.
    pub fn read_all(&mut self) -> anyhow::Result<Vec<Around>> {
        let (mut picture, mut around) = (Picture::default(), Surroundings::default());
        let (mut lane, start) = (EmptyLane::default(), Instant::now());
        for n in 0..self.empty_frames() {
            lane.look(self.empty_frame(n), start + n as u32 * EMPTY_TICK);
        }
        let mut seen = Vec::with_capacity(self.readings.len());
        for at in 0..self.readings.len() {
            (self.painter)(at, &mut picture);
            if self.readings[at].is_none() {
                let read = self.look(&picture)?;
                self.readings[at] = Some(read);
            }
            if let Some(best) = self.readings[at].as_ref().and_then(|readings| readings.first()) {
                around.look(&picture, &best.quad, &lane);
            }
            seen.push(Around { scores: around.scores(), covers: around.covers() });
        }
        Ok(seen)
    }

    fn empty_frames(&self) -> usize {
        if self.lane.is_some() { EMPTY } else { 0 }
    }

    /// One of the frames before the approach.
    fn empty_frame(&mut self, n: usize) -> &Picture {
        while self.empty.len() <= n {
            let mut picture = Picture::default();
            if let Some(lane) = &mut self.lane {
                lane(self.empty.len(), &mut picture);
            }
            self.empty.push(picture);
        }
        &self.empty[n]
    }

    fn look(&self, picture: &Picture) -> anyhow::Result<Vec<Reading>> {
        let Some(vision) = &self.vision else { return Ok(Vec::new()) };
        Ok(vision.lock().read(picture)?.to_vec())
    }
}

/// Runs the lane over the approach until it opens, at the frame `from` or later, or the approach is over.
pub fn play(stage: &Arc<Mutex<Stage>>, terms: &Terms, from: usize) -> Played {
    let wall = "2026-11-25T04:00:00Z".parse().expect("a time");
    let clock = Hands::at(wall, TimeZone::UTC);
    let asked = Arc::<Mutex<Vec<(usize, Instant)>>>::default();
    stage.lock().current = None;
    let camera = Camera { stage: stage.clone(), clock: clock.clone(), next: 0 };
    let memory = Memory { stage: stage.clone(), readings: Vec::new() };
    let button = Asked { stage: stage.clone(), clock: clock.clone(), at: asked.clone() };
    let (parts, records) = Parts::new(camera, memory, terms.register.clone(), button, 32);
    let mut lane = Lane::new(Parts {
        clock: Box::new(clock),
        rules: terms.rules.clone(),
        photo_check: terms.photo_check.clone(),
        ..parts
    });
    while lane.step(Duration::ZERO) {
        if asked.lock().iter().any(|(frame, _)| *frame >= from) {
            break;
        }
    }
    lane.finish();
    drop(lane);
    let events: Vec<Event> = records.try_iter().map(|arrival| arrival.event).collect();
    let at = asked.lock().iter().map(|(frame, _)| *frame).find(|frame| *frame >= from);
    let event = events.iter().rev().find(|e| e.outcome == Outcome::Opened);
    Played {
        opened: at.is_some(),
        at,
        frames: event.map_or(0, |e| e.frames),
        ms: event.map_or(0.0, |e| e.times.since_first_ms),
        rule: events.last().map(|e| e.rule),
        read: event.or(events.last()).and_then(|e| e.plate),
        liveness: events.last().map(|e| e.liveness),
    }
}

/// The camera: one frame after the other, at the clock's pace.
struct Camera {
    stage: Arc<Mutex<Stage>>,
    clock: Hands,
    next: usize,
}

impl Frames for Camera {
    fn next(&mut self, frame: &mut Option<Frame>, _: Duration) -> bool {
        let shared = self.stage.clone();
        let mut stage = shared.lock();
        let before = stage.empty_frames();
        // The picture goes back to where it came from, for the next run over this approach.
        if let (Some(old), Some(current)) = (frame.take(), stage.current.take()) {
            stage.pictures[current] = Some(old.picture);
        }
        let Some(at) = self.next.checked_sub(before) else {
            let picture = stage.empty_frame(self.next).clone();
            *frame = Some(self.captured(EMPTY_TICK, picture));
            return true;
        };
        if at >= stage.pictures.len() {
            return false;
        }
        let picture = stage.pictures[at].take().unwrap_or_else(|| {
            let mut picture = Picture::default();
            (stage.painter)(at, &mut picture);
            picture
        });
        stage.current = Some(at);
        *frame = Some(self.captured(TICK, picture));
        true
    }

    fn ended(&self) -> bool {
        let stage = self.stage.lock();
        self.next >= stage.empty_frames() + stage.pictures.len()
    }
}

impl Camera {
    /// The next frame, so long after the one before.
    fn captured(&mut self, tick: Duration, picture: Picture) -> Frame {
        self.next += 1;
        self.clock.turn(tick);
        Frame { picture, captured: self.clock.now(), taken_at: self.clock.wall(), sequence: self.next as u64 }
    }
}

/// The networks, or what they said before.
struct Memory {
    stage: Arc<Mutex<Stage>>,
    readings: Vec<Reading>,
}

impl Sight for Memory {
    fn read(&mut self, picture: &Picture) -> anyhow::Result<&[Reading]> {
        let mut stage = self.stage.lock();
        let Some(at) = stage.current else { return Ok(&[]) };
        if stage.readings[at].is_none() {
            let read = stage.look(picture)?;
            stage.readings[at] = Some(read);
        }
        self.readings.clone_from(stage.readings[at].as_ref().expect("just read"));
        Ok(&self.readings)
    }
}

/// The button: notes at which frame it was asked for.
struct Asked {
    stage: Arc<Mutex<Stage>>,
    clock: Hands,
    at: Arc<Mutex<Vec<(usize, Instant)>>>,
}

impl Button for Asked {
    fn press(&self, _service: bool) -> Pulse {
        let now = self.clock.now();
        self.at.lock().extend(self.stage.lock().current.map(|frame| (frame, now)));
        Pulse::Pressed(now)
    }
}
