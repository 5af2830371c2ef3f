//! Arrivals: told to the broker in the order of their numbers, heard from all gates of the compound.
//!
//! What was not told lies in the gate's own record of arrivals; a number says how far the broker has it. It is moved on when the
//! broker has acknowledged; what was acknowledged and not noted is sent again, and dropped by the broker (two minutes) or by
//! whoever hears it (for ever), by its id.

use std::sync::atomic::Ordering;

use async_nats::jetstream::Context;
use async_nats::jetstream::message::PublishMessage;
use jiff::{SignedDuration, Timestamp};

use super::follow::{Following, Numbered, Start};
use super::{Ends, LOOK_EVERY, Link, LinkError, Streams, WINDOW, deep, is_refusal, last_word, unreadable};
use crate::fleet::home::{Home, Next};
use crate::fleet::wire::{self, Stream, Upward};
use crate::text::one_line;

/// How far back a gate that has just started hears of the others' arrivals.
const LOOKS_BACK: SignedDuration = SignedDuration::from_hours(24);

/// Tells this gate's arrivals.
pub(super) async fn tell<H: Home>(link: &Link<H>, js: &Context) -> Ends {
    let mut told = link.at_home(|home| home.events_told()).await??;
    loop {
        let newest = link.home.newest_event();
        link.status.events_waiting.store(newest.saturating_sub(told.id), Ordering::Relaxed);
        if newest <= told.id {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        let Next { events, up_to } = link.at_home(move |home| home.events_after(told, WINDOW)).await??;
        if up_to == told.id {
            // It is being written.
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        if let Some(why) = tell_these(link, js, &events).await? {
            link.full(Stream::Events, &why).await;
            // All of them again: the broker drops those that it has.
            continue;
        }
        link.status.taken(Stream::Events.word());
        // Numbers that are on record no more: forgotten before the broker was back.
        let missed = (up_to - told.id) - events.len() as u64;
        told.id = up_to;
        link.at_home(move |home| home.keep_events_told(told)).await??;
        link.status.events_told.fetch_add(events.len() as u64, Ordering::Relaxed);
        link.status.events_missed.fetch_add(missed, Ordering::Relaxed);
    }
}

/// Tells these; gives why the broker takes no more, where it does not.
async fn tell_these<H: Home>(link: &Link<H>, js: &Context, events: &[Upward]) -> Result<Option<String>, LinkError> {
    let subject = wire::events(link.compound(), link.gate());
    let mut waiting = Vec::with_capacity(events.len());
    for event in events {
        let body = serde_json::to_vec(event).map_err(|error| LinkError::new("an arrival", error))?;
        let message = PublishMessage::build().payload(body.into()).message_id(event.message_id());
        let sent = js.send_publish(subject.clone(), message).await;
        waiting.push(sent.map_err(|error| LinkError::new("an arrival was not sent", deep(&error)))?);
    }
    let (mut full, mut failed) = (None, None);
    for answer in waiting {
        match answer.await {
            Ok(_) => {}
            Err(error) if is_refusal(&error) => full = Some(deep(&error)),
            Err(error) => failed = Some(LinkError::new("the broker did not take an arrival", deep(&error))),
        }
    }
    failed.map_or(Ok(full), Err)
}

/// Hears the arrivals of all gates.
pub(super) async fn hear<H: Home>(link: &Link<H>, streams: &Streams) -> Ends {
    const WHAT: &str = "the stream of arrivals";
    let info = streams.events.get_info().await.map_err(|error| LinkError::new(WHAT, deep(&error)))?;
    let start = match link.home.events_heard().filter(|seq| *seq <= info.state.last_sequence) {
        Some(seq) => Start::After(seq),
        None => Start::Since(Timestamp::now() - LOOKS_BACK),
    };
    let mut following = Following::begin(&streams.events, start, WHAT).await?;
    loop {
        let chunk = following.next().await?;
        let (mut events, mut heard) = (Vec::with_capacity(chunk.len()), 0);
        for Numbered { seq, message } in chunk {
            heard = seq;
            match parse(&message.payload, &message.subject) {
                Ok(event) => events.push(event),
                Err(problem) => link.status.refuse(&problem),
            }
        }
        link.at_home(move |home| {
            home.arrived(events);
            home.keep_events_heard(heard);
        })
        .await?;
    }
}

/// Reads an arrival from a message.
pub(crate) fn parse(body: &[u8], subject: &str) -> Result<Upward, String> {
    if body.len() > wire::LARGEST {
        return Err(format!("an arrival of {} bytes", body.len()));
    }
    let event: Upward = serde_json::from_slice(body).map_err(|error| unreadable("arrival", &error))?;
    // The broker lets a box speak for its own gate only: the subject is certain, the text is not.
    if event.gate != last_word(subject) {
        return Err(one_line(&format!("an arrival at {} that was told by {}", event.gate, last_word(subject))));
    }
    Ok(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::event::Event;

    #[test]
    fn an_arrival_that_another_gate_tells_is_refused() {
        let event = Upward::of(&Event::blank("x", Timestamp::UNIX_EPOCH), 2, 1, "north", None);
        let body = serde_json::to_vec(&event).unwrap();
        assert_eq!(parse(&body, "pg.a.events.north").unwrap(), event);
        assert!(parse(&body, "pg.a.events.south").unwrap_err().contains("south"));
        let strange = String::from_utf8(body.clone()).unwrap().replace("\"unreadable\"", r#""a\nb""#);
        let told = parse(strange.as_bytes(), "pg.a.events.north").unwrap_err();
        assert!(told.contains("a b") && !told.contains('\n'), "{told:?}");
        let elsewhere = String::from_utf8(body).unwrap().replace("\"north\"", r#""a\n\u001bb""#);
        let told = parse(elsewhere.as_bytes(), "pg.a.events.north").unwrap_err();
        assert!(told.contains("at a \u{FFFD}b that") && !told.contains(char::is_control), "{told:?}");
        assert!(parse(b"{", "pg.a.events.north").unwrap_err().contains("unreadable"));
        assert!(parse(&vec![b' '; 70_000], "pg.a.events.north").is_err());
    }
}
