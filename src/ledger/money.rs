//! Money: whole fen, never floating point.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::narrow;

/// An amount in whole fen (a hundredth of a yuan). Negative where money goes the other way.
///
/// ```
/// use plategate::ledger::Fen;
/// assert_eq!("99.5".parse(), Ok(Fen::of(9_950)));
/// assert_eq!(Fen::yuan(100).to_string(), "100");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fen(i64);

impl Fen {
    /// Nothing.
    pub const ZERO: Fen = Fen(0);
    /// The largest amount of one entry: a billion yuan less one fen. A million such entries still add up in 64 bits.
    pub const MOST: Fen = Fen(99_999_999_999);

    /// So many fen.
    pub const fn of(fen: i64) -> Fen {
        Fen(fen)
    }

    /// So many whole yuan.
    pub const fn yuan(yuan: i64) -> Fen {
        Fen(yuan * 100)
    }

    /// As a number of fen.
    pub const fn fen(self) -> i64 {
        self.0
    }

    /// Can one entry move this much? From one fen to [`Fen::MOST`].
    pub fn is_payable(self) -> bool {
        self > Fen::ZERO && self <= Fen::MOST
    }
}

impl Add for Fen {
    type Output = Fen;
    fn add(self, other: Fen) -> Fen {
        Fen(self.0 + other.0)
    }
}

impl AddAssign for Fen {
    fn add_assign(&mut self, other: Fen) {
        self.0 += other.0;
    }
}

impl Sub for Fen {
    type Output = Fen;
    fn sub(self, other: Fen) -> Fen {
        Fen(self.0 - other.0)
    }
}

impl Neg for Fen {
    type Output = Fen;
    fn neg(self) -> Fen {
        Fen(-self.0)
    }
}

impl Sum for Fen {
    fn sum<I: Iterator<Item = Fen>>(amounts: I) -> Fen {
        amounts.fold(Fen::ZERO, Add::add)
    }
}

/// In yuan: `100`, `99.50`, `-0.07`.
impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (yuan, fen) = (self.0.unsigned_abs() / 100, self.0.unsigned_abs() % 100);
        if fen == 0 { write!(f, "{sign}{yuan}") } else { write!(f, "{sign}{yuan}.{fen:02}") }
    }
}

/// A text that is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}': an amount in yuan is expected, such as 100 or 99.50")]
pub struct NotMoney(String);

/// Yuan with at most two decimals, not negative: `100`, `100.00`, `¥100`, `100元`, `1,000`, full-width digits. Nothing at
/// all is refused too; a table's empty cell is the table's matter.
impl FromStr for Fen {
    type Err = NotMoney;

    fn from_str(text: &str) -> Result<Fen, NotMoney> {
        // Bounded, so that a hostile megabyte is not copied into an error.
        let wrong = || NotMoney(text.chars().take(24).collect());
        let plain: String = text.chars().map(narrow).filter(|c| *c != ',').take(32).collect();
        let bare = plain.trim().trim_start_matches(['¥', '￥']).trim_end_matches('元').trim();
        let (yuan, fen) = bare.split_once('.').unwrap_or((bare, ""));
        let digits = |t: &str| t.bytes().all(|c| c.is_ascii_digit());
        if yuan.is_empty() || yuan.len() > 9 || fen.len() > 2 || !digits(yuan) || !digits(fen) {
            return Err(wrong());
        }
        let yuan: i64 = yuan.parse().map_err(|_| wrong())?;
        let fen: i64 = format!("{fen:0<2}").parse().map_err(|_| wrong())?;
        Ok(Fen(yuan * 100 + fen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn money_is_exact() {
        for (text, fen) in [
            ("100", 10_000),
            ("100.00", 10_000),
            ("¥100", 10_000),
            ("￥ 100", 10_000),
            ("100元", 10_000),
            ("１００", 10_000),
            ("99.5", 9_950),
            ("0.07", 7),
            ("1,000", 100_000),
            ("0", 0),
        ] {
            assert_eq!(text.parse(), Ok(Fen(fen)), "{text}");
        }
        for text in ["", "-1", "1.234", "ten", "1e3", "¥", "元", "9999999999", ".5", "1.2.3"] {
            assert!(text.parse::<Fen>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_said_is_understood(fen in 0..=Fen::MOST.0) {
            prop_assert_eq!(Fen(fen).to_string().parse(), Ok(Fen(fen)));
        }

        #[test]
        fn any_text_is_taken_or_refused(text in "\\PC{0,40}") {
            if let Ok(fen) = text.parse::<Fen>() {
                prop_assert!((Fen::ZERO..=Fen::MOST).contains(&fen));
            }
        }
    }
}
