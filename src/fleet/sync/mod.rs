//! What goes back and forth between a gate and the broker.
//!
//! In: a gate ([`Home`]) and who it is. Out: the same register on every gate, arrivals upwards, and how the connection is
//! ([`Status`]). One file a stream. Everything begins anew with each connection, from what the gate's disk says was told and
//! heard: so a connection, a broker or this process may end at any moment.
//!
//! Nothing is kept in memory for later: what was not told lies in the gate's own register and record of arrivals, and a number
//! says how far the broker has it.

mod asked;
mod book;
mod certificate;
mod changes;
mod events;
mod follow;
pub(crate) mod receipts;
mod uses;

pub(crate) use changes::parse as parse_record;
pub(crate) use events::parse as parse_arrival;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::{ContextBuilder, PublishError};
use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::Notify;

use super::home::{Home, HomeError};
use super::identity::Identity;
use super::status::Status;
use super::wire::Stream;
use crate::text::one_line;

/// Why a connection ended: one sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LinkError(String);

impl LinkError {
    fn new(what: &str, error: impl std::fmt::Display) -> LinkError {
        LinkError(format!("{what}: {error}"))
    }
}

impl From<HomeError> for LinkError {
    fn from(error: HomeError) -> LinkError {
        LinkError(error.0)
    }
}

/// The futures of a connection never end well.
type Ends = Result<Infallible, LinkError>;

/// Messages that are sent before their answers are awaited, and that are taken at once.
const WINDOW: usize = 256;
/// How often the gate is asked whether there is something to tell.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the broker may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Waits between tries to connect: the first and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Between two tries to tell a broker that takes no more.
const FULL_WAIT: Duration = Duration::from_secs(5);

/// A gate's way to the broker.
pub struct Link<H> {
    /// The gate.
    pub home: Arc<H>,
    /// Who it is.
    pub identity: Arc<Identity>,
    /// How it goes.
    pub status: Arc<Status>,
    /// The connection, while there is one.
    pub client: Arc<ArcSwapOption<Client>>,
    /// How long the broker keeps arrivals, days; counts where the stream is made.
    pub keep_days: u32,
    /// The file with the authority's certificate, if one is needed.
    pub authority: Option<PathBuf>,
}

/// Who calls the broker, and where.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The gate's name.
    pub gate: &'a str,
    /// The brokers.
    pub servers: &'a [String],
}

/// Connects with a secret key. `gone` is told when the connection ends.
pub async fn call(
    caller: Caller<'_>,
    seed: &str,
    authority: Option<PathBuf>,
    gone: Arc<Notify>,
) -> Result<Client, LinkError> {
    // The page does the same when it serves HTTPS; the second one finds it done.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let told = gone.clone();
    let mut options = ConnectOptions::with_nkey(seed.to_owned())
        .name(format!("plategate {}", caller.gate))
        .custom_inbox_prefix(inbox(caller.gate))
        .connection_timeout(Duration::from_secs(5))
        .request_timeout(Some(PATIENCE))
        .max_reconnects(1)
        .client_capacity(WINDOW * 4)
        .event_callback(move |event| {
            let gone = told.clone();
            async move {
                match event {
                    Event::Disconnected | Event::Closed => gone.notify_one(),
                    Event::ServerError(error) => tracing::warn!(%error, "the broker refuses something"),
                    _ => {}
                }
            }
        });
    if let Some(path) = authority {
        options = options.add_root_certificates(path);
    }
    options.connect(caller.servers).await.map_err(|error| match certificate::problem(&error) {
        Some(problem) => LinkError(format!("the broker is not trusted: {problem}")),
        None => LinkError::new("the broker cannot be reached", deep(&error)),
    })
}

/// Connects as this box.
pub async fn connect(identity: &Identity, authority: Option<PathBuf>, gone: Arc<Notify>) -> Result<Client, LinkError> {
    call(Caller { gate: &identity.gate, servers: &identity.servers }, identity.seed(), authority, gone).await
}

/// Where answers to this gate go: no other box may read them.
pub fn inbox(gate: &str) -> String {
    format!("_INBOX_{gate}")
}

/// What is wrong with a message. The error repeats what it does not know, with anything in it.
fn unreadable(what: &str, error: &serde_json::Error) -> String {
    format!("an unreadable {what}: {}", one_line(&error.to_string()))
}

