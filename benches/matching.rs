//! The match against a compound's register and against a hundred thousand cars: `cargo bench --bench matching`.
//! It must take less than 20 microseconds and less than a millisecond.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use plategate::gate::matching::Roster;
use plategate::gate::strangers::Strangers;
use plategate::plate::{ALPHABET, Plate, SLOTS};
use plategate::register::{Snapshot, Vehicle, demo};
use plategate::vision::SlotProbabilities;

/// Evidence for this plate, each slot as sure as `p`.
fn evidence(plate: &Plate, p: f32) -> SlotProbabilities {
    let mut slots = [[((1.0 - p) / (ALPHABET.len() - 1) as f32).ln(); ALPHABET.len()]; SLOTS];
    for (row, &i) in slots.iter_mut().zip(plate.slots()) {
        row[i as usize] = p.ln();
    }
    SlotProbabilities(slots)
}

fn matching(c: &mut Criterion) {
    let strangers = Strangers::new('苏', 'F');
    let many = (0..100_000).filter_map(|n| format!("苏F{n:05}").parse().ok()).map(|plate| Vehicle::new(plate, "1-101"));
    for (name, cars) in [("103 cars", demo::compound().1), ("100,000 cars", many.collect())] {
        let (plate, snapshot) = (cars[50].plate, Snapshot::new(cars));
        let roster = Roster::new(&snapshot, &strangers);
        for (clarity, p) in [("clear", 0.999), ("blurred", 0.5)] {
            let slots = evidence(&plate, p);
            c.bench_function(&format!("weigh {name}, {clarity}"), |b| {
                b.iter(|| roster.weigh(black_box(&slots), &snapshot, &strangers).ratio)
            });
        }
    }
}

criterion_group!(benches, matching);
criterion_main!(benches);
