//! Under load: several cameras on one box, and a day of frames in minutes with a look at the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::empty::empty;
use super::harness::{Asked, Kit, Made};
use super::machine::{memory_mb, processor_time};
use super::stages::{Stage, Times};
use crate::barrier::Pulse;
use crate::camera::Frame;
use crate::camera::rendered::{Arrival, Scene};
use crate::clock::{Clock, Hands, SystemClock};
use crate::gate::lane::{Button, Frames, Sight};
use crate::picture::Picture;
use crate::plate::Colour;
use crate::register::demo;
use crate::vision::lookout::Lookout;
use crate::vision::{Reading, Vision};

/// Where the car is from frame to frame, metres.
const APPROACH: [f32; 12] = [9.0, 8.3, 7.6, 7.0, 6.4, 5.9, 5.5, 5.1, 4.8, 4.6, 4.4, 4.4];
/// Empty frames between two cars: longer than a track lives.
const PAUSE: usize = 38;

/// What several cameras came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cameras {
    /// How many.
    pub cameras: usize,
    /// Frames a second of each.
    pub fps: u32,
    /// How long, seconds.
    pub seconds: f64,
    /// Frames that the lanes looked at.
    pub frames: u64,
    /// Frames that passed while a lane was busy with another.
    pub missed: u64,
    /// Cars let in.
    pub opened: usize,
    /// A frame in memory to the end of its way.
    pub frame: Option<Stage>,
    /// Capture to the relay's edge.
    pub pulse: Option<Stage>,
    /// Cores that all lanes together kept busy.
    pub cores: f64,
    /// The most memory, megabytes.
    pub rss_mb: f64,
}

/// The pictures of one arrival, for all lanes.
fn approach() -> Arc<Vec<Picture>> {
    let plate = demo::PAID.parse().expect("the demo's plates are well-formed");
    let car = Arrival { plate, colour: Colour::Blue, night: false, hold: Duration::ZERO };
    let mut scene = Scene::new(9);
    let paint = |z: f32| {
        let mut picture = Picture::default();
        scene.paint(Some((&car, z)), false, false, &mut picture);
        picture
    };
    let mut pictures: Vec<Picture> = APPROACH.into_iter().map(paint).collect();
    pictures.push(empty(9));
    Arc::new(pictures)
}

/// Which picture is to be seen at this step of an endless coming of cars with so many empty frames between them.
fn picture_at(step: usize, pause: usize) -> usize {
    (step % (APPROACH.len() + pause)).min(APPROACH.len())
}

/// Runs so many lanes beside one another in real time, each on its own thread with its own networks.
pub fn cameras(kit: &Kit, count: usize, fps: u32, seconds: u32) -> anyhow::Result<Cameras> {
    let pictures = approach();
    let mut kit = kit.clone();
    // The same car comes again and again.
    kit.config.gate.repeat_after_s = 0;
    let visions = (0..count).map(|_| Vision::load(&kit.config.vision)).collect::<Result<Vec<_>, _>>()?;
    let (begun, busy) = (Instant::now(), processor_time());
    let threads: Vec<_> = visions
        .into_iter()
        .enumerate()
        .map(|(n, vision)| {
            let (kit, pictures) = (kit.clone(), pictures.clone());
            std::thread::spawn(move || one_camera(&kit, vision, pictures, n, fps, seconds))
        })
        .collect();
    let mut all = Lane::default();
    for thread in threads {
        all.add(thread.join().map_err(|_| anyhow::anyhow!("a lane panicked"))?);
    }
    let took = begun.elapsed().as_secs_f64();
    let cores = processor_time().saturating_sub(busy).as_secs_f64() / took;
    Ok(Cameras {
        cameras: count,
        fps,
        seconds: (took * 10.0).round() / 10.0,
        frames: all.frames,
        missed: all.missed,
        opened: all.pulse.len(),
        frame: all.frame.summary(),
        pulse: all.pulse.summary(),
        cores: (cores * 100.0).round() / 100.0,
        rss_mb: super::machine::most_memory_mb(),
    })
}

/// What one lane came to.
#[derive(Default)]
struct Lane {
    frames: u64,
    missed: u64,
    frame: Times,
    pulse: Times,
}

impl Lane {
    fn add(&mut self, other: Lane) {
        self.frames += other.frames;
        self.missed += other.missed;
        self.frame.append(other.frame);
        self.pulse.append(other.pulse);
    }
}

fn one_camera(kit: &Kit, vision: Vision, pictures: Arc<Vec<Picture>>, n: usize, fps: u32, seconds: u32) -> Lane {
    let asked = Asked::new(&kit.config);
    let every = Duration::from_secs(1) / fps;
    let captured = Arc::new(parking_lot::Mutex::new(Instant::now()));
    // The cameras are not in step.
    let due = Instant::now() + every * n as u32 / 4;
    let (mut lane, _records, telemetry) = kit.lane(Made {
        frames: Box::new(Paced { pictures, step: n * 11, due, every, captured: captured.clone() }),
        sight: Box::new(Own(vision, kit.config.vision.lane)),
        button: Box::new(asked.clone()),
        lookout: Lookout::new(&kit.config.vision),
        clock: Box::new(SystemClock),
    });
    let mut found = Lane::default();
    let end = Instant::now() + Duration::from_secs(u64::from(seconds));
    while Instant::now() < end {
        lane.step(Duration::ZERO);
        let captured = *captured.lock();
        found.frame.push(captured.elapsed());
        if let Some((_, Some(edge))) = asked.take() {
            found.pulse.push(edge.saturating_duration_since(captured));
        }
    }
    found.frames = telemetry.frames();
    found.missed = (u64::from(fps) * u64::from(seconds)).saturating_sub(found.frames);
    found
}

