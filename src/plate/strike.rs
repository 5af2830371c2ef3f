//! Texts without the plates that stand in them: for whoever may read what was written, but not whose car it was about.

use super::Plate;

/// What stands in a plate's place.
const STRUCK: &str = "［车牌］";

/// The text without what looks like a plate, however it was typed.
///
/// ```
/// assert_eq!(plategate::plate::strike("给苏f·8k291补漆"), "给［车牌］补漆");
/// ```
pub fn strike(text: &str) -> String {
    let mut out = String::new();
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        // A plate has 7 or 8 characters, and a separator may stand in it.
        let plate = (7..=10).rev().find(|n| {
            let piece = chars.get(at..at + n).map(|c| c.iter().collect::<String>());
            piece.is_some_and(|p| !p.starts_with(' ') && !p.ends_with(' ') && p.parse::<Plate>().is_ok())
        });
        match plate {
            Some(n) => {
                out.push_str(STRUCK);
                at += n;
            }
            None => {
                out.push(chars[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_looks_like_a_plate_goes_and_the_rest_stays() {
        for (text, want) in [
            ("", ""),
            ("苏f·8k291、苏FD12345 两车", "［车牌］、［车牌］ 两车"),
            ("访客 苏F-8K291", "访客 ［车牌］"),
            ("道闸机一套，含安装", "道闸机一套，含安装"),
            ("型号 DZ-2026 伟业", "型号 DZ-2026 伟业"),
        ] {
            assert_eq!(strike(text), want);
        }
    }

    proptest! {
        #[test]
        fn no_plate_is_left_in_any_text(before in "[\\PC&&[^A-Za-z0-9]]{0,6}", plate in "苏F[0-9A-HJ-NP-Z]{4}[0-9]", after in "[，。、\\p{Han}&&[^应急警学挂]]{0,6}") {
            let shown = strike(&format!("{before}{plate}{after}"));
            prop_assert!(!shown.contains(&plate[3..]), "{}", shown);
        }
    }
}
