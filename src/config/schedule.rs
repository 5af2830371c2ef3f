//! `[schedule]`: Hours in which the gate is held open, or closed.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Time, Weekday};
use serde::{Deserialize, Deserializer};

/// `[schedule]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// When every car that comes is let in.
    pub hold_open: Vec<Hours>,
    /// When no car is let in but emergency vehicles; goes before `hold_open`.
    pub closed: Vec<Hours>,
}

/// Some hours of some days of the week: `mon-fri 07:00-08:30`, `sat sun 22:00-06:00`, `daily 00:00-24:00`.
/// Hours that run past midnight belong to the day they begin on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Monday first.
    days: [bool; 7],
    /// Minutes since midnight, `from` in 0..1440, `to` in 1..=1440.
    from: u16,
    to: u16,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES: u16 = 24 * 60;

impl Hours {
    /// Is this time of this day among them?
    pub fn contain(&self, day: Weekday, time: Time) -> bool {
        let today = usize::from(day.to_monday_zero_offset().unsigned_abs());
        let minute = u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs());
        if self.from < self.to {
            return self.days[today] && (self.from..self.to).contains(&minute);
        }
        (self.days[today] && minute >= self.from) || (self.days[(today + 6) % 7] && minute < self.to)
    }
}

/// Why a text is not hours.
#[derive(Debug, thiserror::Error)]
#[error(
    "'{0}' are no hours: write them like \"mon-fri 07:00-08:30\", \"sat sun 22:00-06:00\" or \"daily 00:00-24:00\""
)]
pub struct HoursError(String);

impl FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Hours, HoursError> {
        parse(text).ok_or_else(|| HoursError(text.chars().take(60).collect()))
    }
}

fn parse(text: &str) -> Option<Hours> {
    let lower = text.to_ascii_lowercase();
    let (days, hours) = lower.trim().rsplit_once(' ')?;
    let (from, to) = hours.split_once('-')?;
    let (from, to) = (minutes(from)?, minutes(to)?);
    let mut hours = Hours { days: [false; 7], from, to };
    for word in days.split([' ', ',']).filter(|w| !w.is_empty()) {
        hours.add(word)?;
    }
    let some = hours.days.contains(&true);
    (some && from != to && from < DAY_MINUTES && to > 0).then_some(hours)
}

impl Hours {
    /// A day, `mon-fri`, or `daily`.
    fn add(&mut self, word: &str) -> Option<()> {
        if word == "daily" {
            self.days = [true; 7];
            return Some(());
        }
        let place = |day: &str| DAYS.iter().position(|d| *d == day);
        let (first, last) = match word.split_once('-') {
            Some((first, last)) => (place(first)?, place(last)?),
            None => (place(word)?, place(word)?),
        };
        // fri-mon runs over the week's end.
        let length = (last + 7 - first) % 7;
        (0..=length).for_each(|n| self.days[(first + n) % 7] = true);
        Some(())
    }
}

/// `HH:MM` up to 24:00, as minutes since midnight.
fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |t: &str| (t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse::<u16>().ok());
    let (hour, minute) = (number(hour)??, number(minute)??);
    (minute < 60 && hour * 60 + minute <= DAY_MINUTES).then_some(hour * 60 + minute)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (day, _) in DAYS.iter().zip(self.days).filter(|(_, on)| *on) {
            write!(f, "{day} ")?;
        }
        let [a, b] = [self.from, self.to].map(|m| (m / 60, m % 60));
        write!(f, "{:02}:{:02}-{:02}:{:02}", a.0, a.1, b.0, b.1)
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hours, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_and_hours_are_read_as_they_are_said() {
        for (text, want) in [
            ("mon-fri 07:00-08:30", "mon tue wed thu fri 07:00-08:30"),
            ("Sat, Sun 22:00-06:00", "sat sun 22:00-06:00"),
            ("daily 00:00-24:00", "mon tue wed thu fri sat sun 00:00-24:00"),
            ("fri-mon 10:00-11:00", "mon fri sat sun 10:00-11:00"),
        ] {
            assert_eq!(text.parse::<Hours>().unwrap().to_string(), want);
        }
        for text in
            ["", "mon", "mon 7:00-8:00", "mon 07:00-07:00", "mon 24:00-05:00", "mon 07:00-24:01", "may 07:00-08:00"]
        {
            let error = text.parse::<Hours>().expect_err(text).to_string();
            assert!(error.contains("mon-fri 07:00-08:30"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_comes_back(text in "(mon|tue|daily|sat-mon)?[ ,]{0,2}[0-9:\\-]{0,12}|\\PC{0,20}") {
            if let Ok(hours) = text.parse::<Hours>() {
                prop_assert_eq!(hours.to_string().parse::<Hours>().unwrap(), hours);
            }
        }
    }
}
