//! `[mqtt]`: The broker of the house, and what Home Assistant is told.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::{Problem, within};

/// `[mqtt]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mqtt {
    /// The broker; no connection is tried where none is set.
    pub broker: Option<Broker>,
    /// The name to sign in with.
    pub username: Option<String>,
    /// The file with its password.
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) that vouch for the broker; not set: those of the system.
    pub ca_file: Option<PathBuf>,
    /// What this gate is called in topics; not set: made from `gate.name`.
    pub id: Option<String>,
    /// The first part of every topic.
    pub prefix: String,
    /// Where Home Assistant listens for new devices; empty: it is told nothing.
    pub discovery: String,
    /// The residents voted that plates, households and names may go to the broker.
    pub plates: bool,
    /// Commands are obeyed.
    pub commands: bool,
    /// Who may command: the users of the broker, each with a topic of its own. The first is Home Assistant's.
    pub command_users: Vec<String>,
    /// The file with the key that commands must be signed with; not set: the broker alone vouches for them.
    pub command_key_file: Option<PathBuf>,
    /// The broker is asked so often whether it is there, seconds.
    pub keep_alive_s: u16,
}

impl Default for Mqtt {
    fn default() -> Mqtt {
        Mqtt {
            broker: None,
            username: None,
            password_file: None,
            ca_file: None,
            id: None,
            prefix: "plategate".into(),
            discovery: "homeassistant".into(),
            plates: false,
            commands: false,
            command_users: Vec::new(),
            command_key_file: None,
            keep_alive_s: 15,
        }
    }
}

/// One level of a topic that any broker takes.
fn is_level(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
    !text.is_empty() && text.len() <= 64 && text.chars().all(plain)
}

impl Mqtt {
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.password_file.is_some() && self.username.is_none() {
            return Err(Problem::new(
                "mqtt.username",
                "not set, but mqtt.password_file is",
                "the user of the password",
            ));
        }
        if let Some(id) = self.id.as_ref().filter(|id| !is_level(id) || id.contains('.')) {
            return Err(Problem::new("mqtt.id", id, "1..64 letters, digits, _ and -"));
        }
        for (key, topic) in [("mqtt.prefix", &self.prefix), ("mqtt.discovery", &self.discovery)] {
            let may_be_empty = key == "mqtt.discovery";
            if !(topic.split('/').all(is_level) || may_be_empty && topic.is_empty()) {
                return Err(Problem::new(key, topic, "topic levels of letters, digits, _ and -, such as plategate"));
            }
        }
        if let Some(user) = self.command_users.iter().find(|user| !is_level(user)) {
            return Err(Problem::new("mqtt.command_users", user, "names of letters, digits, _, - and ."));
        }
        if self.commands && self.command_users.is_empty() {
            let found = "[], but mqtt.commands is true";
            return Err(Problem::new("mqtt.command_users", found, "the users that may command"));
        }
        within("mqtt.keep_alive_s", self.keep_alive_s, 5..=300, "5..300 seconds")
    }
}

/// Where a broker is: `mqtt://host:1883`, or `mqtts://host:8883` over TLS.
#[derive(Clone, PartialEq, Eq)]
pub struct Broker {
    /// Over TLS.
    pub tls: bool,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Broker {
    /// Is it on this machine?
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host == "::1" || self.host.starts_with("127.")
    }
}

/// A text that names no broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected mqtt://host:1883 or mqtts://host:8883 (the user is set in mqtt.username)")]
pub struct BrokerError;

impl FromStr for Broker {
    type Err = BrokerError;

    fn from_str(text: &str) -> Result<Broker, BrokerError> {
        let uri: axum::http::Uri = text.trim().parse().map_err(|_| BrokerError)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(BrokerError) };
        let tls = match scheme {
            "mqtt" => false,
            "mqtts" => true,
            _ => return Err(BrokerError),
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let more = !matches!(uri.path(), "" | "/") || uri.query().is_some() || authority.as_str().contains('@');
        if host.is_empty() || more {
            return Err(BrokerError);
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if tls => 8883,
            None => 1883,
        };
        Ok(Broker { tls, host: host.to_owned(), port })
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "{scheme}://{host}:{}", self.port)
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<'de> Deserialize<'de> for Broker {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Broker, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Config;

    #[test]
    fn brokers_are_named_and_mistakes_too() {
        let broker = |text: &str| text.parse::<Broker>().map(|b| b.to_string());
        assert_eq!(broker("mqtt://10.0.0.2").unwrap(), "mqtt://10.0.0.2:1883");
        assert_eq!(broker("mqtts://house.lan/").unwrap(), "mqtts://house.lan:8883");
        assert_eq!(broker("mqtts://[::1]:99").unwrap(), "mqtts://[::1]:99");
        for text in ["", "10.0.0.2", "http://x", "mqtt://u:p@host", "mqtt://host/path", "mqtt://:1883"] {
            assert_eq!(broker(text), Err(BrokerError), "{text}");
        }
        for (text, part) in [
            ("commands = true", "mqtt.command_users"),
            ("prefix = \"a/#\"", "mqtt.prefix"),
            ("prefix = \"\"", "mqtt.prefix"),
            ("id = \"东门\"", "mqtt.id"),
            ("command_users = [\"a/b\"]", "mqtt.command_users"),
            ("password_file = \"/x\"", "mqtt.username"),
            ("keep_alive_s = 1", "5..300"),
            ("broker = \"tcp://x\"", "mqtts://host:8883"),
            ("password = \"x\"", "unknown field"),
        ] {
            let error = Config::parse(&format!("[mqtt]\n{text}\n"), std::path::Path::new("x")).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(Config::parse("[mqtt]\ndiscovery = \"\"\n", std::path::Path::new("x")).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_a_broker_or_none(text in "(mqtts?://)?\\PC{0,30}") {
            if let Ok(broker) = text.parse::<Broker>() {
                prop_assert_eq!(broker.to_string().parse::<Broker>(), Ok(broker));
            }
        }
    }
}
