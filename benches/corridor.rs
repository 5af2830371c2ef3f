//! The stages of the corridor on a 1080p frame, and the whole corridor with a painted camera and a simulated arm:
//! `cargo bench --bench corridor`. Needs ONNX Runtime (`make build`).

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use crossbeam_channel::Receiver;
use plategate::barrier::{Barrier, Pulse, SimulatedArm};
use plategate::camera::Frame;
use plategate::camera::rendered::{Arrival, Scene};
use plategate::config;
use plategate::gate::event::Arrival as Recorded;
use plategate::gate::lane::{Button, Frames, Lane, Parts, Sight};
use plategate::gate::matching::Roster;
use plategate::gate::strangers::Strangers;
use plategate::picture::{Picture, Quad};
use plategate::plate::Colour;
use plategate::register::{Snapshot, demo};
use plategate::vision::empty_lane::EmptyLane;
use plategate::vision::lookout::Lookout;
use plategate::vision::shrink::Scratch;
use plategate::vision::surroundings::Surroundings;
use plategate::vision::track::Tracker;
use plategate::vision::warp::Planes;
use plategate::vision::{Reading, Vision};

/// The lane on the painted frames.
const LANE: [f32; 4] = [0.3, 0.4, 0.4, 0.5];

/// A painted 1080p frame, with a car at the stop line or without.
fn frame(with_car: bool) -> Picture {
    let car = Arrival {
        plate: demo::PAID.parse().expect("the demo's plates are well-formed"),
        colour: Colour::Blue,
        night: false,
        hold: Duration::ZERO,
    };
    let mut picture = Picture::default();
    Scene::new(1).paint(with_car.then_some((&car, 4.4)), false, false, &mut picture);
    picture
}

fn vision(lane: Option<[f32; 4]>) -> Vision {
    Vision::load(&config::Vision { lane, ..config::Vision::default() }).expect("run `make build` first")
}

fn stages(c: &mut Criterion) {
    let frame = frame(true);
    let (mut planes, mut scratch) = (Planes::new(608, 352), Scratch::default());
    c.bench_function("shrink 1080p to 608x352", |b| {
        b.iter(|| planes.fit(black_box(&frame), [0, 0, frame.width, frame.height], &mut scratch))
    });
    let mut patch = Planes::new(144, 48);
    let rect = |x0: f32, y0: f32, x1: f32, y1: f32| Quad([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]);
    let (plate, place) = (rect(880.0, 700.0, 1030.0, 748.0), rect(22.0, 11.0, 122.0, 37.0));
    c.bench_function("warp a plate to 144x48", |b| b.iter(|| patch.warp(black_box(&frame), &plate, &place, 0..144)));
    let mut lookout = Lookout::new(&config::Vision::default());
    let (whole, begun, mut n) = ([0, 0, frame.width, frame.height], Instant::now(), 0);
    c.bench_function("look whether anything moves", |b| {
        b.iter(|| {
            n += 1;
            lookout.is_worth_reading(black_box(&frame), whole, begun + n * Duration::from_millis(66), false)
        })
    });
    let mut whole = vision(None);
    c.bench_function("read a 1080p frame with one plate", |b| {
        b.iter(|| whole.read(black_box(&frame)).map(<[_]>::len).expect("the networks run"))
    });
    let mut lane = vision(Some(LANE));
    c.bench_function("read the lane of a 1080p frame with one plate", |b| {
        b.iter(|| lane.read(black_box(&frame)).map(<[_]>::len).expect("the networks run"))
    });
    decisions(c, &frame, whole.read(&frame).expect("the networks run"));
}

/// What comes after the networks.
fn decisions(c: &mut Criterion, frame: &Picture, readings: &[Reading]) {
    let reading = readings.first().expect("the plate is read");
    let (mut tracker, mut gone, mut at) = (Tracker::default(), Vec::new(), Instant::now());
    c.bench_function("track one car", |b| {
        b.iter(|| {
            at += Duration::from_millis(40);
            tracker.update(at, black_box(readings), &mut gone);
        })
    });
    c.bench_function("fuse one car's frames", |b| b.iter(|| tracker.tracks()[0].fused()));
    let (mut around, mut lane) = (Surroundings::default(), EmptyLane::default());
    let empty = self::frame(false);
    for n in 0..8 {
        lane.look(&empty, at + n * Duration::from_secs(1));
    }
    let mut x = 0.0;
    c.bench_function("compare what is around a plate that moves", |b| {
        b.iter(|| {
            x = if x > 200.0 { 0.0 } else { x + 20.0 };
            let quad = Quad(reading.quad.0.map(|[px, py]| [px + x, py]));
            around.look(black_box(frame), &quad, &lane);
        })
    });
    let (snapshot, strangers) = (Snapshot::new(demo::compound().1), Strangers::new('苏', 'F'));
    let roster = Roster::new(&snapshot, &strangers);
    c.bench_function("weigh 103 cars", |b| {
        b.iter(|| roster.weigh(black_box(&reading.slots), &snapshot, &strangers).ratio)
    });
}

