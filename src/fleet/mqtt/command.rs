//! May this be obeyed? A message of a user's topic, judged.
//!
//! The broker lets each user write to a topic of its own; that is who says it. Where a key is configured, the message must also be
//! signed with it, say until when it is good, and carry a code that is used once.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fleet::secret::Secrets;
use crate::gate::mode::Mode;
use crate::store::{Batch, Store, StoreError, Tree};
use crate::text::one_line;

/// A signed command is good for no longer than this, seconds.
pub const LONGEST_S: i64 = 120;
/// Longer messages are none.
const LARGEST: usize = 2048;
/// Codes that are remembered; each is forgotten when its command is too old anyway.
const MOST_CODES: usize = 500;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Press "open".
    Open {
        /// Why, in a few words; empty where nothing was said.
        why: String,
    },
    /// Run the gate so.
    Mode(Mode),
}

/// Why it is not obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It was kept by the broker from before: nobody says it now.
    #[error("it is retained: send it without")]
    Retained,
    /// Not one of `mqtt.command_users`.
    #[error("this user may not command")]
    NotPermitted,
    /// Not a command.
    #[error("it is not understood: {0}")]
    NotUnderstood(String),
    /// A key is configured.
    #[error("it is not signed")]
    Unsigned,
    /// Signed with another key, or changed on the way.
    #[error("its signature is wrong")]
    Forged,
    /// Its time is over.
    #[error("it is too old: compare the clocks")]
    Expired,
    /// Good for longer than it may be.
    #[error("it is good for more than {LONGEST_S} seconds: compare the clocks")]
    TooLong,
    /// Its code was used before.
    #[error("it was sent before")]
    Replayed,
    /// More than anybody needs.
    #[error("too many commands: later again")]
    TooOften,
    /// Its code could not be put on record.
    #[error("the disk does not take its code")]
    Disk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Open,
    Mode,
}

/// A message, as it is sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Message {
    #[serde(rename = "do")]
    what: What,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
}

impl Message {
    /// What the signature is of: a line each, so that nothing runs into its neighbour.
    fn signed_text(&self, gate: &str, user: &str) -> String {
        let word = |value: Option<String>| value.unwrap_or_default();
        let what = serde_json::to_value(self.what).ok().and_then(|v| v.as_str().map(str::to_owned));
        let mode = self.mode.and_then(|mode| serde_json::to_value(mode).ok()?.as_str().map(str::to_owned));
        [
            "plategate command".to_owned(),
            gate.to_owned(),
            user.to_owned(),
            word(what),
            word(mode),
            word(self.why.clone()),
            word(self.expires.map(|at| at.to_string())),
            word(self.nonce.clone()),
        ]
        .join("\n")
    }
}

/// A signed message, ready to be sent: what `plategate mqtt sign` prints.
pub fn sign(secrets: &Secrets, gate: &str, user: &str, command: &Command, now: Timestamp) -> String {
    let (what, mode, why) = match command {
        Command::Open { why } => (What::Open, None, Some(why.clone()).filter(|why| !why.is_empty())),
        Command::Mode(mode) => (What::Mode, Some(*mode), None),
    };
    let nonce = format!("{:032x}", rand::random::<u128>());
    let expires = Some(now.as_second() + LONGEST_S / 2);
    let mut message = Message { what, mode, why, expires, nonce: Some(nonce), mac: None };
    message.mac = secrets.sign(message.signed_text(gate, user).as_bytes()).into_iter().next();
    serde_json::to_string(&message).unwrap_or_default()
}

/// Whom a gate obeys.
pub(super) struct Judge {
    /// What the gate is called in topics.
    pub(super) gate: String,
    /// Who may command.
    pub(super) users: Vec<String>,
    /// Commands must be signed.
    pub(super) must_be_signed: bool,
    pub(super) used: Used,
}

