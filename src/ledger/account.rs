//! The accounts of the book.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where money is, where it came from, or what it went for. As text: `bank`, `cash:王芳`, `campaign:barrier`, `fees`,
/// `spent:upkeep`, `refunds`, `differences`, `opening`.
///
/// Money that an account receives is positive, money that it gives is negative: the bank and cash stand at what is there,
/// campaigns and fees at minus what came in, spending at what it cost.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// The compound's bank account.
    Bank,
    /// What this person holds in cash.
    Cash(String),
    /// What was put in for this campaign.
    Campaign(String),
    /// Yearly parking fees.
    Fees,
    /// What it went for.
    Spent(Purpose),
    /// What was given back.
    Refunds,
    /// What a count found too little (positive) or too much.
    Differences,
    /// What was there or was done before the book began.
    Opening,
}

/// What money is spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The barrier and its controller.
    Barrier,
    /// The camera and the box.
    Camera,
    /// Repairs, electricity, SIM cards.
    Upkeep,
    /// Anything else that was agreed on.
    Other,
}

impl Purpose {
    /// Every purpose, in the order in which statements show them.
    pub const ALL: [Purpose; 4] = [Purpose::Barrier, Purpose::Camera, Purpose::Upkeep, Purpose::Other];

    /// Its name in an account's text.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Barrier => "barrier",
            Purpose::Camera => "camera",
            Purpose::Upkeep => "upkeep",
            Purpose::Other => "other",
        }
    }
}

impl Account {
    /// Is money here that can be counted, given away and held against somebody?
    pub fn is_money(&self) -> bool {
        matches!(self, Account::Bank | Account::Cash(_))
    }

    /// Whose cash it is.
    pub fn holder(&self) -> Option<&str> {
        if let Account::Cash(name) = self { Some(name) } else { None }
    }
}

/// Could this be a person's or a campaign's name? 1 to 40 characters, none of them a control character, no blanks around.
pub fn is_name(text: &str) -> bool {
    let n = text.chars().count();
    (1..=40).contains(&n) && text.trim() == text && !text.chars().any(char::is_control)
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::Bank => f.write_str("bank"),
            Account::Cash(name) => write!(f, "cash:{name}"),
            Account::Campaign(id) => write!(f, "campaign:{id}"),
            Account::Fees => f.write_str("fees"),
            Account::Spent(purpose) => write!(f, "spent:{}", purpose.name()),
            Account::Refunds => f.write_str("refunds"),
            Account::Differences => f.write_str("differences"),
            Account::Opening => f.write_str("opening"),
        }
    }
}

/// A text that names no account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no account: bank, cash:NAME, campaign:NAME, fees, spent:barrier|camera|upkeep|other, refunds, differences or \
     opening is expected"
)]
pub struct NoAccount(String);

impl FromStr for Account {
    type Err = NoAccount;

    fn from_str(text: &str) -> Result<Account, NoAccount> {
        let wrong = || NoAccount(text.chars().take(48).collect());
        let named = |name: &str| if is_name(name) { Ok(name.to_owned()) } else { Err(wrong()) };
        Ok(match text.split_once(':') {
            Some(("cash", name)) => Account::Cash(named(name)?),
            Some(("campaign", id)) => Account::Campaign(named(id)?),
            Some(("spent", purpose)) => {
                Account::Spent(Purpose::ALL.into_iter().find(|p| p.name() == purpose).ok_or_else(wrong)?)
            }
            Some(_) => return Err(wrong()),
            None => match text {
                "bank" => Account::Bank,
                "fees" => Account::Fees,
                "refunds" => Account::Refunds,
                "differences" => Account::Differences,
                "opening" => Account::Opening,
                _ => return Err(wrong()),
            },
        })
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Account, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_account_has_its_text() {
        for text in ["bank", "cash:王芳", "cash:a:b", "campaign:barrier", "fees", "spent:upkeep", "refunds", "opening"]
        {
            assert_eq!(text.parse::<Account>().unwrap().to_string(), text);
        }
        for text in ["", "cash", "cash:", "cash: a", "spent:holiday", "money:x", "Bank"] {
            assert!(text.parse::<Account>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_account_that_says_itself_or_is_refused(text in "(cash:|campaign:|spent:)?\\PC{0,50}") {
            if let Ok(account) = text.parse::<Account>() {
                prop_assert_eq!(account.to_string(), text);
            }
        }
    }
}
