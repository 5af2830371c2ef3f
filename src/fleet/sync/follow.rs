//! Following a stream at the broker: all of it from a place on, in its order, some messages at a time.
//!
//! Without a filter, always: nats-server 2.9 tells with each message how many are still to come, and where there is a filter it
//! walks through the block of the stream to count them. So a gate that comes back would cost the broker the square of what it
//! has missed.

use async_nats::datetime::DateTime;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::message::Message;
use async_nats::jetstream::stream::Stream;
use futures_util::StreamExt;
use futures_util::stream::ReadyChunks;
use jiff::Timestamp;

use super::{LinkError, WINDOW, deep};

/// From where on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    /// Behind the message with this number.
    After(u64),
    /// What the broker has taken since then.
    Since(Timestamp),
}

/// A message and its number in the stream.
pub(super) struct Numbered {
    pub seq: u64,
    pub message: Message,
}

/// A stream that is followed.
pub(super) struct Following {
    messages: ReadyChunks<Ordered>,
    floor: Floor,
    what: &'static str,
}

/// What is older was not asked for: a consumer that is made anew before it has heard anything begins with the stream's first
/// message, wherever it had begun.
#[derive(Clone, Copy, Debug)]
enum Floor {
    Seq(u64),
    Time(DateTime),
}

impl Following {
    /// Begins; `what` names the stream in an error.
    pub(super) async fn begin(stream: &Stream, start: Start, what: &'static str) -> Result<Following, LinkError> {
        let (deliver_policy, floor) = match start {
            Start::After(seq) => (DeliverPolicy::ByStartSequence { start_sequence: seq + 1 }, Floor::Seq(seq)),
            Start::Since(at) => match async_nats::datetime::from_nanos(at.as_nanosecond()) {
                Ok(start_time) => (DeliverPolicy::ByStartTime { start_time }, Floor::Time(start_time)),
                // No clock of ours is out of that range.
                Err(_) => (DeliverPolicy::All, Floor::Seq(0)),
            },
        };
        let config = OrderedConfig { deliver_policy, ..OrderedConfig::default() };
        let consumer = stream.create_consumer(config).await.map_err(|error| LinkError::new(what, deep(&error)))?;
        let messages = consumer.messages().await.map_err(|error| LinkError::new(what, deep(&error)))?;
        Ok(Following { messages: messages.ready_chunks(WINDOW), floor, what })
    }

    /// The next messages, one at least; an error where the stream ends.
    pub(super) async fn next(&mut self) -> Result<Vec<Numbered>, LinkError> {
        loop {
            let Some(chunk) = self.messages.next().await else { return Err(LinkError::new(self.what, "it has ended")) };
            let mut numbered = Vec::with_capacity(chunk.len());
            for message in chunk {
                let message = message.map_err(|error| LinkError::new(self.what, deep(&error)))?;
                let info = message.info().map_err(|error| LinkError::new(self.what, error))?;
                let (seq, published) = (info.stream_sequence, info.published);
                if self.floor.is_within(seq, published) {
                    numbered.push(Numbered { seq, message });
                }
            }
            if !numbered.is_empty() {
                return Ok(numbered);
            }
        }
    }
}

impl Floor {
    fn is_within(self, seq: u64, published: DateTime) -> bool {
        match self {
            Floor::Seq(floor) => seq > floor,
            Floor::Time(floor) => published >= floor,
        }
    }
}
