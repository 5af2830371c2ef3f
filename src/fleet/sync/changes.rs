//! The register's records: told when they change, heard when others change them.
//!
//! A record's whole state goes out, and only onto the state of it that this gate knows: the broker refuses it otherwise. Whoever
//! was refused hears the other state, joins the two, and tells the result. So the last message of each record is all that
//! anybody needs, and a gate that was away for a year hears each record once.

use std::sync::atomic::Ordering;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use futures_util::StreamExt;

use super::{Ends, LOOK_EVERY, Link, LinkError, Streams, WINDOW, deep};
use crate::fleet::home::Home;
use crate::fleet::wire;
use crate::register::share::{Heard, Told};

/// Tells what has changed here.
pub(super) async fn tell<H: Home>(link: &Link<H>, js: &Context) -> Ends {
    let mut told_all_of = None;
    loop {
        let generation = link.home.generation();
        if told_all_of == Some(generation) {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        let unsent = link.at_home(|home| home.unsent(WINDOW)).await??;
        link.status.records_waiting.store(link.home.unsent_count() as u64, Ordering::Relaxed);
        if unsent.is_empty() {
            told_all_of = Some(generation);
            continue;
        }
        if tell_these(link, js, unsent).await? {
            // Somebody else was first: their state is on its way here.
            tokio::time::sleep(LOOK_EVERY.mul_f64(rand::random_range(1.0..4.0))).await;
        }
    }
}

/// Tells these records. `true` if some were refused because others told theirs first.
async fn tell_these<H: Home>(link: &Link<H>, js: &Context, unsent: Vec<Told>) -> Result<bool, LinkError> {
    let mut waiting = Vec::with_capacity(unsent.len());
    for told in unsent {
        let body = serde_json::to_vec(&told).map_err(|error| LinkError::new("a record", error))?;
        let message = PublishMessage::build().payload(body.into()).expected_last_subject_sequence(told.seq);
        let subject = wire::record(link.compound(), &told.key);
        let answer =
            js.send_publish(subject, message).await.map_err(|e| LinkError::new("a record was not sent", deep(&e)))?;
        waiting.push((told, answer));
    }
    let (mut sent, mut raced, mut failed) = (Vec::with_capacity(waiting.len()), false, None);
    for (told, answer) in waiting {
        match answer.await {
            Ok(answer) => sent.push((told, answer.sequence)),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => raced = true,
            Err(error) => failed = Some(LinkError::new("the broker did not take a record", deep(&error))),
        }
    }
    link.status.records_told.fetch_add(sent.len() as u64, Ordering::Relaxed);
    link.at_home(move |home| home.sent(&sent)).await??;
    match failed {
        Some(error) => Err(error),
        None => Ok(raced),
    }
}

/// Hears what others have changed.
pub(super) async fn hear<H: Home>(link: &Link<H>, streams: &Streams) -> Ends {
    let info =
        streams.register.get_info().await.map_err(|error| LinkError::new("the register's stream", deep(&error)))?;
    let mut heard = link.at_home(|home| home.heard()).await??;
    let stream = info.created.to_string();
    // Another stream, or one that was brought back from before: what is on record about it means nothing.
    if heard.stream != stream || heard.seq > info.state.last_sequence {
        heard = Heard { stream, seq: 0 };
        let begun = heard.clone();
        link.at_home(move |home| home.begin_stream(&begun)).await??;
    }
    let config = OrderedConfig {
        filter_subject: wire::records(link.compound()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: heard.seq + 1 },
        ..OrderedConfig::default()
    };
    let failed = |error: &dyn std::error::Error| LinkError::new("the register's stream", deep(error));
    let consumer = streams.register.create_consumer(config).await.map_err(|e| failed(&e))?;
    let mut messages = consumer.messages().await.map_err(|e| failed(&e))?.ready_chunks(WINDOW);
    while let Some(chunk) = messages.next().await {
        let mut told = Vec::with_capacity(chunk.len());
        for message in chunk {
            let message = message.map_err(|e| failed(&e))?;
            let Ok(seq) = message.info().map(|info| info.stream_sequence) else { continue };
            heard.seq = heard.seq.max(seq);
            match parse(&message.payload, &message.subject, link.compound()) {
                Ok(record) => told.push(Told { seq, ..record }),
                Err(problem) => link.status.refuse(&problem),
            }
        }
        link.status.records_heard.fetch_add(told.len() as u64, Ordering::Relaxed);
        let now = heard.clone();
        let outcome = link.at_home(move |home| home.hear(told, &now)).await??;
        for problem in outcome.refused {
            tracing::warn!(problem, "a record of another gate was refused");
            link.status.refuse(&problem);
        }
    }
    Err(LinkError("the register's stream has ended".into()))
}

fn parse(body: &[u8], subject: &str, compound: &str) -> Result<Told, String> {
    if body.len() > wire::LARGEST {
        return Err(format!("a record of {} bytes", body.len()));
    }
    let told: Told = serde_json::from_slice(body).map_err(|error| format!("an unreadable record: {error}"))?;
    // Under another's subject it would hide that one from gates that come later.
    if wire::record(compound, &told.key) != subject {
        return Err(format!("{}: told under the subject of another record", told.key));
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_in_one_line(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(parse(&bytes, "pg.a.register.vehicle.x", "a").is_err());
        }
    }
}
