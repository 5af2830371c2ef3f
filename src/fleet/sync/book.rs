//! The book: told by the one box that keeps it, copied by all others.
//!
//! The number of a message in the stream is that of its entry, and the broker takes an entry only behind the one before it: so
//! what the broker has never forks, whatever two boxes believe.

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use futures_util::StreamExt;

use super::{Ends, LOOK_EVERY, Link, LinkError, Streams, WINDOW, deep, unreadable};
use crate::fleet::home::Home;
use crate::fleet::wire;
use crate::ledger::verify::Record;

/// Tells the entries that the broker has not, while this box keeps the book.
pub(super) async fn tell<H: Home>(link: &Link<H>, js: &Context, streams: &Streams) -> Ends {
    let mut told = last(streams).await?;
    loop {
        let head = link.home.book_head();
        if head <= told || !link.at_home(|home| home.keeps_book()).await? {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        let records = link.at_home(move |home| home.book_after(told, WINDOW)).await?;
        let mut waiting = Vec::with_capacity(records.len());
        for (before, record) in (told..).zip(&records) {
            let body = serde_json::to_vec(record).map_err(|error| LinkError::new("an entry", error))?;
            let message = PublishMessage::build().payload(body.into()).expected_last_sequence(before);
            let sent = js.send_publish(wire::book(link.compound()), message).await;
            waiting.push(sent.map_err(|error| LinkError::new("an entry was not sent", deep(&error)))?);
        }
        let (mut raced, mut failed) = (false, None);
        for answer in waiting {
            match answer.await {
                Ok(answer) => told = told.max(answer.sequence),
                Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => raced = true,
                Err(error) => failed = Some(LinkError::new("the broker did not take an entry", deep(&error))),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if raced {
            // An acknowledgement that was lost: the broker has more than was known here.
            told = last(streams).await?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

async fn last(streams: &Streams) -> Result<u64, LinkError> {
    let info = streams.book.get_info().await.map_err(|error| LinkError::new("the book's stream", deep(&error)))?;
    Ok(info.state.last_sequence)
}

/// Copies the entries that this box has not.
pub(super) async fn hear<H: Home>(link: &Link<H>, streams: &Streams) -> Ends {
    let failed = |error: &dyn std::error::Error| LinkError::new("the book's stream", deep(error));
    let start_sequence = link.home.book_head() + 1;
    let config = OrderedConfig {
        filter_subject: wire::book(link.compound()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
        ..OrderedConfig::default()
    };
    let consumer = streams.book.create_consumer(config).await.map_err(|e| failed(&e))?;
    let mut messages = consumer.messages().await.map_err(|e| failed(&e))?.ready_chunks(WINDOW);
    while let Some(chunk) = messages.next().await {
        let mut records = Vec::with_capacity(chunk.len());
        let mut wrong = None;
        for message in chunk {
            match serde_json::from_slice::<Record>(&message.map_err(|e| failed(&e))?.payload) {
                Ok(record) => records.push(record),
                Err(error) => wrong = Some(unreadable("entry of the book", &error)),
            }
        }
        if wrong.is_none() {
            wrong = link.at_home(move |home| home.hear_book(records)).await?.err().map(|error| error.0);
        }
        if let Some(problem) = wrong {
            // Nothing behind it can be taken either; the rest of the sync has nothing to do with it.
            tracing::error!(problem, "the book is copied no further");
            link.status.refuse(&problem);
            return std::future::pending().await;
        }
    }
    Err(LinkError("the book's stream has ended".into()))
}
