//! Once it is warm, the lane allocates nothing for a frame: not on an empty lane, not while a plate is read and waited for, not
//! after the decision. (A frame that is the best look at a car yet is put down for the record, and an arrival is recorded:
//! both allocate, once a look and once an arrival.)
//!
//! Counted are allocations of this program's own; ONNX Runtime's arena grows while it warms up, inside of the library.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use plategate::barrier::Pulse;
use plategate::camera::Frame;
use plategate::camera::rendered::{Arrival, Scene};
use plategate::clock::SystemClock;
use plategate::config;
use plategate::gate::event::{Arrival as Recorded, Outcome};
use plategate::gate::lane::{Button, Frames, Lane, Parts, Sight};
use plategate::gate::liveness::NotWired;
use plategate::gate::mode::Hand;
use plategate::picture::Picture;
use plategate::plate::Colour;
use plategate::register::{Dues, Snapshot, Vehicle};
use plategate::vision::lookout::Lookout;
use plategate::vision::{Reading, Vision};

thread_local! {
    /// Allocations of this thread while it counts; none while it does not.
    static COUNT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The system's allocator, which counts.
struct Counting;

// SAFETY: everything is handed on to the system's allocator; a thread's own cell is all that is touched besides.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

fn count() {
    // A thread that is just ending has no cell any more.
    let _ = COUNT.try_with(|cell| cell.set(cell.get().map(|n| n + 1)));
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this work allocates.
fn allocations(work: impl FnOnce()) -> usize {
    COUNT.set(Some(0));
    work();
    COUNT.replace(None).unwrap_or(0)
}

/// One picture again and again, at least forty milliseconds apart, in memory that is used again.
struct Still {
    picture: Option<Picture>,
    at: Instant,
    sequence: u64,
}

impl Frames for Still {
    fn next(&mut self, frame: &mut Option<Frame>, _: Duration) -> bool {
        let Some(picture) = frame.take().map(|old| old.picture).or_else(|| self.picture.take()) else { return false };
        self.sequence += 1;
        // Never old: a slow machine must not make a frame stale.
        self.at = (self.at + Duration::from_millis(40)).max(Instant::now());
        *frame = Some(Frame { picture, captured: self.at, taken_at: jiff::Timestamp::now(), sequence: self.sequence });
        true
    }

    fn ended(&self) -> bool {
        false
    }
}

struct Eyes(Vision);

impl Sight for Eyes {
    fn read(&mut self, picture: &Picture) -> anyhow::Result<&[Reading]> {
        Ok(self.0.read(picture)?)
    }
}

struct Pressed;

impl Button for Pressed {
    fn press(&self, _: bool) -> Pulse {
        Pulse::Pressed(Instant::now())
    }
}

fn lane(
    picture: Picture,
    cars: Vec<Vehicle>,
    settings: &config::Vision,
    frames_to_open: u32,
) -> (Lane, Receiver<Recorded>) {
    let snapshot = Arc::new(Snapshot::new(cars));
    let (arrivals, recorded) = bounded(8);
    let parts = Parts {
        frames: Box::new(Still { picture: Some(picture), at: Instant::now(), sequence: 0 }),
        lookout: Lookout::new(settings),
        sight: Box::new(Eyes(Vision::load(settings).expect("run `make build` first"))),
        register: Box::new(move || snapshot.clone()),
        button: Box::new(Pressed),
        presence: Box::new(NotWired),
        clock: Box::new(SystemClock),
        hand: Hand::default(),
        inside: Default::default(),
        arrivals,
        viewfinder: Arc::default(),
        telemetry: Arc::default(),
        // What stands so long is refused by the frames' times, which run ahead here.
        rules: config::Gate { frames_to_open, ..config::Gate::default() },
        schedule: config::Schedule::default(),
        photo_check: config::PhotoCheck { strength: config::Strength::Watch, ..Default::default() },
    };
    (Lane::new(parts), recorded)
}

fn car() -> Picture {
    let car = Arrival { plate: "苏F8K291".parse().unwrap(), colour: Colour::Blue, night: false, hold: Duration::ZERO };
    let mut picture = Picture::default();
    Scene::new(3).paint(Some((&car, 4.6)), false, false, &mut picture);
    picture
}

fn steps(lane: &mut Lane, frames: usize) -> usize {
    allocations(|| (0..frames).for_each(|_| assert!(lane.step(Duration::ZERO))))
}

#[test]
fn a_warm_lane_allocates_nothing() {
    let awake = config::Vision { sleep_when_still: false, ..Default::default() };
    let paid = || vec![Vehicle::new("苏F8K291".parse().unwrap(), "2-301").with(Dues::settled())];

    // The counter counts.
    assert!(allocations(|| drop(std::hint::black_box(vec![1u8; 100]))) == 1);

    // An empty lane, read in every frame, and one that the lookout leaves alone.
    let empty = Picture::filled(1920, 1080, [110, 112, 108]);
    let (mut lane_, recorded) = lane(empty.clone(), paid(), &awake, 2);
    steps(&mut lane_, 4);
    assert_eq!(steps(&mut lane_, 12), 0, "empty");
    assert!(recorded.is_empty());
    let (mut lane_, _recorded) = lane(empty, paid(), &config::Vision::default(), 2);
    steps(&mut lane_, 60);
    assert_eq!(steps(&mut lane_, 60), 0, "asleep");

    // A plate that is read and weighed, frame after frame, and not decided about yet.
    let (mut lane_, recorded) = lane(car(), paid(), &awake, 100);
    steps(&mut lane_, 4);
    assert_eq!(steps(&mut lane_, 12), 0, "waiting");
    assert!(recorded.is_empty(), "nothing is decided about it yet");

    // Let in, and refused: the car stands there.
    for (cars, outcome) in [(paid(), Outcome::Opened), (Vec::new(), Outcome::Refused)] {
        let (mut lane_, recorded) = lane(car(), cars, &awake, 2);
        steps(&mut lane_, 60);
        let arrival = recorded.try_recv().expect("it was decided about");
        assert_eq!(arrival.event.outcome, outcome);
        assert_eq!(steps(&mut lane_, 12), 0, "{outcome:?}");
    }
}
