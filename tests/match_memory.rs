//! The match is made for every frame: it must take no memory, whatever the register's size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use plategate::gate::matching::Roster;
use plategate::gate::strangers::Strangers;
use plategate::plate::{ALPHABET, Plate, SLOTS};
use plategate::register::{Snapshot, Vehicle};
use plategate::vision::SlotProbabilities;

thread_local! {
    /// How often this thread asked for memory.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting.
struct Counting;

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.with(|asked| asked.set(asked.get() + 1));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn asked(work: impl FnOnce()) -> usize {
    let before = ASKED.with(Cell::get);
    work();
    ASKED.with(Cell::get) - before
}

/// Evidence for this plate, each slot as sure as `p`.
fn evidence(plate: &Plate, p: f32) -> SlotProbabilities {
    let mut slots = [[((1.0 - p) / (ALPHABET.len() - 1) as f32).ln(); ALPHABET.len()]; SLOTS];
    for (row, &i) in slots.iter_mut().zip(plate.slots()) {
        row[i as usize] = p.ln();
    }
    SlotProbabilities(slots)
}

#[test]
fn a_match_takes_no_memory() {
    assert!(asked(|| drop(black_box(vec![1u8; 64]))) > 0, "the allocator counts");
    let strangers = Strangers::new('苏', 'F');
    for cars in [0usize, 103, 20_000] {
        let plates: Vec<Plate> = (0..cars).filter_map(|n| format!("苏F{n:05}").parse().ok()).collect();
        let snapshot = Snapshot::new(plates.iter().map(|p| Vehicle::new(*p, "1-101")).collect());
        let roster = Roster::new(&snapshot, &strangers);
        let stranger = "皖A9Z88M".parse().expect("a plate");
        for plate in [plates.get(cars / 2).copied().unwrap_or(stranger), stranger] {
            for p in [0.9999, 0.5, 0.05] {
                let slots = evidence(&plate, p);
                let mut found = None;
                let count = asked(|| found = Some(roster.weigh(black_box(&slots), &snapshot, &strangers)));
                assert_eq!(count, 0, "{cars} cars, {p}");
                assert!(found.is_some_and(|found| found.ratio.is_finite()));
            }
        }
    }
}
