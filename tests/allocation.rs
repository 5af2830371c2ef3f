//! Once it is warm, the lane allocates nothing for a frame: not on an empty lane, not while a plate is read and waited for, not
//! after the decision. (A frame that is the best look at a car yet is put down for the record, and an arrival is recorded:
//! both allocate, once a look and once an arrival.)
//!
//! Ten cars in one picture are no exception, and each plate is read once a frame.
//!
//! Counted are allocations of this program's own; ONNX Runtime's arena grows while it warms up, inside of the library.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use plategate::barrier::Pulse;
use plategate::camera::Frame;
use plategate::camera::rendered::{Arrival, Scene};
use plategate::config;
use plategate::gate::event::{Arrival as Recorded, Outcome};
use plategate::gate::lane::{Button, Frames, Lane, Parts, Sight};
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

struct Eyes {
    vision: Vision,
    /// Of the newest frame: plates that came out, and how often a plate was read for them.
    came_out: Arc<AtomicU32>,
    reads: Arc<AtomicU32>,
}

impl Eyes {
    fn open(settings: &config::Vision) -> Eyes {
        let vision = Vision::load(settings).expect("run `make build` first");
        Eyes { vision, came_out: Arc::default(), reads: Arc::default() }
    }
}

impl Sight for Eyes {
    fn read(&mut self, picture: &Picture) -> anyhow::Result<&[Reading]> {
        self.came_out.store(self.vision.read(picture)?.len() as u32, Ordering::Relaxed);
        self.reads.store(self.vision.timings().reads, Ordering::Relaxed);
        Ok(self.vision.readings())
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
    lane_seen_by(Eyes::open(settings), picture, cars, settings, frames_to_open)
}

fn lane_seen_by(
    eyes: Eyes,
    picture: Picture,
    cars: Vec<Vehicle>,
    settings: &config::Vision,
    frames_to_open: u32,
) -> (Lane, Receiver<Recorded>) {
    let snapshot = Arc::new(Snapshot::new(cars));
    let still = Still { picture: Some(picture), at: Instant::now(), sequence: 0 };
    let (parts, recorded) = Parts::new(still, eyes, snapshot, Pressed, 16);
    // What stands so long is refused by the frames' times, which run ahead here.
    // A frame is never too old here: a slow machine takes its time with ten cars.
    let rules = config::Gate { frames_to_open, max_frame_age_ms: 600_000, ..config::Gate::default() };
    (Lane::new(Parts { lookout: Lookout::new(settings), rules, ..parts }), recorded)
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

/// Ten cars in one picture: two rows of five, each cut out of a painted lane of its own.
const TEN: [&str; 10] = [
    "苏F8K291",
    "苏F3M705",
    "皖A6P42Z",
    "浙B66T18",
    "沪C7R530",
    "苏E29Q4X",
    "鲁H5N817",
    "粤B3W96K",
    "苏F7D248",
    "京N4G651",
];

fn ten_cars() -> Picture {
    const TILE: [usize; 2] = [384, 540];
    let mut yard = Picture::filled(5 * TILE[0], 2 * TILE[1], [0, 0, 0]);
    let (mut scene, mut picture) = (Scene::new(3), Picture::default());
    for (n, plate) in TEN.iter().enumerate() {
        let car = Arrival { plate: plate.parse().unwrap(), colour: Colour::Blue, night: false, hold: Duration::ZERO };
        scene.paint(Some((&car, 7.2)), false, true, &mut picture);
        let cut = picture.crop(768, 330, TILE[0], TILE[1]);
        let [left, top] = [n % 5 * TILE[0], n / 5 * TILE[1]];
        for (y, row) in cut.bgr.chunks_exact(TILE[0] * 3).enumerate() {
            yard.bgr[((top + y) * yard.width + left) * 3..][..TILE[0] * 3].copy_from_slice(row);
        }
    }
    yard
}

#[test]
fn ten_cars_at_once_are_each_read_once_a_frame_and_let_in() {
    let awake = config::Vision { sleep_when_still: false, ..Default::default() };
    let all = || TEN.iter().map(|plate| Vehicle::new(plate.parse().unwrap(), "2-301").with(Dues::settled())).collect();
    let yard = ten_cars();

    let eyes = Eyes::open(&awake);
    let (came_out, reads) = (eyes.came_out.clone(), eyes.reads.clone());
    let (mut waiting, recorded) = lane_seen_by(eyes, yard.clone(), all(), &awake, 100);
    steps(&mut waiting, 4);
    for _ in 0..6 {
        assert_eq!(steps(&mut waiting, 1), 0, "waiting");
        assert_eq!((came_out.load(Ordering::Relaxed), reads.load(Ordering::Relaxed)), (10, 10));
    }
    assert!(recorded.is_empty(), "nothing is decided about them yet");

    let (mut opening, recorded) = lane(yard, all(), &awake, 2);
    steps(&mut opening, 8);
    let mut let_in: Vec<String> = recorded
        .try_iter()
        .filter(|arrival| arrival.event.outcome == Outcome::Opened)
        .map(|arrival| arrival.event.plate.unwrap().to_string())
        .collect();
    let mut wanted = TEN.map(String::from).to_vec();
    let_in.sort();
    wanted.sort();
    assert_eq!(let_in, wanted);
}
