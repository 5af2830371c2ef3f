//! The demo compound: three buildings, 96 households, 103 cars, 100 yuan a car, nine in ten joined. Every name and plate is
//! invented. Its book is written in [`super::demo_book`].

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use super::demo_book::{STEWARDS, TREASURER};
use super::{Change, Dues, Household, Register, Vehicle, demo_book};
use crate::ledger::BookError;
use crate::plate::Plate;

const SURNAMES: [&str; 24] = [
    "王", "李", "张", "刘", "陈", "杨", "黄", "赵", "吴", "周", "徐", "孙", "马", "朱", "胡", "郭", "何", "高", "林",
    "罗", "顾", "陆", "施", "钱",
];
const GIVEN: [&str; 24] = [
    "伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超", "秀英", "建国",
    "志强", "海燕", "雪梅", "文斌", "晓东", "玉兰",
];

/// A car whose share is paid.
pub const PAID: &str = "苏F8K291";
/// A paid new-energy car.
pub const PAID_GREEN: &str = "苏FD60817";
/// A car whose share is not paid.
pub const UNPAID: &str = "苏F3M705";
/// A stranger's plate that differs from [`PAID`] in one character.
pub const NEAR_MISS: &str = "苏F8K297";
/// A stranger's plate.
pub const STRANGER: &str = "皖A6P42Z";

/// How many of the 103 have not paid.
const UNPAID_CARS: usize = 10;
/// Which of them need not, by vote: the community doctor's.
pub(super) const DOCTOR: usize = 92;

/// The compound, the same every time.
pub fn compound() -> (Vec<Household>, Vec<Vehicle>) {
    let mut rng = ChaCha8Rng::seed_from_u64(96);
    let households: Vec<Household> = (0..96).map(|n| household(n, &mut rng)).collect();
    let named = [PAID, PAID_GREEN, UNPAID];
    let mut plates: Vec<Plate> = named.iter().map(|p| p.parse().expect("the demo's plates are well-formed")).collect();
    let kept_free = [NEAR_MISS, STRANGER].map(|p| p.parse::<Plate>().expect("the demo's plates are well-formed"));
    while plates.len() < 103 {
        let plate = if plates.len() % 10 == 9 { neighbour(&plates, &mut rng) } else { plate(&mut rng) };
        if !plates.contains(&plate) && !kept_free.contains(&plate) {
            plates.push(plate);
        }
    }
    // The third is the unpaid one the demo shows; the others are spread over the compound.
    let unpaid: Vec<usize> = (0..UNPAID_CARS).map(|n| 2 + n * 10).collect();
    let dues = |n: usize| match n {
        DOCTOR => Dues::exempt(),
        n if unpaid.contains(&n) => Dues::default(),
        _ => Dues::settled(),
    };
    let car = |(n, plate): (usize, Plate)| Vehicle::new(plate, &households[n % households.len()].key()).with(dues(n));
    let vehicles = plates.into_iter().enumerate().map(car).collect();
    (households, vehicles)
}

/// Writes the compound and its book into a register.
pub fn load(register: &Register) -> Result<(), BookError> {
    let (households, vehicles) = compound();
    let book = demo_book::story(&vehicles, super::today());
    let changes: Vec<Change> =
        households.into_iter().map(Change::Household).chain(vehicles.into_iter().map(Change::Vehicle)).collect();
    register.apply_and_enter("demo", &changes, &book).map(drop)
}

fn household(n: usize, rng: &mut ChaCha8Rng) -> Household {
    let (building, floor, door) = (n / 32 + 1, n % 32 / 4 + 1, n % 4 + 1);
    let pick = |from: &[&str], rng: &mut ChaCha8Rng| from.choose(rng).copied().unwrap_or_default().to_owned();
    Household {
        building: building as u16,
        unit: format!("{floor}0{door}"),
        name: pick(&SURNAMES, rng) + &pick(&GIVEN, rng),
        phone: None,
    }
}

fn plate(rng: &mut ChaCha8Rng) -> Plate {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
    loop {
        let mut serial: String = (0..5).map(|_| char::from(b'0' + rng.random_range(0..10u8))).collect();
        let green = rng.random_bool(0.25);
        if !green && rng.random_bool(0.8) {
            let at = rng.random_range(0..5);
            serial.replace_range(at..=at, &char::from(*LETTERS.choose(rng).unwrap_or(&b'A')).to_string());
        }
        let text = if green { format!("苏FD{serial}") } else { format!("苏F{serial}") };
        if let Ok(plate) = text.parse() {
            return plate;
        }
    }
}

/// A plate that differs in its last character from one that is already there.
fn neighbour(plates: &[Plate], rng: &mut ChaCha8Rng) -> Plate {
    loop {
        let of = plates[rng.random_range(0..plates.len())].to_string();
        let mut text: Vec<char> = of.chars().collect();
        if let Some(last) = text.last_mut() {
            *last = char::from(b'0' + rng.random_range(0..10u8));
        }
        if let Ok(plate) = text.into_iter().collect::<String>().parse() {
            return plate;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_compound_is_as_told_and_the_same_every_time() {
        let (households, vehicles) = compound();
        assert_eq!((households.len(), vehicles.len()), (96, 103));
        assert_eq!(households.iter().map(Household::key).collect::<HashSet<_>>().len(), 96);
        assert_eq!(vehicles.iter().map(|v| v.plate).collect::<HashSet<_>>().len(), 103);
        let not_paid = |v: &&Vehicle| v.dues == Dues::default();
        let unpaid: Vec<String> = vehicles.iter().filter(not_paid).map(|v| v.plate.to_string()).collect();
        assert_eq!((unpaid.len(), vehicles[DOCTOR].dues == Dues::exempt()), (9, true));
        assert!(unpaid.contains(&UNPAID.to_owned()));
        assert!(vehicles.iter().all(|v| v.plate.to_string().starts_with("苏F")));
        assert!(!vehicles.iter().any(|v| [NEAR_MISS, STRANGER].contains(&v.plate.to_string().as_str())));
        assert_eq!(compound(), (households, vehicles));
    }
}
