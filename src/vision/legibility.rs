//! How clearly a *plate* stands there: lettering, dates and lamps are read as characters too, but hardly as a plate's.

use std::sync::LazyLock;

use super::reading::SlotProbabilities;
use crate::plate::{ALPHABET, PROVINCES, SLOTS, alphabet_index};

/// What may stand in a slot of some form of plate.
#[derive(Clone, Copy)]
enum Class {
    Nothing,
    Province,
    /// Of a city, after the province.
    City,
    Letter,
    Digit,
    Any,
    /// What stands last on plates of seven characters.
    Last,
    Embassy,
    /// 应急, which are read as two characters.
    Rescue(char),
}
use Class::{Any, City, Digit, Embassy, Last, Letter, Nothing, Province, Rescue};

/// The forms of GA 36-2018, looser than its grammar: [`crate::plate::Plate`] knows the rest.
const FORMS: [[Class; SLOTS]; 8] = [
    [Province, City, Any, Any, Any, Any, Last, Nothing],
    [Province, City, Any, Any, Any, Any, Any, Any],
    [Province, City, Any, Any, Any, Any, Rescue('应'), Rescue('急')],
    [Digit, Digit, Digit, Digit, Digit, Digit, Embassy, Nothing],
    [Embassy, Digit, Digit, Digit, Digit, Digit, Digit, Nothing],
    [Letter, Letter, Province, Digit, Digit, Digit, Digit, Any],
    [Letter, Letter, Digit, Digit, Digit, Digit, Any, Nothing],
    [Letter, Letter, Any, Any, Any, Any, Any, Nothing],
];

impl Class {
    fn holds(self, c: char) -> bool {
        match self {
            Nothing => c == '_',
            Province => PROVINCES.contains(&c),
            // the die of the digit 0 stamps the letter O too
            City => c.is_ascii_uppercase() || c == '0',
            Letter => c.is_ascii_uppercase(),
            Digit => c.is_ascii_digit(),
            Any => c.is_ascii_alphanumeric(),
            Last => c.is_ascii_alphanumeric() || "警学挂港澳领".contains(c),
            Embassy => c == '使',
            Rescue(which) => c == which,
        }
    }
}

/// Per form and slot, the characters that may stand there, as indices into the alphabet.
static MEMBERS: LazyLock<[[Vec<u8>; SLOTS]; FORMS.len()]> = LazyLock::new(|| {
    let of = |class: Class| {
        let may = ALPHABET.into_iter().filter(|&c| class.holds(c));
        may.map(|c| alphabet_index(c).unwrap_or(0)).collect()
    };
    FORMS.map(|form| form.map(of))
});

/// The mean over the slots of the log-probability of the characters of the likeliest plate, at most 0: as a geometric mean, how
/// probable each of its characters is. Well-read plates are above ln 0.98; lettering, where the likeliest characters make no plate,
/// is far below what each says of itself.
pub fn legibility(slots: &SlotProbabilities) -> f32 {
    let top = |members: &[u8], row: &[f32]| members.iter().fold(f32::MIN, |a, &i| a.max(row[i as usize]));
    let form =
        |form: &[Vec<u8>; SLOTS]| -> f32 { form.iter().zip(&slots.0).map(|(m, row)| top(m, row).max(-14.0)).sum() };
    MEMBERS.iter().map(form).fold(f32::MIN, f32::max) / SLOTS as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plate::Plate;
    use proptest::prelude::*;

    /// These characters, each with this probability, the rest shared by all others.
    fn reading(text: &str, p: f32) -> SlotProbabilities {
        let rest = ((1.0 - p) / (ALPHABET.len() - 1) as f32).ln();
        let mut slots = SlotProbabilities([[rest; ALPHABET.len()]; SLOTS]);
        let mut chars = text.chars();
        for row in &mut slots.0 {
            row[chars.next().and_then(alphabet_index).unwrap_or(0) as usize] = p.ln();
        }
        slots
    }

    /// The same of the likeliest characters, a plate or not.
    fn clarity(slots: &SlotProbabilities) -> f32 {
        slots.best().iter().map(|(_, p)| p.max(1e-6).ln()).sum::<f32>() / SLOTS as f32
    }

    #[test]
    fn every_form_of_plate_is_as_legible_as_its_characters() {
        let plates = "苏F12345 苏FD12345 苏F12345D 苏A1234警 苏A1234学 苏A1234挂 粤Z1234港 粤Z1234澳 沪A1234领 123456使 使014578 \
                      苏A1234应急 WJ苏12345 WJ12345 VA12345 川O71775";
        for text in plates.split_whitespace() {
            let plate: Plate = text.parse().unwrap();
            let mut slots = reading("", 0.9);
            for (row, &i) in slots.0.iter_mut().zip(plate.slots()) {
                row[0] = (0.1f32 / 74.0).ln();
                row[i as usize] = 0.9f32.ln();
            }
            assert!((legibility(&slots) - 0.9f32.ln()).abs() < 1e-3, "{text}");
        }
    }

    #[test]
    fn lettering_is_clear_but_not_legible() {
        for text in ["BMWBMW", "20160714", "QQ886845", "MAGOTAN8", "M000000", "苏苏苏苏苏苏苏", "FFFFFFFF"] {
            let slots = reading(text, 0.999);
            assert!(clarity(&slots) > 0.99f32.ln(), "{text}");
            assert!(legibility(&slots) < 0.7f32.ln(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn legibility_is_never_above_clarity(logits in proptest::collection::vec(-12.0f32..12.0, SLOTS * ALPHABET.len())) {
            let slots = SlotProbabilities::from_logits(&logits);
            prop_assert!(legibility(&slots) <= clarity(&slots) + 1e-4);
        }
    }
}