impl Judge {
    /// May it be obeyed? `secrets` is there where the key could be read; `retained` as the broker says.
    pub(super) fn judge(
        &mut self,
        user: &str,
        payload: &[u8],
        retained: bool,
        secrets: Option<&Secrets>,
        now: Timestamp,
    ) -> Result<Command, Refused> {
        if retained {
            return Err(Refused::Retained);
        }
        if !self.users.iter().any(|known| known == user) {
            return Err(Refused::NotPermitted);
        }
        let message = parse(payload)?;
        if self.must_be_signed {
            let signature = message.mac.as_deref().ok_or(Refused::Unsigned)?;
            let text = message.signed_text(&self.gate, user);
            if !secrets.is_some_and(|secrets| secrets.fits(text.as_bytes(), signature)) {
                return Err(Refused::Forged);
            }
            if message.expires.is_none() || message.nonce.is_none() {
                return Err(Refused::NotUnderstood("expires and nonce are expected".into()));
            }
        }
        if let Some(expires) = message.expires {
            match expires.saturating_sub(now.as_second()) {
                ..0 => return Err(Refused::Expired),
                0..=LONGEST_S => {}
                _ => return Err(Refused::TooLong),
            }
        }
        if let Some(nonce) = &message.nonce {
            let until = message.expires.unwrap_or(now.as_second() + LONGEST_S);
            self.used.take(&format!("{user}/{nonce}"), until, now)?;
        }
        match (message.what, message.mode) {
            (What::Open, None) => Ok(Command::Open { why: message.why.unwrap_or_default() }),
            (What::Mode, Some(mode)) => Ok(Command::Mode(mode)),
            _ => Err(Refused::NotUnderstood("mode belongs to \"do\":\"mode\", and to nothing else".into())),
        }
    }
}

fn parse(payload: &[u8]) -> Result<Message, Refused> {
    let bad = |why: &str| Refused::NotUnderstood(why.to_owned());
    if payload.len() > LARGEST {
        return Err(bad("it is too long"));
    }
    let message: Message = serde_json::from_slice(payload)
        // It repeats what it does not know, with anything in it.
        .map_err(|error| bad(&one_line(&error.to_string()).chars().take(120).collect::<String>()))?;
    let fits = |text: &Option<String>, most: usize| {
        text.as_ref().is_none_or(|text| text.chars().count() <= most && !text.chars().any(char::is_control))
    };
    if !fits(&message.why, 80) {
        return Err(bad("why: one line of at most 80 characters is expected"));
    }
    if !fits(&message.nonce, 64) || message.nonce.as_ref().is_some_and(|nonce| nonce.len() < 8) {
        return Err(bad("nonce: 8 to 64 characters are expected"));
    }
    Ok(message)
}

/// Why this is no command, if it is none; for [`crate::fuzzing`].
pub(crate) fn why_refused(payload: &[u8]) -> Option<String> {
    parse(payload).err().map(|refused| refused.to_string())
}

const TREE: &str = "commands";
const KEY: &[u8] = b"used";

/// Codes that were used and could be used again if they were forgotten; on the disk, so that a start in between helps nobody.
pub(super) struct Used {
    store: Arc<Store>,
    tree: Tree,
    codes: BTreeMap<String, i64>,
}

impl Used {
    pub(super) fn open(store: Arc<Store>) -> Result<Used, StoreError> {
        let tree = store.tree(TREE)?;
        let codes = tree.get(KEY)?.unwrap_or_default();
        Ok(Used { store, tree, codes })
    }