/// Networks of one's own.
struct Own(Vision, Option<[f32; 4]>);

impl Sight for Own {
    fn read(&mut self, picture: &Picture) -> anyhow::Result<&[Reading]> {
        Ok(self.0.read(picture)?)
    }

    fn lane(&self) -> Option<[f32; 4]> {
        self.1
    }
}

/// A camera at its pace: it waits for the next frame, and passes over those that nobody was there to take.
struct Paced {
    pictures: Arc<Vec<Picture>>,
    step: usize,
    due: Instant,
    every: Duration,
    captured: Arc<parking_lot::Mutex<Instant>>,
}

impl Frames for Paced {
    fn next(&mut self, frame: &mut Option<Frame>, _timeout: Duration) -> bool {
        while self.due + self.every < Instant::now() {
            self.due += self.every;
            self.step += 1;
        }
        std::thread::sleep(self.due.saturating_duration_since(Instant::now()));
        self.due += self.every;
        self.step += 1;
        // The copy stands for the decoder's, which is the grabber's work.
        let mut picture = frame.take().map(|old| old.picture).unwrap_or_default();
        let from = &self.pictures[picture_at(self.step, PAUSE)];
        (picture.width, picture.height) = (from.width, from.height);
        picture.bgr.clone_from(&from.bgr);
        let captured = Instant::now();
        *self.captured.lock() = captured;
        *frame = Some(Frame { picture, captured, taken_at: Timestamp::now(), sequence: self.step as u64 });
        true
    }

    fn ended(&self) -> bool {
        false
    }
}

/// What a long run came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Soak {
    /// Frames that went through the lane.
    pub frames: u64,
    /// The hours they would have taken at 15 frames a second.
    pub hours_at_15_fps: f64,
    /// Of them, the share 0..1 that was read.
    pub read_share: f64,
    /// Cars let in.
    pub opened: u64,
    /// How long it took here, seconds.
    pub seconds: f64,
    /// The memory after a twentieth of the frames, and at the end, megabytes.
    pub rss_early_mb: f64,
    pub rss_end_mb: f64,
}

impl Soak {
    /// Did the memory stay where it was? What a megabyte or a hundredth may come to is the allocator's.
    pub fn is_flat(&self) -> bool {
        self.rss_end_mb <= self.rss_early_mb * 1.01 + 1.0
    }
}

/// Empty frames between two cars of a long run: a car every two and a half minutes.
const LONG_PAUSE: usize = 2250;

/// Sends so many frames through one lane as fast as it takes them.
pub fn soak(kit: &Kit, vision: Vision, frames: u64) -> Soak {
    let clock = Hands::at(Timestamp::now(), TimeZone::UTC);
    let opened = Arc::new(AtomicU64::new(0));
    let (mut lane, records, telemetry) = kit.lane(Made {
        frames: Box::new(Played { pictures: approach(), step: 0, clock: clock.clone() }),
        sight: Box::new(Own(vision, kit.config.vision.lane)),
        button: Box::new(Counted { opened: opened.clone(), clock: clock.clone() }),
        lookout: Lookout::new(&kit.config.vision),
        clock: Box::new(clock),
    });
    let begun = Instant::now();
    let mut early = 0.0;
    for n in 0..frames {
        lane.step(Duration::ZERO);
        // Somebody writes the records down.
        while records.try_recv().is_ok() {}
        if n == frames / 20 {
            early = memory_mb();
        }
    }
    let (all, still) = (telemetry.frames(), telemetry.still_frames());
    Soak {
        frames: all,
        hours_at_15_fps: (all as f64 / 15.0 / 360.0).round() / 10.0,
        read_share: ((all - still) as f64 / all.max(1) as f64 * 1e4).round() / 1e4,
        opened: opened.load(Ordering::Relaxed),
        seconds: (begun.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        rss_early_mb: early,
        rss_end_mb: memory_mb(),
    }
}

/// Cars and empty frames at the pace of a played clock.
struct Played {
    pictures: Arc<Vec<Picture>>,
    step: usize,
    clock: Hands,
}

impl Frames for Played {
    fn next(&mut self, frame: &mut Option<Frame>, _timeout: Duration) -> bool {
        let (now, before) = (picture_at(self.step, LONG_PAUSE), picture_at(self.step.wrapping_sub(1), LONG_PAUSE));
        self.step += 1;
        self.clock.turn(Duration::from_secs(1) / 15);
        let mut picture = frame.take().map(|old| old.picture).unwrap_or_default();
        // A picture that is there already need not be copied again.
        if now != before || picture.width == 0 {
            let from = &self.pictures[now];
            (picture.width, picture.height) = (from.width, from.height);
            picture.bgr.clone_from(&from.bgr);
        }
        let (captured, taken_at) = (self.clock.now(), self.clock.wall());
        *frame = Some(Frame { picture, captured, taken_at, sequence: self.step as u64 });
        true
    }

    fn ended(&self) -> bool {
        false
    }
}

/// A button that counts.
struct Counted {
    opened: Arc<AtomicU64>,
    clock: Hands,
}

impl Button for Counted {
    fn press(&self, _service: bool) -> Pulse {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Pulse::Pressed(self.clock.now())
    }
}