/// The same picture again and again, "captured" when it is asked for.
struct Still(Option<Picture>, u64);

impl Frames for Still {
    fn next(&mut self, frame: &mut Option<Frame>, _: Duration) -> bool {
        let Some(picture) = frame.take().map(|old| old.picture).or_else(|| self.0.take()) else { return false };
        self.1 += 1;
        let (captured, taken_at) = (Instant::now(), jiff::Timestamp::now());
        *frame = Some(Frame { picture, captured, taken_at, sequence: self.1 });
        true
    }

    fn ended(&self) -> bool {
        false
    }
}

/// The networks, lent to one lane after the other.
struct Lent(Arc<parking_lot::Mutex<Vision>>, Vec<Reading>);

impl Sight for Lent {
    fn read(&mut self, picture: &Picture) -> anyhow::Result<&[Reading]> {
        self.1.clear();
        self.1.extend_from_slice(self.0.lock().read(picture)?);
        Ok(&self.1)
    }
}

/// The barrier's button, on a simulated arm.
#[derive(Clone)]
struct Arm(Arc<Barrier>);

impl Button for Arm {
    fn press(&self, _: bool) -> Pulse {
        self.0.pulse()
    }
}

fn lane(
    picture: Picture,
    eyes: &Arc<parking_lot::Mutex<Vision>>,
    arm: &Arm,
    rules: config::Gate,
) -> (Lane, Receiver<Recorded>) {
    let snapshot = Arc::new(Snapshot::new(demo::compound().1));
    let eyes = Lent(eyes.clone(), Vec::new());
    let (parts, recorded) = Parts::new(Still(Some(picture), 0), eyes, snapshot, arm.clone(), 4);
    (Lane::new(Parts { rules, ..parts }), recorded)
}

/// The corridor as it runs: newest frame, networks, track, match, policy, arm.
fn corridor(c: &mut Criterion) {
    const PULSE_MS: u64 = 2;
    let wires =
        config::Barrier { pulse_ms: PULSE_MS, min_gap_ms: PULSE_MS, most_per_minute: u32::MAX, ..Default::default() };
    let arm = Arm(Arc::new(Barrier::start(Box::new(SimulatedArm::new()), &wires)));
    let frame = frame(true);
    for (name, part) in [("the whole corridor", None), ("the whole corridor, lane set", Some(LANE))] {
        let eyes = Arc::new(parking_lot::Mutex::new(vision(part)));
        let never = config::Gate { frames_to_open: 1_000_000, refuse_after_ms: 3_600_000, ..Default::default() };
        let (mut waiting, _recorded) = lane(frame.clone(), &eyes, &arm, never);
        c.bench_function(&format!("{name}: a frame of a car that is waited for"), |b| {
            b.iter(|| assert!(waiting.step(Duration::ZERO)))
        });
        c.bench_function(&format!("{name}: a first frame to the arm's edge"), |b| {
            b.iter_custom(|rounds| (0..rounds).map(|_| first_frame_to_edge(&frame, &eyes, &arm, PULSE_MS)).sum())
        });
    }
}

/// A car comes, and the first frame of it opens.
fn first_frame_to_edge(frame: &Picture, eyes: &Arc<parking_lot::Mutex<Vision>>, arm: &Arm, pulse_ms: u64) -> Duration {
    let rules = config::Gate { frames_to_open: 1, ..Default::default() };
    let (mut lane, recorded) = lane(frame.clone(), eyes, arm, rules);
    lane.step(Duration::ZERO);
    let arrival = recorded.try_recv().expect("the car is let in with its first frame");
    std::thread::sleep(Duration::from_millis(3 * pulse_ms));
    let relay_ms = arrival.event.times.relay_ms.expect("the arm was asked");
    Duration::from_secs_f64(relay_ms / 1e3)
}

criterion_group!(benches, stages, corridor);
criterion_main!(benches);
