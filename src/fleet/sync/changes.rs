//! The register's records: told when they change, heard when others change them.
//!
//! A record's whole state goes out, and only onto the state of it that this gate knows: the broker refuses it otherwise. Whoever
//! was refused hears the other state, joins the two, and tells the result. So the last message of each record is all that
//! anybody needs, and a gate that was away for a year hears each record once.

use std::sync::atomic::Ordering;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;

use super::follow::{Following, Numbered, Start};
use super::{Ends, LOOK_EVERY, Link, LinkError, Streams, WINDOW, deep, is_refusal, unreadable, uses};
use crate::fleet::home::{Home, HomeError};
use crate::fleet::wire::{self, Stream};
use crate::register::Key;
use crate::register::share::{Heard, Outcome, Told, Use};
use crate::text::one_line;

/// Tells what has changed here.
pub(super) async fn tell<H: Home>(link: &Link<H>, js: &Context, streams: &Streams) -> Ends {
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
        let Answers { raced, full } = tell_these(link, js, unsent).await?;
        match full {
            Some(why) => link.full(Stream::Register, &why).await,
            None => link.status.taken(Stream::Register.word()),
        }
        if !raced.is_empty() {
            // Somebody else was first: their state is on its way here, if it is one.
            tokio::time::sleep(LOOK_EVERY.mul_f64(rand::random_range(1.0..4.0))).await;
            look_behind(link, streams, raced).await?;
        }
    }
}

/// What the broker did not take.
#[derive(Default)]
struct Answers {
    /// It has something else of them than was known here.
    raced: Vec<Told>,
    /// It takes no more: why.
    full: Option<String>,
}

/// Tells these records.
async fn tell_these<H: Home>(link: &Link<H>, js: &Context, unsent: Vec<Told>) -> Result<Answers, LinkError> {
    let mut waiting = Vec::with_capacity(unsent.len());
    for told in unsent {
        let body = serde_json::to_vec(&told).map_err(|error| LinkError::new("a record", error))?;
        let message = PublishMessage::build().payload(body.into()).expected_last_subject_sequence(told.seq);
        let subject = wire::record(link.compound(), &told.key);
        let answer =
            js.send_publish(subject, message).await.map_err(|e| LinkError::new("a record was not sent", deep(&e)))?;
        waiting.push((told, answer));
    }
    let (mut sent, mut answers, mut failed) = (Vec::with_capacity(waiting.len()), Answers::default(), None);
    for (told, answer) in waiting {
        match answer.await {
            Ok(answer) => sent.push((told, answer.sequence)),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => answers.raced.push(told),
            Err(error) if is_refusal(&error) => answers.full = Some(deep(&error)),
            Err(error) => failed = Some(LinkError::new("the broker did not take a record", deep(&error))),
        }
    }
    link.status.records_told.fetch_add(sent.len() as u64, Ordering::Relaxed);
    link.at_home(move |home| home.sent(&sent)).await??;
    match failed {
        Some(error) => Err(error),
        None => Ok(answers),
    }
}

/// Records that are looked up at the broker at once, when it has something else of them.
const LOOKED_UP: usize = 16;

/// What the broker has of records that it refused to take: a state comes here by itself, but whatever is none would stand in
/// the way for ever, and this gate's own state takes its place.
async fn look_behind<H: Home>(link: &Link<H>, streams: &Streams, raced: Vec<Told>) -> Result<(), LinkError> {
    for told in raced.into_iter().take(LOOKED_UP) {
        let subject = wire::record(link.compound(), &told.key);
        let Ok(there) = streams.register.get_last_raw_message_by_subject(&subject).await else { continue };
        if refusal(link, &there.payload, &subject).await?.is_some() {
            supersede(link, subject, there.sequence).await?;
        }
    }
    Ok(())
}

/// Why a message is refused; none where it is taken.
async fn refusal<H: Home>(link: &Link<H>, body: &[u8], subject: &str) -> Result<Option<String>, LinkError> {
    match parse(body, subject, link.compound()) {
        Ok(told) => link.at_home(move |home| home.refuses(&told)).await,
        Err(problem) => Ok(Some(problem)),
    }
}

