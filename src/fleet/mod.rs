//! The box and the world around it: other gates of the compound, and the houses' own engines.
//!
//! In: events and changes that are already on this box's disk. Out: the same, to whoever the stewards named; changes that
//! other boxes made. Must not know: the lane's frames, how a plate is read, HTML. Nothing here is ever waited for by the
//! lane: with nobody configured no connection is tried, and with everybody gone the gate goes on alone.
//!
//! Over NATS, follow it in this order: [`identity`] (who this box is) → [`wire`] (subjects and messages) → [`home`] (what the
//! sync wants of a gate) → [`sync`] (what goes back and forth) → [`gates`] (what is known of the other gates). `docs/fleet.md`
//! has the design.

pub mod command;
pub mod disk;
pub mod gates;
pub mod happening;
pub mod home;
pub mod identity;
pub mod join;
pub mod lookout;
pub mod mqtt;
pub mod pass_code;
pub mod secret;
pub mod seen;
pub mod server;
pub mod simulate;
pub mod status;
pub mod street;
pub mod sync;
pub mod webhook;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;

use command::{Act, Answer, Command};
use gates::Gates;
use identity::Identity;
use status::Status;

/// What the pages and the command line see of the fleet.
pub struct Fleet {
    /// Who this box is.
    pub identity: Arc<Identity>,
    /// How the connection is.
    pub status: Arc<Status>,
    /// The other gates.
    pub gates: Arc<Gates>,
    client: Arc<ArcSwapOption<async_nats::Client>>,
}

/// Why another gate could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The broker is away.
    #[error("the broker is not connected: that gate cannot be asked now")]
    Away,
    /// Nobody answered.
    #[error("the gate {0} does not answer: it is cut off or off")]
    Silent(String),
    /// It said no.
    #[error("{0}")]
    Refused(String),
}

/// How long another gate may take to answer.
const PATIENCE: Duration = Duration::from_secs(4);

impl Fleet {
    /// For a box that belongs to one; nothing is connected yet.
    pub fn new(identity: Identity) -> Fleet {
        let gates = Arc::new(Gates::new(&identity.gate));
        Fleet { identity: Arc::new(identity), status: Arc::default(), gates, client: Arc::default() }
    }

    /// Where the sync leaves the connection while there is one.
    pub fn client(&self) -> Arc<ArcSwapOption<async_nats::Client>> {
        self.client.clone()
    }

    /// Asks another gate to do something, in a person's name; gives what it says.
    pub async fn command(&self, gate: &str, act: Act, by: &str, why: &str) -> Result<Answer, AskError> {
        let command = Command::new(&self.identity, gate, act, by, why);
        let signed = command.sign(&self.identity).map_err(AskError::Refused)?;
        let answer = self.ask(wire::commands(&self.identity.compound, gate), signed, gate).await?;
        serde_json::from_slice(&answer).map_err(|_| AskError::Refused("the gate's answer is unreadable".into()))
    }

    /// Asks another gate for the picture of an arrival, in a person's name: JPEG.
    pub async fn picture(&self, gate: &str, event: u64, by: &str) -> Result<Vec<u8>, AskError> {
        let command = Command::new(&self.identity, gate, Act::Picture { event }, by, "");
        let signed = command.sign(&self.identity).map_err(AskError::Refused)?;
        let answer = self.ask(wire::pictures(&self.identity.compound, gate), signed, gate).await?;
        if answer.starts_with(&[0xff, 0xd8]) {
            return Ok(answer);
        }
        let refused = serde_json::from_slice::<Answer>(&answer).map(|a| a.told);
        Err(AskError::Refused(refused.unwrap_or_else(|_| "the gate's answer is unreadable".into())))
    }

    async fn ask(&self, subject: String, body: Vec<u8>, gate: &str) -> Result<Vec<u8>, AskError> {
        let client = self.client.load_full().ok_or(AskError::Away)?;
        match tokio::time::timeout(PATIENCE, client.request(subject, body.into())).await {
            Ok(Ok(message)) => Ok(message.payload.to_vec()),
            _ => Err(AskError::Silent(gate.to_owned())),
        }
    }
}
