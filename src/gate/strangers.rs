//! What strangers' plates look like: every well-formed plate with a prior for its form, province and city.
//!
//! A [`Form`](crate::plate::Form)'s slots are independent given the form, so the probability of the evidence over *all*
//! of its plates is a product of eight sums, and its likeliest plate a product of eight maxima.

use crate::plate::{ALPHABET, PROVINCES, Plate, SLOTS, alphabet_index};

type Row = [f64; ALPHABET.len()];

/// Most different rows that the forms are made of.
const MOST_ROWS: usize = 32;

/// What may stand in a slot, and how likely each is. The forms share few of these, so each is weighed once a slot.
struct Choice {
    prior: Row,
    /// The characters with a prior above nothing.
    members: Vec<u8>,
}

/// One form of plate: how common it is, and what stands in each slot.
struct Template {
    share: f64,
    /// Is it a service vehicle's (police, emergency)?
    service: bool,
    /// Indices of the model's choices.
    slots: [usize; SLOTS],
}

/// The model of strangers' plates.
pub struct Strangers {
    choices: Vec<Choice>,
    templates: Vec<Template>,
    /// The (choice, slot) pairs that some form uses.
    used: Vec<(usize, usize)>,
}

/// What the evidence says of strangers.
pub struct Weighed {
    /// P(evidence | a stranger of any kind), up to the constant that all likelihoods share.
    pub mass: f64,
    /// The probability 0..1 that the form is a service vehicle's, each form being as likely as any other.
    pub service: f64,
    /// The likeliest well-formed plate by the evidence alone.
    pub read: Plate,
    /// Its likelihood.
    pub confidence: f64,
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
        let forms: Vec<(f64, bool, [Row; SLOTS])> = vec![
            (0.72, false, local(s)),
            (0.21, false, [p, c, energy, s, d, d, d, d]),
            (0.02, false, [p, c, d, d, d, d, d, energy]),
            (0.01, false, local(only('学'))),
            (0.01, false, local(only('挂'))),
            (0.004, false, local(only('领'))),
            (0.004, false, [only('粤'), only('Z'), s, s, s, s, set("港澳"), e]),
            (0.002, false, [d, d, d, d, d, d, only('使'), e]),
            (0.002, false, [only('使'), d, d, d, d, d, d, e]),
            (0.01, true, local(only('警'))),
            (0.002, true, [p, c, s, s, s, s, only('应'), only('急')]),
            (0.002, true, [only('W'), only('J'), p, d, d, d, d, s]),
            (0.001, true, [only('W'), only('J'), d, d, d, d, s, e]),
            (0.003, false, [any, any, s, s, s, s, s, e]),
        ];
        let mut model = Strangers { choices: Vec::new(), templates: Vec::new(), used: Vec::new() };
        for (share, service, rows) in forms {
            let slots = std::array::from_fn(|slot| model.choice(&rows[slot], slot));
            model.templates.push(Template { share, service, slots });
        }
        model
    }

    /// The index of this row among the choices, which is used in this slot.
    fn choice(&mut self, prior: &Row, slot: usize) -> usize {
        let known = self.choices.iter().position(|c| c.prior == *prior);
        let index = known.unwrap_or_else(|| {
            let members = (0..prior.len()).filter(|&i| prior[i] > 0.0).map(|i| i as u8).collect();
            self.choices.push(Choice { prior: *prior, members });
            self.choices.len() - 1
        });
        if !self.used.contains(&(index, slot)) {
            self.used.push((index, slot));
        }
        index
    }

    /// Weighs the evidence `p` (probabilities per slot).
    pub fn weigh(&self, p: &[Row; SLOTS]) -> Weighed {
        let mut sums = [[0.0f64; SLOTS]; MOST_ROWS];
        let mut tops = [[(0u8, 0.0f64); SLOTS]; MOST_ROWS];
        for &(choice, slot) in &self.used {
            let (of, row) = (&self.choices[choice], &p[slot]);
            let (mut sum, mut top) = (0.0, (of.members[0], -1.0));
            for &i in &of.members {
                let likelihood = row[i as usize];
                sum += of.prior[i as usize] * likelihood;
                if likelihood > top.1 {
                    top = (i, likelihood);
                }
            }
            (sums[choice][slot], tops[choice][slot]) = (sum, top);
        }
        let (mut mass, mut service, mut all) = (0.0, 0.0, 0.0);
        let mut best: Option<(Plate, f64)> = None;
        for template in &self.templates {
            let (mut evidence, mut likelihood, mut plate) = (1.0, 1.0, [0u8; SLOTS]);
            for (slot, &choice) in template.slots.iter().enumerate() {
                evidence *= sums[choice][slot];
                let (i, top) = tops[choice][slot];
                likelihood *= top;
                plate[slot] = i;
            }
            mass += template.share * evidence;
            all += evidence;
            service += if template.service { evidence } else { 0.0 };
            if best.is_none_or(|(_, b)| likelihood > b)
                && let Some(plate) = Plate::from_slots(plate)
            {
                best = Some((plate, likelihood));
            }
        }
        // Some template always gives a plate: the police one's slots are free of conditions across slots.
        let (read, confidence) =
            best.unwrap_or_else(|| (Plate::from_slots([48, 16, 1, 1, 1, 1, 66, 0]).expect("苏F0000警"), 0.0));
        Weighed { mass, service: if all > 0.0 { service / all } else { 0.0 }, read, confidence }
    }

    /// The likeliest well-formed plate by the evidence alone, and its likelihood.
    pub fn likeliest(&self, p: &[Row; SLOTS]) -> (Plate, f64) {
        let Weighed { read, confidence, .. } = self.weigh(p);
        (read, confidence)
    }

    /// The prior of exactly this plate.
    pub fn prior(&self, slots: &[u8; SLOTS]) -> f64 {
        let of = |t: &Template| -> f64 {
            t.slots.iter().zip(slots).map(|(&c, &i)| self.choices[c].prior[i as usize]).product()
        };
        self.templates.iter().map(|t| t.share * of(t)).sum()
    }

    /// A stranger's plate drawn from this model; `random` gives numbers in 0..1.
    pub fn draw(&self, mut random: impl FnMut() -> f64) -> Plate {
        loop {
            let form = pick(self.templates.iter().map(|t| t.share), random());
            let slots = self.templates[form].slots.map(|choice| pick(self.choices[choice].prior, random()) as u8);
            if let Some(plate) = Plate::from_slots(slots) {
                return plate;
            }
        }
    }
}