    /// Uses a code that is good until then, seconds since 1970.
    fn take(&mut self, code: &str, until: i64, now: Timestamp) -> Result<(), Refused> {
        let seconds = now.as_second();
        self.codes.retain(|_, until| *until >= seconds);
        if self.codes.contains_key(code) {
            return Err(Refused::Replayed);
        }
        if self.codes.len() >= MOST_CODES {
            return Err(Refused::TooOften);
        }
        self.codes.insert(code.to_owned(), until);
        let mut batch = Batch::default();
        batch.put(&self.tree, KEY, &self.codes);
        self.store.write(batch).map_err(|error| {
            tracing::error!(%error, "a command's code could not be put on record");
            Refused::Disk
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets(text: &str) -> Secrets {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, text).unwrap();
        Secrets::of_file(&file).unwrap()
    }

    fn judge(folder: &std::path::Path, must_be_signed: bool) -> Judge {
        let used = Used::open(Arc::new(Store::open(folder).unwrap())).unwrap();
        Judge { gate: "gate".into(), users: vec!["wang".into(), "home".into()], must_be_signed, used }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const NOW: i64 = 1_764_158_400;

    #[test]
    fn without_a_key_the_broker_vouches_and_nothing_old_is_obeyed() {
        let folder = tempfile::tempdir().unwrap();
        let mut judge = judge(folder.path(), false);
        let mut ask = |user: &str, text: &str, retained| judge.judge(user, text.as_bytes(), retained, None, at(NOW));
        assert_eq!(ask("home", r#"{"do":"open"}"#, false), Ok(Command::Open { why: String::new() }));
        assert_eq!(ask("home", r#"{"do":"open","why":"快递"}"#, false), Ok(Command::Open { why: "快递".into() }));
        assert_eq!(ask("home", r#"{"do":"mode","mode":"held_open"}"#, false), Ok(Command::Mode(Mode::HeldOpen)));
        assert_eq!(ask("home", r#"{"do":"open"}"#, true), Err(Refused::Retained));
        assert_eq!(ask("mallory", r#"{"do":"open"}"#, false), Err(Refused::NotPermitted));
        let old = format!(r#"{{"do":"open","expires":{}}}"#, NOW - 1);
        assert_eq!(ask("home", &old, false), Err(Refused::Expired));
        let code = r#"{"do":"open","nonce":"12345678"}"#;
        assert!(ask("home", code, false).is_ok());
        assert_eq!(ask("home", code, false), Err(Refused::Replayed));
        for text in [
            "",
            "OPEN",
            "{}",
            r#"{"do":"close"}"#,
            r#"{"do":"mode"}"#,
            r#"{"do":"open","mode":"closed"}"#,
            r#"{"do":"open","plate":"x"}"#,
            r#"{"do":"open","why":"a\nb"}"#,
            r#"{"do":"open","nonce":"1"}"#,
        ] {
            assert!(matches!(ask("home", text, false), Err(Refused::NotUnderstood(_))), "{text}");
        }
    }

    #[test]
    fn with_a_key_only_what_is_signed_fresh_and_new_is_obeyed() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, others) = (secrets("0123456789abcdef"), secrets("fedcba9876543210"));
        let open = Command::Open { why: "doctor".into() };
        let good = sign(&ours, "gate", "wang", &open, at(NOW));
        {
            let mut judge = judge(folder.path(), true);
            let mut ask = |user: &str, text: &str, now| judge.judge(user, text.as_bytes(), false, Some(&ours), at(now));
            assert_eq!(ask("wang", r#"{"do":"open"}"#, NOW), Err(Refused::Unsigned));
            assert_eq!(ask("home", &good, NOW), Err(Refused::Forged), "another user's topic");
            assert_eq!(ask("wang", &sign(&others, "gate", "wang", &open, at(NOW)), NOW), Err(Refused::Forged));
            assert_eq!(
                ask("wang", &sign(&ours, "back", "wang", &open, at(NOW)), NOW),
                Err(Refused::Forged),
                "another gate"
            );
            assert_eq!(ask("wang", &good.replace("doctor", "burglar"), NOW), Err(Refused::Forged));
            assert_eq!(ask("wang", &good, NOW + 3600), Err(Refused::Expired));
            assert_eq!(ask("wang", &good, NOW - 3600), Err(Refused::TooLong), "the box's clock is an hour behind");
            assert_eq!(ask("wang", &good, NOW), Ok(open.clone()));
            assert_eq!(ask("wang", &good, NOW + 1), Err(Refused::Replayed));
        }
        // Also after the gate was started anew.
        let mut judge = judge(folder.path(), true);
        assert_eq!(judge.judge("wang", good.as_bytes(), false, Some(&ours), at(NOW + 2)), Err(Refused::Replayed));
        assert_eq!(judge.judge("wang", good.as_bytes(), false, None, at(NOW)), Err(Refused::Forged), "without its key");
    }

    #[test]
    fn what_is_not_understood_is_told_in_one_line() {
        for payload in [r#"{"do":"a\nb"}"#, r#"{"do":"open","a\nb":1}"#] {
            let told = why_refused(payload.as_bytes()).unwrap();
            assert!(!told.contains('\n'), "{told:?}");
        }
    }

    proptest! {
        #[test]
        fn any_message_is_understood_or_refused_in_one_line(
            payload in proptest::collection::vec(any::<u8>(), 0..120),
            text in "\\{\"do\":\"(open|mode)\"\\PC{0,40}",
        ) {
            for payload in [&payload[..], text.as_bytes()] {
                if let Err(refused) = parse(payload) {
                    prop_assert!(!refused.to_string().contains('\n'));
                }
            }
        }
    }
}
