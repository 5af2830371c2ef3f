//! What strangers' plates look like: every well-formed plate with a prior for its form, province and city.
//!
//! A [`Form`](crate::plate::Form)'s slots are independent given the form, so the probability of the evidence over *all*
//! of its plates is a product of eight sums, and its likeliest plate a product of eight maxima.

use crate::plate::{ALPHABET, PROVINCES, Plate, SLOTS, alphabet_index};

type Row = [f64; ALPHABET.len()];

/// One form of plate: how common it is, and what stands in each slot.
struct Template {
    share: f64,
    /// Is it a service vehicle's (police, emergency)?
    service: bool,
    slots: [Row; SLOTS],
}

/// The model of strangers' plates.
pub struct Strangers {
    templates: Vec<Template>,
}

/// Of the strangers' cars, the share from the home province, and of those the share from the home city.
const HOME_PROVINCE: f64 = 0.6;
const HOME_CITY: f64 = 0.6;
/// The letters that stand on plates.
const LETTERS: &str = "ABCDEFGHJKLMNPQRSTUVWXYZ";
/// In a serial place, the share of digits (letters share the rest).
const DIGITS: f64 = 0.8;

impl Strangers {
    /// Strangers who mostly come from this province and this city.
    pub fn new(home_province: char, home_city: char) -> Strangers {
        let p = provinces(home_province);
        let c = letters(home_city, HOME_PROVINCE * HOME_CITY);
        let (s, d, e, any) = (serial(), set("0123456789"), only('_'), set(LETTERS));
        let energy = weighted(&[('D', 0.6), ('F', 0.2)], "ABCEGHJK", 0.2);
        let local = |last: Row| [p, c, s, s, s, s, last, e];
        let form = |share, slots| Template { share, service: false, slots };
        let service = |share, slots| Template { share, service: true, slots };
        let templates = vec![
            form(0.72, local(s)),
            form(0.21, [p, c, energy, s, d, d, d, d]),
            form(0.02, [p, c, d, d, d, d, d, energy]),
            form(0.01, local(only('学'))),
            form(0.01, local(only('挂'))),
            form(0.004, local(only('领'))),
            form(0.004, [only('粤'), only('Z'), s, s, s, s, set("港澳"), e]),
            form(0.002, [d, d, d, d, d, d, only('使'), e]),
            form(0.002, [only('使'), d, d, d, d, d, d, e]),
            service(0.01, local(only('警'))),
            service(0.002, [p, c, s, s, s, s, only('应'), only('急')]),
            service(0.002, [only('W'), only('J'), p, d, d, d, d, s]),
            service(0.001, [only('W'), only('J'), d, d, d, d, s, e]),
            form(0.003, [any, any, s, s, s, s, s, e]),
        ];
        Strangers { templates }
    }

    /// What the evidence `p` (probabilities per slot) says of strangers: first P(evidence | a stranger of any kind), up to
    /// the constant that all likelihoods share; then the probability 0..1 that the form is a service vehicle's, each form
    /// being as likely as any other.
    pub fn weigh(&self, p: &[Row; SLOTS]) -> (f64, f64) {
        let (mut mass, mut service, mut all) = (0.0, 0.0, 0.0);
        for template in &self.templates {
            let evidence = template.evidence(p);
            mass += template.share * evidence;
            all += evidence;
            service += if template.service { evidence } else { 0.0 };
        }
        (mass, if all > 0.0 { service / all } else { 0.0 })
    }

    /// The prior of exactly this plate.
    pub fn prior(&self, slots: &[u8; SLOTS]) -> f64 {
        let of = |t: &Template| t.slots.iter().zip(slots).map(|(row, &i)| row[i as usize]).product::<f64>();
        self.templates.iter().map(|t| t.share * of(t)).sum()
    }

