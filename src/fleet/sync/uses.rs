//! How often each gate has let in on each visitor's pass: every gate tells its own count, and adds up what it hears
//! ([`super::changes::hear`]: they lie in the register's stream).

use std::collections::HashMap;

use async_nats::jetstream::Context;
use async_nats::jetstream::message::PublishMessage;

use super::{Ends, LOOK_EVERY, Link, LinkError, deep, is_refusal, last_word, unreadable};
use crate::fleet::home::Home;
use crate::fleet::wire::{self, Stream};
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
        let mut full = None;
        for (own, answer) in waiting {
            match answer.await {
                Ok(_) => drop(told.insert(own.pass, own.count)),
                Err(error) if is_refusal(&error) => full = Some(deep(&error)),
                Err(error) => return Err(LinkError::new("the broker did not take a use", deep(&error))),
            }
        }
        match full {
            Some(why) => link.full(Stream::Register, &why).await,
            None => told_all_of = Some(generation),
        }
    }
}

/// Reads a count from a message.
pub(super) fn parse(body: &[u8], subject: &str, compound: &str) -> Result<Use, String> {
    let used: Use = serde_json::from_slice(body).map_err(|error| unreadable("use of a pass", &error))?;
    if wire::used(compound, used.pass, last_word(subject)) != subject {
        return Err(format!("a use of pass {} that was told as one of another", used.pass));
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_of_the_pass_that_its_subject_names() {
        let body = serde_json::to_vec(&Use { pass: 7, station: 2, count: 3 }).unwrap();
        assert_eq!(parse(&body, "pg.a.passes.used.7.north", "a").unwrap().count, 3);
        for subject in ["pg.a.passes.used.8.north", "pg.b.passes.used.7.north", "pg.a.passes.used.7"] {
            assert!(parse(&body, subject, "a").is_err(), "{subject}");
        }
        assert!(parse(b"{", "pg.a.passes.used.7.north", "a").unwrap_err().contains("unreadable"));
    }
}
