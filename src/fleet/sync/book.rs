//! The book: told by the one box that keeps it, copied by all others.
//!
//! The number of a message in the stream is that of its entry, and the broker takes an entry only behind the one before it: so
//! what the broker has never forks, whatever two boxes believe.

use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;

use super::follow::{Following, Numbered, Start};
use super::{Ends, LOOK_EVERY, Link, LinkError, Streams, WINDOW, deep, is_refusal, unreadable};
use crate::fleet::home::Home;
use crate::fleet::wire::{self, Stream};
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
        let (mut raced, mut full, mut failed) = (false, None, None);
        for answer in waiting {
            match answer.await {
                Ok(answer) => told = told.max(answer.sequence),
                Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => raced = true,
                // What came behind it does not follow on what the broker has, and raced.
                Err(error) if is_refusal(&error) => full = Some(deep(&error)),
                Err(error) => failed = Some(LinkError::new("the broker did not take an entry", deep(&error))),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        match full {
            Some(why) => link.full(Stream::Book, &why).await,
            None => link.status.taken(Stream::Book.word()),
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
    let start = Start::After(link.home.book_head());
    let mut following = Following::begin(&streams.book, start, "the book's stream").await?;
    loop {
        let chunk = following.next().await?;
        let mut records = Vec::with_capacity(chunk.len());
        let mut wrong = None;
        for Numbered { message, .. } in chunk {
            match serde_json::from_slice::<Record>(&message.payload) {
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
}
