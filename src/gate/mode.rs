//! How the gate is run at the moment: by its rules, held open, or closed; by a steward's hand or by the schedule.
//!
//! In: what a steward sets ([`Hand`]), the schedule of the configuration, the time. Out: a [`Mode`] and who wanted it. The
//! hand goes before the schedule as long as it lasts. This room knows nothing of pages: whoever has the [`Hand`] may set it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Serialize};

use crate::config;

/// How the gate is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By its rules.
    #[default]
    Normal,
    /// Every car that comes is let in.
    HeldOpen,
    /// No car is let in but emergency vehicles.
    Closed,
}

/// A mode that a steward set by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByHand {
    /// Which.
    pub mode: Mode,
    /// Who set it.
    pub by: String,
    /// When.
    pub since: Timestamp,
    /// Until when; until somebody sets another where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The mode that stewards set by hand. Clones are one and the same; read without waiting, set from anywhere.
#[derive(Clone, Debug, Default)]
pub struct Hand {
    set: Arc<ArcSwapOption<ByHand>>,
}

impl Hand {
    /// Sets a mode. [`Mode::Normal`] set by hand overrules the schedule; [`Hand::let_go`] gives it back its say.
    pub fn set(&self, wanted: ByHand) {
        self.set.store(Some(Arc::new(wanted)));
    }

    /// The schedule alone counts again.
    pub fn let_go(&self) {
        self.set.store(None);
    }

    /// What is set and still lasts.
    pub fn get(&self, at: Timestamp) -> Option<Arc<ByHand>> {
        self.set.load_full().filter(|set| set.lasts(at))
    }

    /// The mode at this moment: what is set by hand and lasts, else what the schedule says.
    pub fn mode(&self, local: &Zoned, schedule: &config::Schedule) -> Mode {
        let set = self.set.load();
        match set.as_ref().filter(|set| set.lasts(local.timestamp())) {
            Some(set) => set.mode,
            None => by_schedule(local, schedule),
        }
    }
}

impl From<Mode> for crate::barrier::Mode {
    fn from(mode: Mode) -> crate::barrier::Mode {
        match mode {
            Mode::Normal => crate::barrier::Mode::Normal,
            Mode::HeldOpen => crate::barrier::Mode::HeldOpen,
            Mode::Closed => crate::barrier::Mode::Closed,
        }
    }
}

impl ByHand {
    fn lasts(&self, at: Timestamp) -> bool {
        self.until.is_none_or(|until| at < until)
    }
}

/// What the schedule says; closed goes before held open where both are on.
pub fn by_schedule(local: &Zoned, schedule: &config::Schedule) -> Mode {
    let (day, time) = (local.weekday(), local.time());
    if schedule.closed.iter().any(|hours| hours.contain(day, time)) {
        Mode::Closed
    } else if schedule.hold_open.iter().any(|hours| hours.contain(day, time)) {
        Mode::HeldOpen
    } else {
        Mode::Normal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    fn schedule(hold_open: &[&str], closed: &[&str]) -> config::Schedule {
        let parse = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect();
        config::Schedule { hold_open: parse(hold_open), closed: parse(closed) }
    }

    #[test]
    fn the_schedule_follows_the_hour_on_the_wall() {
        let schedule = schedule(&["mon-fri 07:00-08:30"], &["daily 23:30-05:00"]);
        for (when, want) in [
            ("2026-11-25T07:00:00+08:00[Asia/Shanghai]", Mode::HeldOpen),
            ("2026-11-25T08:29:59+08:00[Asia/Shanghai]", Mode::HeldOpen),
            ("2026-11-25T08:30:00+08:00[Asia/Shanghai]", Mode::Normal),
            ("2026-11-28T07:10:00+08:00[Asia/Shanghai]", Mode::Normal),
            ("2026-11-28T23:30:00+08:00[Asia/Shanghai]", Mode::Closed),
            ("2026-11-29T00:00:00+08:00[Asia/Shanghai]", Mode::Closed),
            ("2026-11-29T04:59:59+08:00[Asia/Shanghai]", Mode::Closed),
            ("2026-11-29T05:00:00+08:00[Asia/Shanghai]", Mode::Normal),
        ] {
            assert_eq!(by_schedule(&at(when), &schedule), want, "{when}");
        }
    }

    #[test]
    fn a_night_belongs_to_the_day_it_begins_on() {
        let schedule = schedule(&[], &["sat 22:00-06:00"]);
        assert_eq!(by_schedule(&at("2026-11-29T03:00:00+08:00[Asia/Shanghai]"), &schedule), Mode::Closed, "sunday");
        assert_eq!(by_schedule(&at("2026-11-28T03:00:00+08:00[Asia/Shanghai]"), &schedule), Mode::Normal, "saturday");
    }

    #[test]
    fn summer_time_moves_the_hour_and_the_schedule_moves_with_it() {
        let schedule = schedule(&["daily 02:00-04:00"], &[]);
        // Berlin: on 29 March 2026 the hour from two to three does not exist, on 25 October it comes twice.
        for (when, want) in [
            ("2026-03-29T00:59:59Z", Mode::Normal),
            ("2026-03-29T01:00:00Z", Mode::HeldOpen),
            ("2026-03-29T02:00:00Z", Mode::Normal),
            ("2026-10-25T00:30:00Z", Mode::HeldOpen),
            ("2026-10-25T01:30:00Z", Mode::HeldOpen),
            ("2026-10-25T02:59:59Z", Mode::HeldOpen),
            ("2026-10-25T03:00:00Z", Mode::Normal),
        ] {
            let when: Timestamp = when.parse().unwrap();
            assert_eq!(by_schedule(&when.in_tz("Europe/Berlin").unwrap(), &schedule), want, "{when}");
        }
    }

    #[test]
    fn the_hand_goes_before_the_schedule_until_its_time_is_over() {
        let (hand, schedule) = (Hand::default(), schedule(&[], &["daily 00:00-24:00"]));
        let now = at("2026-11-25T12:00:00+08:00[Asia/Shanghai]");
        assert_eq!(hand.mode(&now, &schedule), Mode::Closed);
        let until = now.timestamp() + jiff::SignedDuration::from_mins(10);
        let wanted = |mode| ByHand { mode, by: "王芳".into(), since: now.timestamp(), until: Some(until) };
        hand.set(wanted(Mode::Normal));
        assert_eq!(hand.clone().mode(&now, &schedule), Mode::Normal);
        hand.set(wanted(Mode::HeldOpen));
        assert_eq!(hand.get(now.timestamp()).unwrap().by, "王芳");
        let later = now.checked_add(jiff::SignedDuration::from_mins(10)).unwrap();
        assert_eq!(hand.mode(&later, &schedule), Mode::Closed);
        assert!(hand.get(later.timestamp()).is_none());
        hand.let_go();
        assert_eq!(hand.mode(&now, &schedule), Mode::Closed);
    }
}
