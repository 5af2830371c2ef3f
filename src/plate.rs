//! Plates of GA 36-2018 as a value type, their kinds and their grammar.
//!
//! A [`Plate`] is made only by parsing, so an ill-formed one cannot exist. What is typed by people is normalised first:
//! full-width letters and digits, lower case, and the separators people put in (`苏F·12345`, `苏F-12345`, spaces).
//!
//! The grammar is that of GA 36-2018 (motor vehicle number plates of the People's Republic of China) with the later
//! extension of the new-energy letters (D, A, B, C, E: battery; F, G, H, J, K: other), the armed police's and the
//! army's plates of 2012, and the emergency-rescue plates of 2018 (…应急).

mod kind;
mod strike;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::narrow;
pub use kind::{Colour, Form, Kind};
pub use strike::strike;

/// How many character slots a plate has; a seven-character plate leaves the last one empty.
pub const SLOTS: usize = 8;

/// What a slot may hold. Index 0 is "no character here"; the reader network's output uses the same order.
pub const ALPHABET: [char; 75] = [
    '_', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'J', 'K', 'L', 'M',
    'N', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', '京', '津', '沪', '渝', '冀', '豫', '云', '辽', '黑',
    '湘', '皖', '鲁', '新', '苏', '浙', '赣', '鄂', '桂', '甘', '晋', '蒙', '陕', '吉', '闽', '贵', '粤', '青', '藏',
    '川', '宁', '琼', '警', '学', '挂', '港', '澳', '使', '领', '应', '急',
];

/// The index of the digit 0, which in the second slot, after a province, stands for the letter O: both are stamped with one
/// die, and only a letter can stand there. Old plates of the authorities have it (`川O71775`).
const ZERO: u8 = 1;

/// The thirty-one provinces' abbreviations, as a slice of [`ALPHABET`].
pub const PROVINCES: &[char] = ALPHABET.as_slice().split_at(35).1.split_at(31).0;

/// The index of `c` in [`ALPHABET`], if it can stand on a plate.
///
/// ```
/// assert_eq!(plategate::plate::alphabet_index('苏'), Some(48));
/// assert_eq!(plategate::plate::alphabet_index('I'), None);
/// ```
pub fn alphabet_index(c: char) -> Option<u8> {
    ALPHABET.iter().skip(1).position(|&a| a == c).map(|i| i as u8 + 1)
}

/// Why a text is not a plate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlateError {
    /// Nothing left after normalising.
    #[error("the plate is empty")]
    Empty,
    /// A character that stands on no plate.
    #[error("'{0}' stands on no plate{hint}", hint = hint(*.0))]
    Character(char),
    /// All characters are possible, their number or order is not.
    #[error("'{text}' is not a plate: {expected}")]
    Form {
        /// What was given, normalised.
        text: String,
        /// What would have been right.
        expected: &'static str,
    },
}

impl PlateError {
    /// In Chinese.
    pub fn zh(&self) -> &'static str {
        match self {
            PlateError::Empty => "车牌为空",
            PlateError::Character('I') => "车牌不用字母 I，是不是数字 1？",
            PlateError::Character('O') => "车牌不用字母 O，是不是数字 0？",
            PlateError::Character(_) => "有车牌上不会出现的字符",
            PlateError::Form { text, .. } => match text.chars().count() {
                ..7 => "太短：普通车牌 7 位，新能源 8 位，如 苏F12345",
                9.. => "太长：普通车牌 7 位，新能源 8 位，如 苏F12345",
                _ => "不是车牌：应为省份、字母和五位或六位号码，如 苏F12345 或 苏FD12345",
            },
        }
    }
}

fn hint(c: char) -> &'static str {
    match c {
        'I' => " (the letter I is not used; was the digit 1 meant?)",
        'O' => " (the letter O is not used; was the digit 0 meant?)",
        _ => "",
    }
}

/// A well-formed plate.
///
/// ```
/// use plategate::plate::{Form, Plate};
/// let plate: Plate = "苏f·1２345".parse().unwrap();
/// assert_eq!(plate.to_string(), "苏F12345");
/// assert_eq!(plate.form(), Form::Standard);
/// assert!("苏I12345".parse::<Plate>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Plate {
    /// Indices into [`ALPHABET`], left-aligned, 0 where empty.
    slots: [u8; SLOTS],
    form: Form,
}

impl Plate {
    /// The slots as indices into [`ALPHABET`], 0 where empty.
    pub fn slots(&self) -> &[u8; SLOTS] {
        &self.slots
    }