    /// The likeliest well-formed plate by the evidence alone, and its likelihood.
    pub fn likeliest(&self, p: &[Row; SLOTS]) -> (Plate, f64) {
        let mut best: Option<(Plate, f64)> = None;
        for template in &self.templates {
            let mut slots = [0u8; SLOTS];
            let mut likelihood = 1.0;
            for ((slot, row), p) in slots.iter_mut().zip(&template.slots).zip(p) {
                let candidates = (0..ALPHABET.len()).filter(|&i| row[i] > 0.0);
                let top = candidates.fold(0, |a, i| if row[a] == 0.0 || p[i] > p[a] { i } else { a });
                *slot = top as u8;
                likelihood *= p[top];
            }
            if let Some(plate) = Plate::from_slots(slots).filter(|_| best.is_none_or(|(_, b)| likelihood > b)) {
                best = Some((plate, likelihood));
            }
        }
        // Some template always gives a plate: the police one's slots are free of conditions across slots.
        best.unwrap_or_else(|| (Plate::from_slots([48, 16, 1, 1, 1, 1, 66, 0]).expect("苏F0000警"), 0.0))
    }
}

impl Template {
    fn evidence(&self, p: &[Row; SLOTS]) -> f64 {
        self.slots.iter().zip(p).map(|(prior, p)| prior.iter().zip(p).map(|(a, b)| a * b).sum::<f64>()).product()
    }
}

fn weighted(some: &[(char, f64)], others: &str, rest: f64) -> Row {
    let mut row = set(others).map(|v| v * rest);
    for &(c, share) in some {
        if let Some(i) = alphabet_index(c) {
            row[i as usize] += share;
        }
    }
    row
}

fn set(chars: &str) -> Row {
    let mut row = [0.0; ALPHABET.len()];
    let n = chars.chars().count() as f64;
    for i in chars.chars().filter_map(alphabet_index) {
        row[i as usize] = 1.0 / n;
    }
    row
}

fn only(c: char) -> Row {
    let mut row = [0.0; ALPHABET.len()];
    row[alphabet_index(c).unwrap_or(0) as usize] = 1.0;
    row
}

fn serial() -> Row {
    let (digits, letters) = (set("0123456789"), set(LETTERS));
    std::array::from_fn(|i| DIGITS * digits[i] + (1.0 - DIGITS) * letters[i])
}

/// The city's letter. The digit's die stands for the letter O of the authorities' old plates.
fn letters(home: char, share: f64) -> Row {
    const LETTER_O: f64 = 0.002;
    weighted(&[(home, share * (1.0 - LETTER_O)), ('0', LETTER_O)], LETTERS, (1.0 - share) * (1.0 - LETTER_O))
}

fn provinces(home: char) -> Row {
    let all: String = PROVINCES.iter().collect();
    weighted(&[(home, HOME_PROVINCE)], &all, 1.0 - HOME_PROVINCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_and_every_slot_sums_to_one() {
        let model = Strangers::new('苏', 'F');
        let shares: f64 = model.templates.iter().map(|t| t.share).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{shares}");
        for row in model.templates.iter().flat_map(|t| &t.slots) {
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn evidence_that_says_nothing_has_the_same_mass_for_every_home() {
        let flat = [[1.0 / ALPHABET.len() as f64; ALPHABET.len()]; SLOTS];
        let want = (ALPHABET.len() as f64).powi(-(SLOTS as i32));
        for home in ['苏', '皖', '琼'] {
            let (mass, _) = Strangers::new(home, 'F').weigh(&flat);
            assert!((mass / want - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn a_police_plate_is_a_service_vehicle() {
        let model = Strangers::new('苏', 'F');
        let sure = |text: &str| -> [Row; SLOTS] {
            let plate: Plate = text.parse().unwrap();
            std::array::from_fn(|s| {
                let mut row = [1e-6; ALPHABET.len()];
                row[plate.slots()[s] as usize] = 1.0;
                row
            })
        };
        assert!(model.weigh(&sure("苏F1234警")).1 > 0.999);
        assert!(model.weigh(&sure("苏FX234应急")).1 > 0.999);
        assert!(model.weigh(&sure("苏F12345")).1 < 0.001);
        assert_eq!(model.likeliest(&sure("苏FD12345")).0.to_string(), "苏FD12345");
    }
}
