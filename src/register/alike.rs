//! Which registered plates could a camera take for each other?
//!
//! Shown to the steward when a plate is registered, and decided more strictly at the gate.

use super::Snapshot;
use crate::plate::{ALPHABET, Plate, SLOTS};

/// Characters that readers take for each other: the pairs that users of such systems report, and those that this reader's
/// own confusion matrix (`plategate eval --html`) shows.
const PAIRS: [(char, char); 20] = [
    ('0', 'D'),
    ('0', 'Q'),
    ('D', 'Q'),
    ('0', 'U'),
    ('8', 'B'),
    ('1', 'T'),
    ('1', '7'),
    ('1', 'J'),
    ('1', 'L'),
    ('5', 'S'),
    ('2', 'Z'),
    ('7', 'Z'),
    ('7', 'T'),
    ('6', 'G'),
    ('C', 'G'),
    ('E', 'F'),
    ('M', 'N'),
    ('M', 'H'),
    ('V', 'Y'),
    ('U', 'V'),
];

/// Plates that differ in this many confusable characters, and in nothing else, are alike.
const MOST_CONFUSABLE: usize = 3;

/// Do readers take these two for each other?
pub fn confusable(a: char, b: char) -> bool {
    PAIRS.iter().any(|&(x, y)| (x, y) == (a, b) || (y, x) == (a, b))
}

/// Are they different plates that a camera could take for each other? They are if they differ in one character, whichever
/// it is; or in up to three that readers confuse (苏F8B12D, 苏FBB120); or if one is the other with a character missing
/// (苏FD12345, 苏F12345).
pub fn are_alike(a: &Plate, b: &Plate) -> bool {
    let (a, b) = (a.slots(), b.slots());
    if a == b {
        return false;
    }
    if a[SLOTS - 1].min(b[SLOTS - 1]) == 0 && a[SLOTS - 1] != b[SLOTS - 1] {
        let (long, short) = if a[SLOTS - 1] == 0 { (b, a) } else { (a, b) };
        return is_one_missing(long, &short[..SLOTS - 1]);
    }
    let mut different = 0;
    let mut all_confusable = true;
    for (&x, &y) in a.iter().zip(b) {
        if x != y {
            different += 1;
            all_confusable &= confusable(ALPHABET[x as usize], ALPHABET[y as usize]);
        }
    }
    different == 1 || (different <= MOST_CONFUSABLE && all_confusable)
}

fn is_one_missing(long: &[u8; SLOTS], short: &[u8]) -> bool {
    let same = long.iter().zip(short).take_while(|(x, y)| x == y).count();
    long[same + 1..] == short[same..]
}

/// The registered plates (cars and visitors' passes) that a camera could take for this one, in the order of the register.
/// The plate itself, registered or not, is not among them.
pub fn lookalikes(snapshot: &Snapshot, plate: Plate) -> Vec<Plate> {
    let cars = snapshot.vehicles().iter().map(|v| v.plate);
    let mut found: Vec<Plate> = Vec::new();
    for other in cars.chain(snapshot.passes().iter().map(|p| p.plate())) {
        if are_alike(&plate, &other) && !found.contains(&other) {
            found.push(other);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register::Vehicle;
    use proptest::prelude::*;

    fn plate(text: &str) -> Plate {
        text.parse().unwrap()
    }

    #[test]
    fn alike_is_one_off_or_confusable_or_one_missing() {
        for (a, b, want) in [
            ("苏F8B12D", "苏FBB120", true),
            ("苏F12345", "苏F12346", true),
            ("苏F12345", "鄂F12345", true),
            ("苏FD12345", "苏F12345", true),
            ("苏F12345D", "苏F12345", true),
            ("苏BFD1188", "苏B12D88", false),
            ("苏F12345", "苏F12367", false),
            ("苏F0D0D8", "苏FD0D08", false),
            ("苏F0D0D8", "苏FD0D18", false),
            ("苏F12345", "苏F12345", false),
        ] {
            assert_eq!(are_alike(&plate(a), &plate(b)), want, "{a} {b}");
            assert_eq!(are_alike(&plate(b), &plate(a)), want, "{b} {a}");
        }
    }

    #[test]
    fn the_register_names_them() {
        let cars = ["苏F8B12D", "苏F77777", "苏FBB120"].map(|p| Vehicle::new(plate(p), "1-101"));
        let snapshot = Snapshot::new(cars.to_vec());
        assert_eq!(lookalikes(&snapshot, plate("苏F8B12D")), [plate("苏FBB120")]);
        assert_eq!(lookalikes(&snapshot, plate("苏F8B120")).len(), 2);
        assert!(lookalikes(&snapshot, plate("皖A6P42Z")).is_empty());
    }

    proptest! {
        #[test]
        fn it_goes_both_ways_and_never_panics(a in "苏F[0-9A-HJ-NP-Z]{4}[0-9]D?", b in "苏F[0-9A-HJ-NP-Z]{4}[0-9]D?") {
            if let (Ok(a), Ok(b)) = (a.parse::<Plate>(), b.parse::<Plate>()) {
                prop_assert_eq!(are_alike(&a, &b), are_alike(&b, &a));
            }
        }
    }
}
