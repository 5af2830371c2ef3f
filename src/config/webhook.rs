//! `[[webhook]]`: Receivers that are told what happens at the gate, one table each.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::{Problem, within};

/// One `[[webhook]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// What it is called in the log, on the page and in metrics.
    pub name: String,
    /// Where to.
    pub url: Url,
    /// The file with the secret that every message is signed with; a line each while two are in use.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// Or the environment variable that holds it.
    #[serde(default)]
    pub secret_env: Option<String>,
    /// What it is told.
    #[serde(default = "usual")]
    pub events: Vec<Topic>,
    /// The residents voted that plates, households and names may go to this receiver.
    #[serde(default)]
    pub plates: bool,
    /// Certificates (PEM) that vouch for the receiver; not set: the usual authorities.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// An answer that takes longer is none, seconds.
    #[serde(default = "timeout")]
    pub timeout_s: u64,
    /// The longest pause between two tries, seconds.
    #[serde(default = "retry")]
    pub retry_at_most_s: u64,
    /// Events that wait for it at most; the oldest give way.
    #[serde(default = "keep")]
    pub keep: usize,
}

fn usual() -> Vec<Topic> {
    Topic::ALL.into_iter().filter(|t| !matches!(t, Topic::Seen | Topic::BarrierNote)).collect()
}

fn timeout() -> u64 {
    10
}

fn retry() -> u64 {
    300
}

fn keep() -> usize {
    10_000
}

/// What a receiver may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// A car was let in, or somebody opened by hand.
    Opened,
    /// A car was not let in.
    Refused,
    /// It should have opened and could not.
    Failed,
    /// A car drove away.
    Seen,
    /// Something at the barrier that somebody should look at.
    BarrierAlert,
    /// Everything else at the barrier.
    BarrierNote,
    /// The camera went, or came back.
    Camera,
    /// The box itself: started, a receiver that lost events, a command that was refused.
    Box,
}

impl Topic {
    /// All of them.
    pub const ALL: [Topic; 8] = [
        Topic::Opened,
        Topic::Refused,
        Topic::Failed,
        Topic::Seen,
        Topic::BarrierAlert,
        Topic::BarrierNote,
        Topic::Camera,
        Topic::Box,
    ];

    /// As it is written in the configuration and in messages.
    pub fn word(self) -> &'static str {
        match self {
            Topic::Opened => "opened",
            Topic::Refused => "refused",
            Topic::Failed => "failed",
            Topic::Seen => "seen",
            Topic::BarrierAlert => "barrier_alert",
            Topic::BarrierNote => "barrier_note",
            Topic::Camera => "camera",
            Topic::Box => "box",
        }
    }
}

/// Receivers at most: each has a thread.
const MOST: usize = 8;

/// Checks all of them.
pub(super) fn check(all: &[Webhook]) -> Result<(), Problem> {
    if all.len() > MOST {
        return Err(Problem::new("webhook", format!("{} receivers", all.len()), "at most 8"));
    }
    for (n, webhook) in all.iter().enumerate() {
        webhook.check()?;
        if all[..n].iter().any(|other| other.name == webhook.name) {
            return Err(Problem::new("webhook.name", &webhook.name, "another name for each receiver"));
        }
    }
    Ok(())
}

impl Webhook {
    fn check(&self) -> Result<(), Problem> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > 32 || !self.name.chars().all(fits) {
            return Err(Problem::new("webhook.name", &self.name, "1..32 small letters, digits and -"));
        }
        if self.secret_file.is_some() == self.secret_env.is_some() {
            let found = if self.secret_file.is_some() { "set, and secret_env too" } else { "not set" };
            return Err(Problem::new("webhook.secret_file", found, "either secret_file or secret_env"));
        }
        if self.events.is_empty() {
            return Err(Problem::new("webhook.events", "[]", "at least one of opened, refused, failed, seen, …"));
        }
        within("webhook.timeout_s", self.timeout_s, 1..=120, "1..120 seconds")?;
        within("webhook.retry_at_most_s", self.retry_at_most_s, 1..=3600, "1..3600 seconds")?;
        within("webhook.keep", self.keep, 10..=100_000, "10..100000 events")
    }
}

/// An address of a receiver. Its path and query may hold a token: they are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    whole: String,
    origin: String,
}

impl Url {
    /// All of it, for the connection alone.
    pub fn whole(&self) -> &str {
        &self.whole
    }

    /// Is there more than the origin? It may be a token.
    pub(super) fn has_path(&self) -> bool {
        !self.whole[self.origin.len().min(self.whole.len())..].trim_matches('/').is_empty()
    }

    /// Is it readable for everybody on the way?
    pub fn is_plain(&self) -> bool {
        self.whole.starts_with("http://")
    }

    /// Is it on this machine?
    pub fn is_loopback(&self) -> bool {
        let host = self.origin.split_once("://").map_or("", |(_, host)| host);
        host.starts_with("127.") || host.starts_with("[::1]") || host.split(':').next() == Some("localhost")
    }
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as https://house.example/hook (no user or password in it)")]
pub struct UrlError;

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Url, UrlError> {
        let text = text.trim();
        let uri: axum::http::Uri = text.parse().map_err(|_| UrlError)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(UrlError) };
        if !["http", "https"].contains(&scheme) || authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(UrlError);
        }
        Ok(Url { whole: text.to_owned(), origin: format!("{scheme}://{authority}") })
    }
}

/// Scheme, host and port.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}/…")
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Config;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, std::path::Path::new("x")).map_err(|e| e.to_string())
    }

    #[test]
    fn a_receiver_needs_little_and_mistakes_are_named() {
        let least = "[[webhook]]\nname = \"house\"\nurl = \"https://h.example/x?token=1\"\nsecret_env = \"S\"\n";
        let config = parse(least).unwrap();
        let webhook = &config.webhook[0];
        assert!(!webhook.plates && webhook.keep == 10_000 && webhook.events.len() == 6);
        assert!(!webhook.events.contains(&Topic::Seen));
        assert!(!format!("{config:?}").contains("token"), "a token stays out of the log");
        for (text, part) in [
            (least.replace("house", "My House"), "webhook.name"),
            (least.replace("https", "ftp"), "https://house.example"),
            (least.replace("h.example", "user:pw@h.example"), "no user or password"),
            (least.replace("secret_env = \"S\"\n", ""), "either secret_file or secret_env"),
            (format!("{least}secret_file = \"/x\"\n"), "either secret_file or secret_env"),
            (format!("{least}events = []\n"), "webhook.events"),
            (format!("{least}events = [\"everything\"]\n"), "barrier_alert"),
            (format!("{least}keep = 1\n"), "10..100000"),
            (format!("{least}{least}"), "another name"),
            (format!("{least}secret = \"abc\"\n"), "unknown field"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn an_address_knows_where_it_is() {
        for (text, plain, here) in [
            ("http://127.0.0.1:8080/a", true, true),
            ("http://localhost/a", true, true),
            ("http://[::1]:80/", true, true),
            ("https://localhost.example/a", false, false),
            ("http://192.168.1.5:8123/api/webhook/x", true, false),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((url.is_plain(), url.is_loopback()), (plain, here), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_none(text in "(https?://)?\\PC{0,30}") {
            if let Ok(url) = text.parse::<Url>() {
                prop_assert!(url.to_string().starts_with("http"));
            }
        }
    }
}
