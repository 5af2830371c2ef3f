//! The stages of the corridor on a 1080p frame: `cargo bench --bench corridor`. Needs ONNX Runtime (`make build`).

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use plategate::camera::rendered::{Arrival, Scene};
use plategate::config;
use plategate::gate::matching::Roster;
use plategate::gate::strangers::Strangers;
use plategate::picture::Picture;
use plategate::plate::Colour;
use plategate::register::{Snapshot, demo};
use plategate::vision::Vision;
use plategate::vision::shrink::Scratch;
use plategate::vision::warp::Planes;

/// A painted 1080p frame with a car at the stop line.
fn frame() -> Picture {
    let car = Arrival {
        plate: demo::PAID.parse().expect("the demo's plates are well-formed"),
        colour: Colour::Blue,
        night: false,
        hold: Duration::ZERO,
    };
    let mut picture = Picture::default();
    Scene::new(1).paint(Some((&car, 4.4)), false, false, &mut picture);
    picture
}

fn corridor(c: &mut Criterion) {
    let frame = frame();
    let (mut planes, mut scratch) = (Planes::new(512, 288), Scratch::default());
    c.bench_function("shrink 1080p to 512x288", |b| {
        b.iter(|| planes.fit(black_box(&frame), [0, 0, frame.width, frame.height], &mut scratch))
    });
    let mut vision = Vision::load(&config::Vision::default()).expect("run `make build` first");
    c.bench_function("read a 1080p frame with one plate", |b| {
        b.iter(|| vision.read(black_box(&frame)).map(<[_]>::len).expect("the networks run"))
    });
    let lane = config::Vision { lane: Some([0.25, 0.4, 0.5, 0.5]), ..config::Vision::default() };
    let mut vision_lane = Vision::load(&lane).expect("run `make build` first");
    c.bench_function("read the lane of a 1080p frame with one plate", |b| {
        b.iter(|| vision_lane.read(black_box(&frame)).map(<[_]>::len).expect("the networks run"))
    });

    let slots = vision.read(&frame).expect("the networks run").first().expect("the plate is read").slots.clone();
    let (snapshot, strangers) = (Snapshot::new(demo::compound().1), Strangers::new('苏', 'F'));
    let roster = Roster::new(&snapshot, &strangers);
    c.bench_function("weigh 103 cars", |b| b.iter(|| roster.weigh(black_box(&slots), &snapshot, &strangers).ratio));
}

criterion_group!(benches, corridor);
criterion_main!(benches);
