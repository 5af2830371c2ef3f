//! Telling another gate to open, to stay open, or to show a picture: signed, for a moment only, once.
//!
//! In: what a person asked on one box. Out: a signed message; at the other end a [`Command`] that is certain, or one reason why
//! it was refused. A command is asked and answered: it never waits in a queue until somebody opens a gate with it at night.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::identity::{Identity, verify};
use crate::ledger::Hash;
use crate::register::Member;

/// What a gate is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Press "open" once.
    Open,
    /// Stay open until then, or until told otherwise.
    HoldOpen {
        /// Until when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// Be run by the rules again.
    Normal,
    /// Hand out the picture of an arrival.
    Picture {
        /// Its number at that gate.
        event: u64,
    },
    /// Hand out a part of a receipt's photograph: one box copies what another one has.
    Receipt {
        /// Which.
        hash: Hash,
        /// From which byte on.
        from: usize,
    },
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Never given twice.
    pub nonce: String,
    /// To which gate.
    pub gate: String,
    /// What.
    pub act: Act,
    /// In whose name.
    pub by: String,
    /// Why, in the person's words.
    #[serde(default)]
    pub why: String,
    /// When it was asked.
    pub at: Timestamp,
    /// Until when it counts.
    pub until: Timestamp,
    /// The number of the box that asks.
    pub station: u16,
}

/// As it goes over the wire: the very bytes that were signed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    body: String,
    signature: String,
}

/// What a gate says to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Was it done?
    pub done: bool,
    /// In a sentence.
    pub told: String,
}

impl Answer {
    /// It was done.
    pub fn done(told: impl Into<String>) -> Answer {
        Answer { done: true, told: told.into() }
    }

    /// It was refused.
    pub fn refused(told: impl Into<String>) -> Answer {
        Answer { done: false, told: told.into() }
    }
}

/// How long a command counts. The clocks of the boxes may differ by a part of it.
const LASTS: SignedDuration = SignedDuration::from_secs(15);
/// How far ahead the asking box's clock may be.
const AHEAD: SignedDuration = SignedDuration::from_secs(10);
/// More commands at once come from no person.
const MOST_NONCES: usize = 4096;

impl Command {
    /// A new one, of this moment.
    pub fn new(identity: &Identity, gate: &str, act: Act, by: &str, why: &str) -> Command {
        let at = Timestamp::now();
        Command {
            nonce: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()),
            gate: gate.to_owned(),
            act,
            by: by.to_owned(),
            why: why.chars().take(120).collect(),
            at,
            until: at + LASTS,
            station: identity.number,
        }
    }

    /// Signs it with the box's key.
    pub fn sign(&self, identity: &Identity) -> Result<Vec<u8>, String> {
        let body = serde_json::to_string(self).map_err(|error| error.to_string())?;
        let signature = identity.sign(body.as_bytes())?;
        serde_json::to_vec(&Signed { body, signature }).map_err(|error| error.to_string())
    }
}

/// Why a command was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not one.
    #[error("the command is unreadable")]
    Unreadable,
    /// Nobody's.
    #[error("the command comes from a box that does not belong to the compound, or was shut out")]
    Nobody,
    /// Not signed by who it says.
    #[error("the command's signature is not that of box {0}: it was forged or altered")]
    Forged(u16),
    /// For another gate.
    #[error("the command is for the gate {0}")]
    Elsewhere(String),
    /// Too old.
    #[error("the command is {0} s old: it came too late, or the clocks of the two boxes differ")]
    Stale(i64),
    /// From the future.
    #[error("the command is dated {0} s ahead: the clocks of the two boxes differ")]
    Ahead(i64),
    /// A second time.
    #[error("the command was given once already: this is a repetition")]
    Replayed,
    /// It could not be put on record, and so might be obeyed again after a start.
    #[error("the command could not be put on record: {0}")]
    Unrecorded(String),
}

/// The commands that were obeyed and could still be repeated, and until when each counts.
pub type Obeyed = HashMap<String, Timestamp>;

/// Puts them on record, in place of those before.
type Keep = Box<dyn Fn(&Obeyed) -> Result<(), String> + Send + Sync>;

/// Judges commands; remembers those that still count, so that none is obeyed twice, whatever happens in between.
pub struct Judge {
    gate: String,
    /// What was asked well before this box started does not count: it comes late.
    since: Timestamp,
    seen: Mutex<Obeyed>,
    keep: Keep,
}

impl Judge {
    /// For this gate, from this moment on, with what is on record from before.
    pub fn new(
        gate: &str,
        since: Timestamp,
        seen: Obeyed,
        keep: impl Fn(&Obeyed) -> Result<(), String> + Send + Sync + 'static,
    ) -> Judge {
        Judge { gate: gate.to_owned(), since, seen: Mutex::new(seen), keep: Box::new(keep) }
    }