    /// What the text says about the vehicle.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The kind, given the ground colour seen.
    pub fn kind(&self, colour: Colour) -> Kind {
        match self.form {
            Form::Standard => match colour {
                Colour::Yellow => Kind::Yellow,
                Colour::Black => Kind::Consulate,
                _ => Kind::Blue,
            },
            Form::NewEnergySmall | Form::NewEnergyLarge => Kind::Green,
            Form::Police => Kind::Police,
            Form::Emergency => Kind::Emergency,
            Form::Embassy => Kind::Embassy,
            Form::Consulate => Kind::Consulate,
            Form::HongKongMacao => Kind::HongKongMacao,
            Form::Learner => Kind::Learner,
            Form::Trailer => Kind::Trailer,
            Form::ArmedPolice => Kind::ArmedPolice,
            Form::Military => Kind::Military,
        }
    }

    /// The characters, without empty slots.
    pub fn chars(&self) -> impl Iterator<Item = char> + '_ {
        let city = |slot: usize, i: u8| slot == 1 && i == ZERO && is_province(self.slots[0]);
        let used = self.slots.iter().take_while(|&&i| i != 0).enumerate();
        used.map(move |(slot, &i)| if city(slot, i) { 'O' } else { ALPHABET[i as usize] })
    }

    /// Makes a plate of alphabet indices (as the reader gives them), if they are well-formed.
    pub fn from_slots(slots: [u8; SLOTS]) -> Option<Plate> {
        let used = slots.iter().take_while(|&&i| i != 0).count();
        if slots[used..].iter().any(|&i| i != 0) || slots.iter().any(|&i| i as usize >= ALPHABET.len()) {
            return None;
        }
        form_of(&slots[..used]).map(|form| Plate { slots, form })
    }
}

impl FromStr for Plate {
    type Err = PlateError;

    fn from_str(text: &str) -> Result<Plate, PlateError> {
        let mut slots = [0u8; SLOTS];
        let mut used = 0;
        let mut normal = String::new();
        for c in text.chars().filter_map(normalise) {
            let city = used == 1 && is_province(slots[0]);
            let index = match c {
                'O' if city => ZERO,
                '0' if city => return Err(PlateError::Form { text: text_so_far(&normal, c), expected: CITY }),
                c => alphabet_index(c).ok_or(PlateError::Character(c))?,
            };
            if used < SLOTS {
                slots[used] = index;
            }
            used += 1;
            // Bounded, so that a hostile megabyte is not copied into an error.
            if used <= 2 * SLOTS {
                normal.push(c);
            }
        }
        if used == 0 {
            return Err(PlateError::Empty);
        }
        let form = if used <= SLOTS { form_of(&slots[..used]) } else { None };
        form.map(|form| Plate { slots, form }).ok_or(PlateError::Form { text: normal, expected: expected(used) })
    }
}

const CITY: &str = "a letter follows the province, such as 苏F12345";

fn text_so_far(normal: &str, c: char) -> String {
    format!("{normal}{c}…")
}

/// Folds what people type into what stands on plates; `None` for separators.
fn normalise(c: char) -> Option<char> {
    match narrow(c) {
        ' ' | '\u{a0}' | '\t' | '\r' | '\n' | '·' | '•' | '・' | '.' | '-' | '—' | '\u{feff}' => None,
        c => Some(c.to_ascii_uppercase()),
    }
}

fn expected(used: usize) -> &'static str {
    match used {
        0..=6 => "too short; a plate has 7 characters, or 8 with new energy, such as 苏F12345 or 苏FD12345",
        7 => "7 characters are province, letter and five letters or digits, such as 苏F12345",
        8 => "8 characters are new energy (苏FD12345, 苏F12345D), emergency (…应急) or armed police (WJ…)",
        _ => "too long; a plate has 7 characters, or 8 with new energy, such as 苏F12345 or 苏FD12345",
    }
}

fn is_digit(i: u8) -> bool {
    (1..=10).contains(&i)
}

fn is_letter(i: u8) -> bool {
    (11..=34).contains(&i)
}

fn is_serial(i: u8) -> bool {
    (1..=34).contains(&i)
}

fn is_province(i: u8) -> bool {
    (35..=65).contains(&i)
}

/// The new-energy letters: D A B C E for battery, F G H J K for the others.
fn is_new_energy(i: u8) -> bool {
    matches!(ALPHABET[i as usize], 'A'..='H' | 'J' | 'K')
}

