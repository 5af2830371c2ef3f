//! The account of one decision, in the form in which it is put on record.

use jiff::Timestamp;

use super::event::{Candidate, Event, Liveness, Look, SlotRead, VehicleRef};
use super::matching::Match;
use crate::plate::ALPHABET;
use crate::vision::SlotProbabilities;
use crate::vision::track::Track;

/// A plate read with less probability than this is not told as one, only as text.
const TELLABLE: f64 = 0.2;
/// Numbers above this say no more, and JSON knows no infinity.
const MOST: f64 = 1e15;

/// What a decision was made on.
pub(super) struct Grounds<'a> {
    pub gate: &'a str,
    pub track: &'a Track,
    pub slots: &'a SlotProbabilities,
    pub found: &'a Match<'a>,
    pub liveness: Liveness,
    /// The false-open budget.
    pub one_in: f64,
    pub today: jiff::civil::Date,
    /// When the deciding frame was taken.
    pub at: Timestamp,
}

/// The record of it, all but the outcome, the rule and the times.
pub(super) fn of(grounds: &Grounds<'_>) -> Event {
    let Grounds { track, slots, found, .. } = *grounds;
    let tellable = found.confidence > TELLABLE;
    let likely = found.best().filter(|best| best.plate == found.read || found.is_near_miss());
    Event {
        plate: Some(found.read).filter(|_| tellable),
        text: slots.text(),
        kind: Some(found.read.kind(track.colour())).filter(|_| tellable),
        slots: slot_reads(slots),
        vehicle: likely.and_then(|best| best.vehicle).map(|v| VehicleRef {
            plate: v.plate,
            household: v.household.clone(),
            standing: v.standing(grounds.today),
        }),
        posterior: found.posterior(),
        candidates: found.candidates.iter().flatten().filter(|c| c.posterior > 1e-12).map(candidate).collect(),
        ratio: found.ratio.min(MOST),
        margin: found.margin.min(MOST),
        needed: found.needed(grounds.one_in),
        margin_needed: found.margin_needed(grounds.one_in, track.distance()),
        looks: track.looks().map(|look| self::look(look, track)).collect(),
        liveness: grounds.liveness,
        heading: track.motion.heading(),
        frames: track.frames,
        quad: track.quad,
        ..Event::blank(grounds.gate, grounds.at)
    }
}

fn candidate(candidate: &super::matching::Candidate<'_>) -> Candidate {
    Candidate {
        plate: candidate.plate,
        household: candidate.vehicle.map_or_else(String::new, |v| v.household.clone()),
        posterior: candidate.posterior,
        has_lookalike: candidate.has_lookalike,
    }
}

fn look(look: &crate::vision::track::Look, track: &Track) -> Look {
    Look {
        after_ms: look.at.saturating_duration_since(track.first_seen).as_millis() as u64,
        width: look.width,
        sharpness: look.sharpness,
        text: look.read.iter().filter(|i| **i != 0).map(|i| ALPHABET[*i as usize]).collect(),
        confidence: look.confidence,
        weight: look.weight,
    }
}

/// The slots for the record: the likeliest character of each, and the others above 1 %.
fn slot_reads(slots: &SlotProbabilities) -> Vec<SlotRead> {
    let read = |row: &[f32; ALPHABET.len()]| {
        let mut all: Vec<(char, f32)> = ALPHABET.iter().copied().zip(row.iter().map(|l| l.exp())).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        let or = all[1..].iter().copied().take_while(|(_, p)| *p > 0.01).take(4).collect();
        SlotRead { char: all[0].0, p: all[0].1, or }
    };
    slots.0.iter().map(read).collect()
}