    /// The command, if it is good: signed by a box that the compound vouches for, for this gate, of now, for the first time.
    pub fn judge(
        &self,
        message: &[u8],
        members: &[Member],
        is_vouched: impl Fn(&Member) -> bool,
        now: Timestamp,
    ) -> Result<Command, Refused> {
        let signed: Signed = serde_json::from_slice(message).map_err(|_| Refused::Unreadable)?;
        let command: Command = serde_json::from_str(&signed.body).map_err(|_| Refused::Unreadable)?;
        let member = members.iter().find(|m| m.number == command.station).ok_or(Refused::Nobody)?;
        if member.out || !is_vouched(member) {
            return Err(Refused::Nobody);
        }
        if !verify(&member.key, signed.body.as_bytes(), &signed.signature) {
            return Err(Refused::Forged(command.station));
        }
        if command.gate != self.gate {
            return Err(Refused::Elsewhere(command.gate));
        }
        if command.at > now + AHEAD {
            return Err(Refused::Ahead(command.at.duration_since(now).as_secs()));
        }
        if now > command.until || command.at < self.since - AHEAD || command.until > command.at + LASTS {
            return Err(Refused::Stale(now.duration_since(command.at).as_secs()));
        }
        let mut seen = self.seen.lock();
        seen.retain(|_, until| *until + AHEAD + AHEAD > now);
        if seen.contains_key(&command.nonce) || seen.len() >= MOST_NONCES {
            return Err(Refused::Replayed);
        }
        seen.insert(command.nonce.clone(), command.until);
        if let Err(problem) = (self.keep)(&seen) {
            seen.remove(&command.nonce);
            return Err(Refused::Unrecorded(problem));
        }
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::super::identity::tests::{founder, joined};
    use super::*;

    fn judge_of(gate: &str, since: Timestamp) -> Judge {
        Judge::new(gate, since, Obeyed::default(), |_| Ok(()))
    }

    #[test]
    fn a_command_is_on_record_before_it_is_obeyed_and_not_obeyed_again_after_a_start() {
        let (main, now) = (founder(), Timestamp::now());
        let record = std::sync::Arc::new(Mutex::new(Obeyed::default()));
        let kept = record.clone();
        let judge = Judge::new("main", now, Obeyed::default(), move |seen| {
            *kept.lock() = seen.clone();
            Ok(())
        });
        let signed = Command::new(&main, "main", Act::Open, "王芳", "").sign(&main).unwrap();
        let give = |judge: &Judge| judge.judge(&signed, &[main.member()], |m| main.vouched(m), now);
        assert!(give(&judge).is_ok());
        let started = Judge::new("main", now, record.lock().clone(), |_| Ok(()));
        assert_eq!(give(&started), Err(Refused::Replayed));
        let full = Judge::new("main", now, Obeyed::default(), |_| Err("no room".into()));
        assert!(matches!(give(&full), Err(Refused::Unrecorded(_))));
    }

    #[test]
    fn only_a_fresh_command_of_a_member_for_this_gate_counts_and_once() {
        let main = founder();
        let (north, stranger) = (joined(&main, 2, "north"), founder());
        let members = [main.member(), north.member()];
        let now = Timestamp::now();
        let judge = judge_of("north", now);
        let vouched = |member: &Member| north.vouched(member);
        let give = |bytes: &[u8], now| judge.judge(bytes, &members, vouched, now);
        let command = Command::new(&main, "north", Act::Open, "王芳", "快递");
        let signed = command.sign(&main).unwrap();
        assert_eq!(give(&signed, now).unwrap(), command);
        assert_eq!(give(&signed, now), Err(Refused::Replayed));
        let fresh = |gate: &str| Command::new(&main, gate, Act::Open, "王芳", "");
        let later = now + SignedDuration::from_secs(60);
        assert!(matches!(give(&fresh("north").sign(&main).unwrap(), later), Err(Refused::Stale(s)) if s >= 59));
        let skewed = now - SignedDuration::from_hours(1);
        assert!(matches!(give(&fresh("north").sign(&main).unwrap(), skewed), Err(Refused::Ahead(_))));
        assert_eq!(give(&fresh("south").sign(&main).unwrap(), now), Err(Refused::Elsewhere("south".into())));
        // Signed by a key that is not that box's, altered, or by nobody's.
        assert_eq!(give(&fresh("north").sign(&stranger).unwrap(), now), Err(Refused::Forged(1)));
        let altered = String::from_utf8(fresh("north").sign(&main).unwrap()).unwrap().replace("王芳", "李强");
        assert_eq!(give(altered.as_bytes(), now), Err(Refused::Forged(1)));
        let nobody = Command { station: 9, ..fresh("north") };
        assert_eq!(give(&nobody.sign(&main).unwrap(), now), Err(Refused::Nobody));
        // One that would count for a year.
        let long = Command { until: now + SignedDuration::from_hours(9000), ..fresh("north") };
        assert!(matches!(give(&long.sign(&main).unwrap(), now), Err(Refused::Stale(_))));
        assert_eq!(give(b"{}", now), Err(Refused::Unreadable));
    }

    #[test]
    fn a_box_that_was_shut_out_commands_nothing() {
        let main = founder();
        let north = joined(&main, 2, "north");
        let out = main.vouch(2, "north", &north.public_key(), true).unwrap();
        let judge = judge_of("main", Timestamp::now());
        let signed = Command::new(&north, "main", Act::Open, "王芳", "").sign(&north).unwrap();
        let give = |members: &[Member]| judge.judge(&signed, members, |m| main.vouched(m), Timestamp::now());
        assert_eq!(give(&[main.member(), out]), Err(Refused::Nobody));
        // A member that names itself so, without the compound's word.
        assert_eq!(give(&[Member { voucher: "AAAA".into(), ..north.member() }]), Err(Refused::Nobody));
        assert!(give(&[main.member(), north.member()]).is_ok());
    }

    #[test]
    fn a_command_from_before_the_start_does_not_count() {
        let main = founder();
        let command = Command::new(&main, "main", Act::Open, "王芳", "");
        let started = command.at + AHEAD + SignedDuration::from_secs(2);
        let judge = judge_of("main", started);
        let told = judge.judge(&command.sign(&main).unwrap(), &[main.member()], |m| main.vouched(m), started);
        assert!(matches!(told, Err(Refused::Stale(_))), "{told:?}");
    }
}