/// The form of a run of alphabet indices, or `None` if no plate looks like that.
fn form_of(s: &[u8]) -> Option<Form> {
    let at = |i: usize| ALPHABET[s[i] as usize];
    let serial = |range: std::ops::Range<usize>| s[range].iter().all(|&i| is_serial(i));
    let digits = |range: std::ops::Range<usize>| s[range].iter().all(|&i| is_digit(i));
    let local = s.len() >= 7 && is_province(s[0]) && (is_letter(s[1]) || s[1] == ZERO);
    match s.len() {
        7 if local && serial(2..6) => match at(6) {
            '警' => Some(Form::Police),
            '学' => Some(Form::Learner),
            '挂' => Some(Form::Trailer),
            '领' => Some(Form::Consulate),
            '港' | '澳' if at(0) == '粤' && at(1) == 'Z' => Some(Form::HongKongMacao),
            // Five letters in a row are hardly ever issued, but they are seen (show plates), and must be read as they are.
            _ if is_serial(s[6]) => Some(Form::Standard),
            _ => None,
        },
        7 if (at(0) == '使' && digits(1..7)) || (at(6) == '使' && digits(0..6)) => Some(Form::Embassy),
        7 if at(0) == 'W' && at(1) == 'J' && digits(2..6) && is_serial(s[6]) => Some(Form::ArmedPolice),
        7 if is_letter(s[0]) && is_letter(s[1]) && serial(2..7) && s[2..7].iter().any(|&i| is_digit(i)) => {
            Some(Form::Military)
        }
        8 if local && serial(2..6) && at(6) == '应' && at(7) == '急' => Some(Form::Emergency),
        8 if local && is_new_energy(s[2]) && is_serial(s[3]) && digits(4..8) => Some(Form::NewEnergySmall),
        8 if local && digits(2..7) && is_new_energy(s[7]) => Some(Form::NewEnergyLarge),
        8 if at(0) == 'W' && at(1) == 'J' && is_province(s[2]) && digits(3..7) && is_serial(s[7]) => {
            Some(Form::ArmedPolice)
        }
        _ => None,
    }
}

impl fmt::Display for Plate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chars().try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

impl fmt::Debug for Plate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plate({self})")
    }
}

impl Serialize for Plate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Plate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Plate, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn form(text: &str) -> Option<Form> {
        text.parse::<Plate>().ok().map(|p| p.form())
    }

    #[test]
    fn every_kind_of_the_standard_parses() {
        for (text, want) in [
            ("苏F12345", Form::Standard),
            ("皖AHM215", Form::Standard),
            ("苏FD12345", Form::NewEnergySmall),
            ("苏BFD1188", Form::NewEnergySmall),
            ("川O71775", Form::Standard),
            ("豫AAAAAA", Form::Standard),
            ("苏FA12345", Form::NewEnergySmall),
            ("苏F12345D", Form::NewEnergyLarge),
            ("苏F1234警", Form::Police),
            ("苏FX234应急", Form::Emergency),
            ("使014578", Form::Embassy),
            ("014578使", Form::Embassy),
            ("沪A0023领", Form::Consulate),
            ("粤Z1A23港", Form::HongKongMacao),
            ("粤Z1A23澳", Form::HongKongMacao),
            ("苏F123A学", Form::Learner),
            ("苏FA123挂", Form::Trailer),
            ("WJ苏1234X", Form::ArmedPolice),
            ("WJ12345", Form::ArmedPolice),
            ("VA12345", Form::Military),
        ] {
            assert_eq!(form(text), Some(want), "{text}");
        }
    }

    #[test]
    fn ill_formed_plates_are_refused_with_a_reason() {
        for (text, reason) in [
            ("", "empty"),
            (" · ", "empty"),
            ("苏F1234", "too short"),
            ("苏I12345", "letter I"),
            ("苏FO2345", "letter O"),
            ("ABC", "too short"),
            ("苏F123456", "new energy"),
            ("苏F1234567", "too long"),
            ("FF苏2345", "such as"),
            ("苏012345", "a letter follows"),
            ("FABCDEG", "such as"),
            ("苏Z1234港", "such as"),
            ("苏F123😀5", "stands on no plate"),
        ] {
            let error = text.parse::<Plate>().expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn kinds_follow_form_and_colour() {
        let plate: Plate = "苏F12345".parse().unwrap();
        assert_eq!(plate.kind(Colour::Blue), Kind::Blue);
        assert_eq!(plate.kind(Colour::Yellow), Kind::Yellow);
        let green: Plate = "苏FD12345".parse().unwrap();
        assert_eq!(green.kind(Colour::Blue), Kind::Green);
    }

    #[test]
    fn there_are_thirty_one_provinces() {
        assert_eq!(PROVINCES.len(), 31);
        assert_eq!((PROVINCES[0], PROVINCES[30]), ('京', '琼'));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_round_trips(text in "\\PC{0,12}") {
            if let Ok(plate) = text.parse::<Plate>() {
                prop_assert_eq!(plate.to_string().parse::<Plate>().unwrap(), plate);
                prop_assert_eq!(Plate::from_slots(*plate.slots()).unwrap(), plate);
            }
        }

        #[test]
        fn parsing_near_plates_never_panics(text in "[京苏皖粤WJO使应急警学挂港澳领A-Z0-9· ]{0,10}") {
            if let Ok(plate) = text.parse::<Plate>() {
                prop_assert_eq!(plate.to_string().parse::<Plate>().unwrap(), plate);
            }
        }

        #[test]
        fn slots_of_any_bytes_never_panic(slots in proptest::array::uniform8(0u8..=255)) {
            let _ = Plate::from_slots(slots);
        }
    }
}