/// An error with what is behind it, in one line.
pub(super) fn deep(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text.replace('\n', " ")
}

/// Is it the broker's own word that it does not take a message, and not the line's end?
fn is_refusal(error: &PublishError) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<async_nats::jetstream::Error>())
}

impl<H: Home> Link<H> {
    /// Keeps the connection up, for ever.
    pub async fn run(self: Arc<Self>) {
        let mut wait = FIRST_WAIT;
        loop {
            let begun = tokio::time::Instant::now();
            let error = match self.clone().session().await {
                Err(error) => error,
                Ok(never) => match never {},
            };
            self.client.store(None);
            if self.status.failed(&error.0) {
                tracing::warn!(%error, "cut off from the other gates; this one goes on alone");
            }
            if begun.elapsed() > LONGEST_WAIT {
                wait = FIRST_WAIT;
            }
            // Not all gates of a street at the same moment.
            tokio::time::sleep(wait.mul_f64(rand::random_range(0.5..1.0))).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn session(self: Arc<Self>) -> Ends {
        let gone = Arc::new(Notify::new());
        let client = connect(&self.identity, self.authority.clone(), gone.clone()).await?;
        let js = ContextBuilder::new().timeout(PATIENCE).max_ack_inflight(WINDOW * 8).build(client.clone());
        let streams = Streams::open(&js, &self.identity.compound, self.keep_days).await?;
        self.client.store(Some(Arc::new(client.clone())));
        self.status.connected();
        tracing::info!(compound = %self.identity.compound, "connected with the other gates");
        let ends = async {
            gone.notified().await;
            Err::<Infallible, _>(LinkError("the connection to the broker has ended".into()))
        };
        let done = tokio::try_join!(
            ends,
            changes::hear(&self, &streams),
            changes::tell(&self, &js, &streams),
            events::tell(&self, &js),
            events::hear(&self, &streams),
            uses::tell(&self, &js),
            book::tell(&self, &js, &streams),
            book::hear(&self, &streams),
            receipts::fetch(&self, &client),
            asked::health(&self, &client),
            asked::commands(&self, &client),
            asked::pictures(&self, &client),
            asked::introductions(&self, &client),
        );
        match done {
            Err(error) => Err(error),
            Ok((never, ..)) => match never {},
        }
    }

    /// The broker takes no more of a stream: that is told, and it is tried again in a while. The line is good: all else goes on.
    async fn full(&self, stream: Stream, why: &str) {
        if self.status.full(stream.word(), why) {
            tracing::warn!(why, stream = stream.word(), "the broker takes no more; what is to be told waits here");
        }
        tokio::time::sleep(FULL_WAIT.mul_f64(rand::random_range(0.5..1.0))).await;
    }

    /// Asks the gate something that may wait for its disk.
    async fn at_home<T: Send + 'static>(&self, ask: impl FnOnce(&H) -> T + Send + 'static) -> Result<T, LinkError> {
        let home = self.home.clone();
        tokio::task::spawn_blocking(move || ask(&home))
            .await
            .map_err(|error| LinkError::new("the gate's own disk", error))
    }

    fn compound(&self) -> &str {
        &self.identity.compound
    }

    fn gate(&self) -> &str {
        &self.identity.gate
    }
}

/// The compound's streams at the broker.
struct Streams {
    register: async_nats::jetstream::stream::Stream,
    events: async_nats::jetstream::stream::Stream,
    book: async_nats::jetstream::stream::Stream,
}

impl Streams {
    /// Finds them, or makes them.
    async fn open(js: &Context, compound: &str, keep_days: u32) -> Result<Streams, LinkError> {
        let open = async |stream: Stream| {
            let config = stream.config(compound, keep_days);
            let name = config.name.clone();
            js.get_or_create_stream(config)
                .await
                .map_err(|error| LinkError::new(&format!("the stream {name}"), deep(&error)))
        };
        Ok(Streams {
            register: open(Stream::Register).await?,
            events: open(Stream::Events).await?,
            book: open(Stream::Book).await?,
        })
    }
}

/// The last word of a subject: a gate's name.
fn last_word(subject: &str) -> &str {
    subject.rsplit('.').next().unwrap_or_default()
}
