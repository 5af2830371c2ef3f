//! How often each gate has let in on each visitor's pass: every gate tells its own count, and adds up what it hears.

use std::collections::HashMap;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::message::PublishMessage;
use futures_util::StreamExt;

use super::{Ends, LOOK_EVERY, Link, LinkError, Streams, WINDOW, deep};
use crate::fleet::home::Home;
use crate::fleet::wire;
use crate::register::share::Use;

/// Tells this gate's own counts, each when it has changed; all of them at the start of a connection.
pub(super) async fn tell<H: Home>(link: &Link<H>, js: &Context) -> Ends {
    let mut told: HashMap<u64, u32> = HashMap::new();
    let mut told_all_of = None;
    loop {
        let generation = link.home.generation();
        if told_all_of == Some(generation) {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        let uses = link.at_home(|home| home.own_uses()).await??;
        let mut waiting = Vec::new();
        for own in uses.into_iter().filter(|own| told.get(&own.pass) != Some(&own.count)) {
            let body = serde_json::to_vec(&own).map_err(|error| LinkError::new("a use", error))?;
            let subject = wire::used(link.compound(), own.pass, link.gate());
            let sent = js.send_publish(subject, PublishMessage::build().payload(body.into())).await;
            waiting.push((own, sent.map_err(|error| LinkError::new("a use was not sent", deep(&error)))?));
        }
        for (own, answer) in waiting {
            answer.await.map_err(|error| LinkError::new("the broker did not take a use", deep(&error)))?;
            told.insert(own.pass, own.count);
        }
        told_all_of = Some(generation);
    }
}

/// Hears the other gates' counts.
pub(super) async fn hear<H: Home>(link: &Link<H>, streams: &Streams) -> Ends {
    let failed = |error: &dyn std::error::Error| LinkError::new("the stream of passes", deep(error));
    let config = OrderedConfig {
        filter_subject: wire::all_used(link.compound()),
        deliver_policy: DeliverPolicy::All,
        ..OrderedConfig::default()
    };
    let consumer = streams.register.create_consumer(config).await.map_err(|e| failed(&e))?;
    let mut messages = consumer.messages().await.map_err(|e| failed(&e))?.ready_chunks(WINDOW);
    while let Some(chunk) = messages.next().await {
        let mut uses = Vec::with_capacity(chunk.len());
        for message in chunk {
            let message = message.map_err(|e| failed(&e))?;
            match serde_json::from_slice::<Use>(&message.payload) {
                Ok(used)
                    if wire::used(link.compound(), used.pass, super::last_word(&message.subject))
                        == *message.subject =>
                {
                    uses.push(used);
                }
                _ => link.status.refuse("an unreadable use of a pass"),
            }
        }
        link.at_home(move |home| home.hear_uses(&uses)).await??;
    }
    Err(LinkError("the stream of passes has ended".into()))
}
