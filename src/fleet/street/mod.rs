//! The street above the compounds: a broker to which those of the compounds lead as leaf nodes, and an office that listens there.
//!
//! In: the arrivals that lie in each compound's own stream. Out: one stream for the street, which the street's broker fills from
//! theirs, each arrival once, also after months without a line; and what a gate of a compound answers to a command. Must not
//! know: registers, passes, books: they stay in their compound. An office commands a gate as a box that the compound has let in,
//! and no broker's word is enough for it.

pub mod config;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::{Config, DiscardPolicy, External, Source, StorageType, Stream};
use async_nats::{Client, Message};
use nkeys::KeyPair;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::command::{Act, Answer, Command};
use super::identity::{Identity, IdentityError, check_servers, read_closed, write_closed};
use super::join::authority_file;
use super::sync;
use super::wire::{self, Upward};
use crate::text::one_line;

/// The account of the office at the street's broker, and the name by which it calls.
pub const OFFICE: &str = "street";
/// The stream of all arrivals.
pub const STREAM: &str = "pg_street_events";
/// How long a gate may take to answer, over two brokers.
const PATIENCE: Duration = Duration::from_secs(8);

/// The office of a street: where its broker is, and its own key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Office {
    /// The street's broker: `tls://street.example:4222`.
    pub servers: Vec<String>,
    /// The certificate of the authority that signed the broker's, PEM; the system's authorities where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    seed: String,
}

/// What went wrong, in a sentence.
#[derive(Debug, thiserror::Error)]
pub enum StreetError {
    /// The office's file.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The broker cannot be reached.
    #[error(transparent)]
    Link(#[from] sync::LinkError),
    /// The broker, or what came from it.
    #[error("{0}")]
    Broker(String),
}

fn broker(what: &str) -> impl Fn(&dyn std::error::Error) -> StreetError {
    move |error| StreetError::Broker(format!("{what}: {}", sync::deep(error)))
}

/// Where a data folder keeps it.
pub fn path(data: &Path) -> PathBuf {
    data.join("fleet/street.json")
}

impl Office {
    /// A new one, with a key of its own.
    pub fn found(servers: Vec<String>, authority: Option<String>) -> Result<Office, StreetError> {
        check_servers(&servers)?;
        let seed = KeyPair::new_user().seed().map_err(|error| StreetError::Broker(error.to_string()))?;
        Ok(Office { servers, authority, seed })
    }

    /// Reads it; none where this is no office.
    pub fn load(data: &Path) -> Result<Option<Office>, StreetError> {
        let path = path(data);
        let Some(text) = read_closed(&path)? else { return Ok(None) };
        let damaged = |problem: String| IdentityError::Damaged { path: path.clone(), problem };
        let office: Office = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        KeyPair::from_seed(&office.seed).map_err(|error| damaged(error.to_string()))?;
        check_servers(&office.servers)?;
        Ok(Some(office))
    }

    /// Writes it, for this user's eyes only.
    pub fn save(&self, data: &Path) -> Result<(), StreetError> {
        let path = path(data);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| IdentityError::Damaged { path: path.clone(), problem: error.to_string() })?;
        Ok(write_closed(&path, &text).map_err(IdentityError::from)?)
    }

    /// By this key the street's broker knows it.
    pub fn public_key(&self) -> String {
        KeyPair::from_seed(&self.seed).map(|pair| pair.public_key()).unwrap_or_default()
    }

    /// Calls the street's broker.
    pub async fn connect(&self, data: &Path) -> Result<Client, StreetError> {
        let authority = authority_file(data, self.authority.as_deref()).map_err(IdentityError::from)?;
        let caller = sync::Caller { gate: OFFICE, servers: &self.servers };
        Ok(sync::call(caller, &self.seed, authority, Arc::new(Notify::new())).await?)
    }
}

/// The stream of the street, filled from those of these compounds; made, or changed, where it is another one.
pub async fn stream(client: &Client, compounds: &[String], keep_days: u32) -> Result<Stream, StreetError> {
    let what = format!("the stream {STREAM}");
    let js = ContextBuilder::new().timeout(PATIENCE).build(client.clone());
    let source = |compound: &String| Source {
        name: wire::Stream::Events.name(compound),
        external: Some(External {
            api_prefix: config::api(compound),
            delivery_prefix: Some(config::delivery(compound)),
        }),
        ..Source::default()
    };
    let config = Config {
        name: STREAM.to_owned(),
        sources: Some(compounds.iter().map(source).collect()),
        max_age: Duration::from_secs(u64::from(keep_days) * 24 * 3600),
        max_message_size: wire::LARGEST as i32,
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        duplicate_window: Duration::from_secs(120),
        ..Config::default()
    };
    js.create_or_update_stream(config).await.map_err(|error| broker(&what)(&error))?;
    js.get_stream(STREAM).await.map_err(|error| broker(&what)(&error))
}

