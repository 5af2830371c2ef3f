//! What was read in the frames of an approach, one JSON line each: written by `--record`, for the fit of the fusion
//! (`calibration/track`) and to be played again by `--replay`.

use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::cast::Who;
use super::stage::Played;
use crate::cli::Usage;
use crate::picture::Quad;
use crate::plate::{ALPHABET, Plate, SLOTS};
use crate::vision::surroundings::BANDS;
use crate::vision::{Reading, SlotProbabilities};

/// Characters less likely than this are not written down; what they had is shared among them when read back.
const LEAST: f32 = 1e-6;

/// One approach.
#[derive(Serialize, Deserialize)]
pub struct Line {
    /// Who came, and whether by night.
    pub who: String,
    /// See `who`.
    pub night: bool,
    /// The photograph it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photo: Option<String>,
    /// What the plate says, and the same by slot, as indices into the alphabet.
    pub plate: Plate,
    /// See `plate`.
    pub truth: Vec<u8>,
    /// The frame in which it opened, how many were fused by then, and the rule on record.
    pub opened: Option<usize>,
    /// See `opened`.
    pub fused: u32,
    /// See `opened`.
    pub rule: Option<String>,
    /// What the check for photographs found, if anything was put on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<crate::gate::event::Liveness>,
    /// What was seen around the best plate by each frame; see [`crate::vision::surroundings`].
    #[serde(default)]
    pub around: Vec<Around>,
    /// What was read, frame by frame.
    pub frames: Vec<Vec<Look>>,
}

/// What was seen around a plate by some frame; see [`crate::vision::surroundings::Surroundings`].
#[derive(Serialize, Deserialize)]
pub struct Around {
    /// Did it move with the plate?
    pub scores: [Option<f32>; BANDS],
    /// Did it hide the lane?
    pub covers: [Option<f32>; BANDS],
}

/// One plate in one frame.
#[derive(Serialize, Deserialize)]
pub struct Look {
    /// Its corners, pixels.
    quad: Quad,
    /// See [`Reading`].
    score: f32,
    is_plate: f32,
    colours: [f32; 6],
    sharpness: f32,
    /// For each slot the characters that may stand there, as indices into the alphabet, and their log-probabilities.
    slots: Vec<Vec<(u8, f32)>>,
}

fn rounded(v: f32) -> f32 {
    (v * 1e4).round() / 1e4
}

impl Look {
    fn of(reading: &Reading) -> Look {
        let kept = |row: &[f32; ALPHABET.len()]| {
            row.iter().enumerate().filter(|(_, l)| **l > LEAST.ln()).map(|(i, l)| (i as u8, rounded(*l))).collect()
        };
        Look {
            quad: Quad(reading.quad.0.map(|p| p.map(|v| (v * 10.0).round() / 10.0))),
            score: rounded(reading.score),
            is_plate: rounded(reading.is_plate),
            colours: reading.colours.map(rounded),
            sharpness: rounded(reading.sharpness),
            slots: reading.slots.0.iter().map(kept).collect(),
        }
    }

    /// The reading again; none if the line is not one of ours.
    fn reading(&self) -> Option<Reading> {
        let mut slots = [[0.0f32; ALPHABET.len()]; SLOTS];
        if self.slots.len() != SLOTS {
            return None;
        }
        for (row, kept) in slots.iter_mut().zip(&self.slots) {
            let sum: f32 = kept.iter().map(|(_, l)| l.exp()).sum();
            let rest = (1.0 - sum).max(1e-9) / ALPHABET.len() as f32;
            row.fill(rest.min(LEAST).ln());
            for &(i, l) in kept {
                *row.get_mut(usize::from(i))? = l;
            }
        }
        Some(Reading {
            quad: self.quad,
            score: self.score,
            is_plate: self.is_plate,
            slots: SlotProbabilities(slots),
            colours: self.colours,
            sharpness: self.sharpness,
        })
    }
}

impl Line {
    /// Writes an approach down.
    pub fn of<'a>(
        who: Who,
        night: bool,
        photo: Option<String>,
        plate: Plate,
        played: &Played,
        frames: impl Iterator<Item = &'a Vec<Reading>>,
    ) -> Line {
        Line {
            who: who.name().to_owned(),
            night,
            photo,
            plate,
            truth: plate.slots().to_vec(),
            opened: played.at,
            fused: played.frames,
            rule: played.rule.map(|rule| format!("{rule:?}")),
            liveness: played.liveness,
            around: Vec::new(),
            frames: frames.map(|readings| readings.iter().map(Look::of).collect()).collect(),
        }
    }

    /// What was read, frame by frame.
    pub fn readings(&self) -> Vec<Vec<Reading>> {
        self.frames.iter().map(|looks| looks.iter().filter_map(Look::reading).collect()).collect()
    }
}

/// The approaches of cars that were written down: no photographs of plates, none behind another.
pub fn read(file: &Path) -> anyhow::Result<Vec<Line>> {
    let name = file.display();
    let mut lines = Vec::new();
    let open = std::fs::File::open(file).with_context(|| format!("{name}"))?;
    for (n, line) in BufReader::new(open).lines().enumerate() {
        let line = line.with_context(|| format!("{name}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&line).map_err(|e| {
            Usage(format!("{name}: line {}: {e}: it must be what `plategate simulate --record` wrote", n + 1))
        })?;
        if ["neighbour", "stranger", "look_alike"].contains(&line.who.as_str()) {
            lines.push(line);
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::track::tests::reading;

    #[test]
    fn what_was_read_comes_back() {
        let was = [vec![reading("苏F12345", 100.0, 90.0, 0.9)], vec![]];
        let played = Played { opened: true, at: Some(1), frames: 2, ms: 80.0, rule: None, read: None, liveness: None };
        let plate = "苏F12345".parse().unwrap();
        let line = Line::of(Who::Neighbour, true, None, plate, &played, was.iter());
        let line: Line = serde_json::from_str(&serde_json::to_string(&line).unwrap()).unwrap();
        let back = line.readings();
        assert_eq!((back.len(), back[1].len(), line.opened, line.night), (2, 0, Some(1), true));
        assert_eq!(back[0][0].slots.text(), "苏F12345");
        let (a, b) = (was[0][0].slots.probabilities(), back[0][0].slots.probabilities());
        for (x, y) in a.iter().flatten().zip(b.iter().flatten()) {
            assert!((x - y).abs() < 1e-3, "{x} {y}");
        }
    }
}
