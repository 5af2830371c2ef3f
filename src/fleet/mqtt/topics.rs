//! What is where: `PREFIX/ID/state` and its neighbours.

use sha2::{Digest, Sha256};

use crate::config;

/// The topics of one gate.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    /// What the gate is called there.
    pub(super) id: String,
    base: String,
    discovery: String,
}

/// What a gate is called in topics: as it is configured, or its name if any broker takes that, or a name made from it.
pub fn id_of(settings: &config::Mqtt, gate: &str) -> String {
    if let Some(id) = &settings.id {
        return id.clone();
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !gate.is_empty() && gate.len() <= 64 && gate.chars().all(plain) {
        return gate.to_owned();
    }
    let sum = Sha256::digest(gate.as_bytes());
    format!("gate_{}", sum.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>())
}

impl Topics {
    pub(super) fn new(settings: &config::Mqtt, gate: &str) -> Topics {
        let id = id_of(settings, gate);
        Topics { base: format!("{}/{id}", settings.prefix), id, discovery: settings.discovery.clone() }
    }

    /// `online`, or `offline` by the last will.
    pub(super) fn availability(&self) -> String {
        format!("{}/availability", self.base)
    }

    /// How the gate is, retained.
    pub(super) fn state(&self) -> String {
        format!("{}/state", self.base)
    }

    /// The last arrival, retained.
    pub(super) fn arrival(&self) -> String {
        format!("{}/arrival", self.base)
    }

    /// Arrivals as they happen.
    pub(super) fn event(&self) -> String {
        format!("{}/event", self.base)
    }

    /// What somebody should look at, as it happens.
    pub(super) fn alert(&self) -> String {
        format!("{}/alert", self.base)
    }

    /// Where a user's commands come from.
    pub(super) fn command(&self, user: &str) -> String {
        format!("{}/command/{user}", self.base)
    }

    /// Whose command came by this topic?
    pub(super) fn user_of<'a>(&self, topic: &'a str) -> Option<&'a str> {
        topic.strip_prefix(&self.base)?.strip_prefix("/command/")
    }

    /// What became of a user's command.
    pub(super) fn answer(&self, user: &str) -> String {
        format!("{}/answer/{user}", self.base)
    }

    /// Where Home Assistant says that it has started; none where it is told nothing.
    pub(super) fn birth(&self) -> Option<String> {
        (!self.discovery.is_empty()).then(|| format!("{}/status", self.discovery))
    }

    /// Where Home Assistant is told of a thing.
    pub(super) fn announcement(&self, component: &str, thing: &str) -> String {
        format!("{}/{component}/plategate_{}/{thing}/config", self.discovery, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_called_something_that_any_broker_takes() {
        let settings = config::Mqtt::default();
        assert_eq!(id_of(&settings, "east-gate"), "east-gate");
        let made = id_of(&settings, "东门");
        assert!(made.starts_with("gate_") && made.is_ascii() && made != id_of(&settings, "西门"), "{made}");
        assert_eq!(id_of(&config::Mqtt { id: Some("east".into()), ..settings.clone() }, "东门"), "east");
        let topics = Topics::new(&settings, "gate");
        assert_eq!(topics.user_of("plategate/gate/command/wang"), Some("wang"));
        assert_eq!(topics.user_of("plategate/gate2/command/wang"), None);
        assert_eq!(topics.announcement("button", "open"), "homeassistant/button/plategate_gate/open/config");
    }
}