/// The index at which the running sum of shares passes `at`; the last one with a share where rounding keeps it below.
fn pick(shares: impl IntoIterator<Item = f64>, at: f64) -> usize {
    let (mut sum, mut last) = (0.0, 0);
    for (i, share) in shares.into_iter().enumerate().filter(|(_, share)| *share > 0.0) {
        sum += share;
        last = i;
        if sum > at {
            break;
        }
    }
    last
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
        for choice in &model.choices {
            assert!((choice.prior.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
        assert!(model.choices.len() <= MOST_ROWS);
    }

    #[test]
    fn evidence_that_says_nothing_has_the_same_mass_for_every_home() {
        let flat = [[1.0 / ALPHABET.len() as f64; ALPHABET.len()]; SLOTS];
        let want = (ALPHABET.len() as f64).powi(-(SLOTS as i32));
        for home in ['苏', '皖', '琼'] {
            let mass = Strangers::new(home, 'F').weigh(&flat).mass;
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
        assert!(model.weigh(&sure("苏F1234警")).service > 0.999);
        assert!(model.weigh(&sure("苏FX234应急")).service > 0.999);
        assert!(model.weigh(&sure("苏F12345")).service < 0.001);
        assert_eq!(model.weigh(&sure("苏FD12345")).read.to_string(), "苏FD12345");
    }

    #[test]
    fn drawn_plates_are_as_common_as_their_prior_says() {
        let model = Strangers::new('苏', 'F');
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let drawn: Vec<Plate> = (0..4000).map(|_| model.draw(&mut random)).collect();
        let share = |of: &dyn Fn(&Plate) -> bool| drawn.iter().filter(|p| of(p)).count() as f64 / 4000.0;
        assert!((0.55..0.65).contains(&share(&|p| p.to_string().starts_with('苏'))));
        assert!((0.19..0.28).contains(&share(&|p| p.chars().count() == 8)));
    }
}