/// Arrivals of the street, from the oldest that is kept or from now on.
pub async fn follow(stream: &Stream, from_now: bool) -> Result<Ordered, StreetError> {
    let deliver_policy = if from_now { DeliverPolicy::New } else { DeliverPolicy::All };
    // No filter: see `sync::follow`.
    let config = OrderedConfig { deliver_policy, ..OrderedConfig::default() };
    let consumer = stream.create_consumer(config).await.map_err(|error| broker(STREAM)(&error))?;
    consumer.messages().await.map_err(|error| broker(STREAM)(&error))
}

/// An arrival and its compound. The compound is the one out of whose stream the broker has taken it: what a compound's broker
/// says in another's name is refused.
pub fn arrival(message: &Message) -> Result<(String, Upward), String> {
    let source = message.headers.as_ref().and_then(|headers| headers.get("Nats-Stream-Source"));
    let source = source.and_then(|source| source.as_str().split([':', ' ']).next()).unwrap_or_default();
    let compound = message.subject.split('.').nth(1).unwrap_or_default();
    if !wire::is_name(compound) || source != wire::Stream::Events.name(compound) {
        return Err(one_line(&format!("an arrival of {compound} that comes out of the stream {source}")));
    }
    let event = sync::parse_arrival(&message.payload, &message.subject)?;
    Ok((compound.to_owned(), event))
}

/// Asks a gate to do something, as a box of its compound and over the street's broker.
pub async fn command(
    client: &Client,
    identity: &Identity,
    gate: &str,
    act: Act,
    by: &str,
    why: &str,
) -> Result<Answer, StreetError> {
    let command = Command::new(identity, gate, act, by, why);
    let signed = command.sign(identity).map_err(StreetError::Broker)?;
    let asked = client.request(wire::commands(&identity.compound, gate), signed.into());
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => serde_json::from_slice(&answer.payload)
            .map_err(|_| StreetError::Broker("the gate's answer is unreadable".to_owned())),
        _ => Err(StreetError::Broker(format!(
            "the gate {gate} of {} does not answer: it is off, or its compound's broker is cut off",
            identity.compound
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::event::Event;
    use async_nats::HeaderMap;
    use jiff::Timestamp;

    fn message(subject: &str, source: &str) -> Message {
        let event = Upward::of(&Event::blank("x", Timestamp::UNIX_EPOCH), 2, 1, "north", None);
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Stream-Source", source);
        Message {
            subject: subject.into(),
            reply: None,
            payload: serde_json::to_vec(&event).unwrap().into(),
            headers: Some(headers),
            status: None,
            description: None,
            length: 0,
        }
    }

    #[test]
    fn a_compound_speaks_for_itself_only() {
        let told = arrival(&message("pg.garden.events.north", "pg_garden_events:abc 7")).unwrap();
        assert_eq!((told.0.as_str(), told.1.station, told.1.epoch), ("garden", 2, 1));
        for (subject, source) in [
            ("pg.park.events.north", "pg_garden_events:abc 7"),
            ("pg.garden.events.south", "pg_garden_events:abc 7"),
            ("pg.garden.events.north", ""),
        ] {
            assert!(arrival(&message(subject, source)).is_err(), "{subject} {source}");
        }
    }

    #[test]
    fn the_office_s_key_is_kept_closed() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Office::load(folder.path()).unwrap().is_none());
        let office = Office::found(vec!["tls://street.example:4222".into()], None).unwrap();
        office.save(folder.path()).unwrap();
        assert_eq!(Office::load(folder.path()).unwrap().unwrap().public_key(), office.public_key());
        assert!(Office::found(vec!["nats://street.example:4222".into()], None).is_err(), "in the clear");
        std::fs::set_permissions(path(folder.path()), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert!(Office::load(folder.path()).is_err(), "others could read it");
    }
}
