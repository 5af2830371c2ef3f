//! What was read off one plate in one frame.

use crate::picture::Quad;
use crate::plate::{ALPHABET, Colour, SLOTS};

/// The probability of every character in every slot, natural logarithms.
#[derive(Clone, PartialEq)]
pub struct SlotProbabilities(pub [[f32; ALPHABET.len()]; SLOTS]);

impl SlotProbabilities {
    /// Normalises the reader's logits `[8][75]` (softmax per slot).
    pub fn from_logits(logits: &[f32]) -> SlotProbabilities {
        let mut out = SlotProbabilities::unknown();
        for (row, logits) in out.0.iter_mut().zip(logits.chunks_exact(ALPHABET.len())) {
            let top = logits.iter().copied().fold(f32::MIN, f32::max);
            let sum: f32 = logits.iter().map(|l| (l - top).exp()).sum();
            let norm = top + sum.ln();
            for (p, l) in row.iter_mut().zip(logits) {
                *p = l - norm;
            }
        }
        out
    }

    /// What two looks at the same plate say together: the mean of their log-probabilities, normalised again.
    pub fn and(&self, other: &SlotProbabilities) -> SlotProbabilities {
        self.mixed(other, 0.5)
    }

    /// The same where the other look counts with this share, 0..1.
    pub fn mixed(&self, other: &SlotProbabilities, share: f32) -> SlotProbabilities {
        let mut means = [0.0; ALPHABET.len() * SLOTS];
        for ((mean, a), b) in means.iter_mut().zip(self.0.iter().flatten()).zip(other.0.iter().flatten()) {
            *mean = a + share * (b - a);
        }
        SlotProbabilities::from_logits(&means)
    }

    /// Every character equally likely everywhere.
    pub fn unknown() -> SlotProbabilities {
        SlotProbabilities([[-(ALPHABET.len() as f32).ln(); ALPHABET.len()]; SLOTS])
    }

    /// The likeliest character of each slot, as indices into [`ALPHABET`], and its probability 0..1.
    pub fn best(&self) -> [(u8, f32); SLOTS] {
        self.0.map(|row| {
            let (i, p) = row.iter().enumerate().fold((0, f32::MIN), |a, (i, &p)| if p > a.1 { (i, p) } else { a });
            (i as u8, p.exp())
        })
    }

    /// The weakest slot's likeliest character's probability, 0..1.
    pub fn weakest(&self) -> f32 {
        self.best().iter().fold(1.0, |a, (_, p)| a.min(*p))
    }

    /// The likeliest characters as text, empty slots left out; not necessarily a well-formed plate.
    pub fn text(&self) -> String {
        self.best().iter().filter(|(i, _)| *i != 0).map(|(i, _)| ALPHABET[*i as usize]).collect()
    }

    /// The probabilities themselves, 0..1.
    pub fn probabilities(&self) -> [[f64; ALPHABET.len()]; SLOTS] {
        self.0.map(|row| row.map(|l| f64::from(l).exp()))
    }
}

impl std::fmt::Debug for SlotProbabilities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SlotProbabilities({})", self.text())
    }
}

/// One plate in one frame.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Its corners in pixels of the frame.
    pub quad: Quad,
    /// The detector's score, 0..1.
    pub score: f32,
    /// The refiner's probability that this is a plate at all, 0..1.
    pub is_plate: f32,
    /// The reader's probabilities.
    pub slots: SlotProbabilities,
    /// Probability of each ground colour, in the order of [`Colour::ALL`].
    pub colours: [f32; 6],
    /// How sharp the flattened plate is: the mean absolute difference of neighbouring pixels' brightness along its rows, 0..1.
    pub sharpness: f32,
}

impl Reading {
    /// The likeliest ground colour.
    pub fn colour(&self) -> Colour {
        Colour::likeliest(&self.colours)
    }

    /// The probability of the whole text, 0..1: the product over the slots.
    pub fn confidence(&self) -> f32 {
        self.slots.best().iter().map(|(_, p)| *p).product()
    }
}