async fn supersede<H: Home>(link: &Link<H>, subject: String, seq: u64) -> Result<(), LinkError> {
    let compound = link.compound().to_owned();
    link.at_home(move |home| home.supersede(&|key: &Key| wire::record(&compound, key) == subject, seq)).await??;
    Ok(())
}

/// Hears what others have changed, and how often they have let in on passes.
pub(super) async fn hear<H: Home>(link: &Link<H>, streams: &Streams) -> Ends {
    const WHAT: &str = "the register's stream";
    let info = streams.register.get_info().await.map_err(|error| LinkError::new(WHAT, deep(&error)))?;
    let mut heard = link.at_home(|home| home.heard()).await??;
    let stream = info.created.to_string();
    // Another stream, or one that was brought back from before: what is on record about it means nothing.
    if heard.stream != stream || heard.seq > info.state.last_sequence {
        heard = Heard { stream, seq: 0 };
        let begun = heard.clone();
        link.at_home(move |home| home.begin_stream(&begun)).await??;
    }
    let mut following = Following::begin(&streams.register, Start::After(heard.seq), WHAT).await?;
    loop {
        let mut found = sort(following.next().await?, link.compound());
        heard.seq = heard.seq.max(found.last);
        link.status.records_heard.fetch_add(found.records.len() as u64, Ordering::Relaxed);
        let (records, uses, now) = (found.records, found.uses, heard.clone());
        let (outcome, refusals) = link.at_home(move |home| take(home, records, &uses, &now)).await??;
        let of = |(told, why): (Told, String)| (wire::record(link.compound(), &told.key), told.seq, why);
        found.no_records.extend(refusals.into_iter().map(of));
        for problem in found.no_uses.into_iter().chain(outcome.refused) {
            link.status.refuse(&problem);
        }
        for (subject, seq, problem) in found.no_records {
            tracing::warn!(problem, "a record of another gate was refused");
            link.status.refuse(&problem);
            supersede(link, subject, seq).await?;
        }
    }
}

/// What came together.
#[derive(Default)]
struct Found {
    records: Vec<Told>,
    uses: Vec<Use>,
    /// Under records' subjects, with their numbers and why they are none.
    no_records: Vec<(String, u64, String)>,
    no_uses: Vec<String>,
    /// The last message's number.
    last: u64,
}

fn sort(chunk: Vec<Numbered>, compound: &str) -> Found {
    let mut found = Found::default();
    for Numbered { seq, message } in chunk {
        found.last = seq;
        let (body, subject) = (&message.payload, message.subject.as_str());
        if wire::is_use(compound, subject) {
            match uses::parse(body, subject, compound) {
                Ok(used) => found.uses.push(used),
                Err(problem) => found.no_uses.push(problem),
            }
        } else {
            match parse(body, subject, compound) {
                Ok(record) => found.records.push(Told { seq, ..record }),
                Err(problem) => found.no_records.push((subject.to_owned(), seq, problem)),
            }
        }
    }
    found
}

/// The uses before the records, with which it is put on record how far the stream was heard.
fn take<H: Home>(
    home: &H,
    records: Vec<Told>,
    uses: &[Use],
    now: &Heard,
) -> Result<(Outcome, Vec<(Told, String)>), HomeError> {
    if !uses.is_empty() {
        home.hear_uses(uses)?;
    }
    let (mut good, mut refusals) = (Vec::with_capacity(records.len()), Vec::new());
    for told in records {
        match home.refuses(&told) {
            None => good.push(told),
            Some(problem) => refusals.push((told, problem)),
        }
    }
    Ok((home.hear(good, now)?, refusals))
}

/// Reads a record from a message.
pub(crate) fn parse(body: &[u8], subject: &str, compound: &str) -> Result<Told, String> {
    if body.len() > wire::LARGEST {
        return Err(format!("a record of {} bytes", body.len()));
    }
    let told: Told = serde_json::from_slice(body).map_err(|error| unreadable("record", &error))?;
    // Under another's subject it would hide that one from gates that come later.
    if wire::record(compound, &told.key) != subject {
        return Err(one_line(&format!("{}: told under the subject of another record", told.key)));
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
