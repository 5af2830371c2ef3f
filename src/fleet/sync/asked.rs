//! What is not kept: how each gate is, commands and pictures, asked and answered.

use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt;

use super::{Ends, Link, LinkError, deep, last_word};
use crate::fleet::home::Home;
use crate::fleet::wire::{self, Health};

/// How often a gate says how it is.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Says how this gate is, and hears how the others are.
pub(super) async fn health<H: Home>(link: &Link<H>, client: &Client) -> Ends {
    let mut heard = subscribe(client, wire::health(link.compound(), "*")).await?;
    let mut tick = tokio::time::interval(SAY_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let health = link.at_home(|home| home.health()).await?;
                let body = serde_json::to_vec(&health).map_err(|error| LinkError::new("how the gate is", error))?;
                let sent = client.publish(wire::health(link.compound(), link.gate()), body.into()).await;
                sent.map_err(|error| LinkError::new("how the gate is", deep(&error)))?;
            }
            message = heard.next() => {
                let Some(message) = message else { return Err(LinkError("the gates' health is heard no more".into())) };
                match serde_json::from_slice::<Health>(&message.payload) {
                    Ok(health) if health.gate == last_word(&message.subject) => link.home.heard_health(health),
                    _ => link.status.refuse("an unreadable message of a gate's health"),
                }
            }
        }
    }
}

/// Does what this gate is told, if it is certain who tells it.
pub(super) async fn commands<H: Home>(link: &Link<H>, client: &Client) -> Ends {
    let mut asked = subscribe(client, wire::commands(link.compound(), link.gate())).await?;
    while let Some(message) = asked.next().await {
        let body = message.payload.clone();
        let answer = link.at_home(move |home| home.obey(&body)).await?;
        if !answer.done {
            link.status.refuse(&answer.told);
        }
        let answer = serde_json::to_vec(&answer).map_err(|error| LinkError::new("an answer", error))?;
        respond(client, message.reply, answer).await?;
    }
    Err(LinkError("commands are heard no more".into()))
}

/// Hands out pictures to those with the right to see them.
pub(super) async fn pictures<H: Home>(link: &Link<H>, client: &Client) -> Ends {
    let mut asked = subscribe(client, wire::pictures(link.compound(), link.gate())).await?;
    while let Some(message) = asked.next().await {
        let body = message.payload.clone();
        let answer = match link.at_home(move |home| home.picture(&body)).await? {
            Ok(jpeg) => jpeg,
            Err(refused) => {
                link.status.refuse(&refused.told);
                serde_json::to_vec(&refused).map_err(|error| LinkError::new("an answer", error))?
            }
        };
        respond(client, message.reply, answer).await?;
    }
    Err(LinkError("requests for pictures are heard no more".into()))
}

/// Lets boxes in that have a token; at the founder's box only.
pub(super) async fn introductions<H: Home>(link: &Link<H>, client: &Client) -> Ends {
    if !link.identity.is_founder() {
        return std::future::pending().await;
    }
    let mut asked = subscribe(client, wire::join(link.compound(), "*")).await?;
    while let Some(message) = asked.next().await {
        let body = message.payload.clone();
        let answer = link.at_home(move |home| home.admit(&body)).await?;
        respond(client, message.reply, answer).await?;
        client.flush().await.map_err(|error| LinkError::new("an answer was not sent", deep(&error)))?;
        // The broker has it, and hands it on before it reads its configuration.
        tokio::time::sleep(Duration::from_millis(300)).await;
        link.at_home(|home| home.admitted()).await?;
    }
    Err(LinkError("new boxes are heard no more".into()))
}

async fn subscribe(client: &Client, subject: String) -> Result<async_nats::Subscriber, LinkError> {
    client.subscribe(subject).await.map_err(|error| LinkError::new("nothing can be heard", deep(&error)))
}

async fn respond(client: &Client, reply: Option<async_nats::Subject>, answer: Vec<u8>) -> Result<(), LinkError> {
    let Some(reply) = reply else { return Ok(()) };
    client.publish(reply, answer.into()).await.map_err(|error| LinkError::new("an answer was not sent", deep(&error)))
}
