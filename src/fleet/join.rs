//! Letting boxes in and shutting them out: one-time tokens, the roster of the founder's box, and a new box's first words.
//!
//! In: a token that the founder's box made, and the public key of the box that shows it. Out: the compound's word for that box,
//! once. The new box's secret key never leaves it; the token's key may do nothing at the broker but introduce one box for one
//! gate. The roster lies beside the founder's keys, so that a command can change it while the gate runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use nkeys::KeyPair;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::identity::{Identity, Joined, verify};
use super::server::{self, Reloaded, Settings};
use super::{sync, wire};
use crate::register::Member;
use crate::store::{StoreError, write_whole};

/// A token begins so.
const PREFIX: &str = "plategate-join-";

/// An invitation for one box.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// The box's number-to-be.
    pub number: u16,
    /// The gate it is for.
    pub gate: String,
    /// The token's public key.
    pub key: String,
    /// Until when it counts.
    pub until: Timestamp,
    /// Somebody has come with it.
    #[serde(default)]
    pub used: bool,
}

/// The founder's list of boxes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// Every box that ever was let in.
    pub members: Vec<Member>,
    /// Every invitation.
    #[serde(default)]
    pub invitations: Vec<Invitation>,
    /// How the broker's configuration is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Settings>,
}

/// Where the founder's data folder keeps it.
pub fn roster_path(data: &Path) -> PathBuf {
    data.join("fleet/roster.json")
}

impl Roster {
    /// Reads it; an empty one where there is none.
    pub fn load(data: &Path) -> Result<Roster, StoreError> {
        let path = roster_path(data);
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| StoreError::Archive { path, problem: format!("damaged: {error}") }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Roster::default()),
            Err(error) => Err(StoreError::disk(&path, error)),
        }
    }

    /// Writes it.
    pub fn save(&self, data: &Path) -> Result<(), StoreError> {
        let path = roster_path(data);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| StoreError::Archive { path: path.clone(), problem: error.to_string() })?;
        write_whole(&path, &text)
    }

    /// Invitations that still count.
    pub fn open_invitations(&self) -> impl Iterator<Item = &Invitation> {
        let now = Timestamp::now();
        self.invitations.iter().filter(move |invitation| !invitation.used && invitation.until > now)
    }

    /// Invitations whose token may still be shown: also once more, by a box whose answer was lost.
    pub fn guests(&self) -> impl Iterator<Item = &Invitation> {
        let now = Timestamp::now();
        self.invitations.iter().filter(move |invitation| invitation.until > now)
    }

    /// The number for the next box; none is ever given twice.
    fn next_number(&self) -> u16 {
        let members = self.members.iter().map(|m| m.number);
        members.chain(self.invitations.iter().map(|i| i.number)).max().unwrap_or(1) + 1
    }

    /// Writes the broker's configuration and tells the broker; nothing where somebody else keeps it.
    pub fn tell_broker(&self, compound: &str) -> Result<Option<Reloaded>, StoreError> {
        self.server.as_ref().map(|settings| server::write(compound, self, settings)).transpose()
    }
}

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Token {
    #[serde(flatten)]
    compound: Joined,
    gate: String,
    seed: String,
    until: Timestamp,
}

/// Why nobody was let in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Not a token.
    #[error("this is no token: copy all of what `plategate fleet invite` printed")]
    NoToken,
    /// Over.
    #[error("this token was good until {0}: ask for a new one")]
    Over(Timestamp),
    /// The broker.
    #[error("{0}. Has the broker read its configuration since the invitation?")]
    Broker(String),
    /// The founder's box does not answer.
    #[error("the box that founded the fleet does not answer: it has to run (plategate run) and reach the broker")]
    Silent,
    /// It said no.
    #[error("the box was not let in: {0}")]
    Refused(String),
    /// A name that cannot be.
    #[error("'{0}' cannot be a name here: 1 to 32 letters a-z, digits and -")]
    Name(String),
    /// Keys.
    #[error("{0}")]
    Key(String),
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes an invitation for one gate: gives the token.
pub fn invite(
    identity: &Identity,
    roster: &mut Roster,
    gate: &str,
    lasts: SignedDuration,
) -> Result<String, JoinError> {
    if !identity.is_founder() {
        return Err(JoinError::Key("only the box that founded the fleet invites: do it there".into()));
    }
    if !wire::is_name(gate) {
        return Err(JoinError::Name(gate.to_owned()));
    }
    if roster.members.iter().any(|m| m.gate == gate && !m.out) {
        return Err(JoinError::Refused(format!("the gate {gate} has a box: let that one leave first")));
    }
    let pair = KeyPair::new_user();
    let seed = pair.seed().map_err(|error| JoinError::Key(error.to_string()))?;
    let until = Timestamp::now() + lasts;
    let number = roster.next_number();
    roster.invitations.push(Invitation { number, gate: gate.to_owned(), key: pair.public_key(), until, used: false });
    let compound = Joined {
        compound: identity.compound.clone(),
        servers: identity.servers.clone(),
        authority: identity.authority.clone(),
        compound_key: identity.compound_key.clone(),
    };
    let token = Token { compound, gate: gate.to_owned(), seed, until };
    let bytes = serde_json::to_vec(&token).map_err(|error| JoinError::Key(error.to_string()))?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// A new box's first words: its public key, signed with it, and with the token's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Introduction {
    gate: String,
    token: String,
    key: String,
    by_token: String,
    by_key: String,
}

fn words(compound: &str, gate: &str, key: &str) -> Vec<u8> {
    format!("plategate join\n{compound}\n{gate}\n{key}").into_bytes()
}

/// What the founder's box says to it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    In(Member),
    Out(String),
}

/// Lets the box in that introduces itself so, if its token counts: once. Gives the reply, and the new member.
pub fn admit(identity: &Identity, data: &Path, message: &[u8]) -> (Vec<u8>, Option<Member>) {
    let told = consider(identity, data, message);
    let reply = match &told {
        Ok(member) => Reply::In(member.clone()),
        Err(why) => Reply::Out(why.clone()),
    };
    (serde_json::to_vec(&reply).unwrap_or_default(), told.ok())
}

fn consider(identity: &Identity, data: &Path, message: &[u8]) -> Result<Member, String> {
    let said: Introduction =
        serde_json::from_slice(message).map_err(|_| "the introduction is unreadable".to_owned())?;
    let mut roster = Roster::load(data).map_err(|error| error.to_string())?;
    let invitation = roster.invitations.iter_mut().find(|i| i.key == said.token && i.gate == said.gate);
    let invitation = invitation.ok_or("there is no such invitation")?;
    // The same box once more, whose answer was lost, is told the same.
    if invitation.used {
        let again = roster.members.iter().find(|m| m.gate == said.gate && m.key == said.key && !m.out);
        return again.cloned().ok_or_else(|| "the token was used already".to_owned());
    }
    if invitation.until < Timestamp::now() {
        return Err("the token is over".to_owned());
    }
    let words = words(&identity.compound, &said.gate, &said.key);
    if !verify(&said.token, &words, &said.by_token) || !verify(&said.key, &words, &said.by_key) {
        return Err("the introduction is not signed by the token and by the box".to_owned());
    }
    let member = identity.vouch(invitation.number, &said.gate, &said.key, false)?;
    invitation.used = true;
    roster.members.push(member.clone());
    roster.save(data).map_err(|error| error.to_string())?;
    tracing::info!(gate = member.gate, number = member.number, "a box joined the fleet");
    Ok(member)
}

/// Lets the broker know of a box that was let in.
pub(super) fn tell_broker(identity: &Identity, data: &Path) {
    let told = Roster::load(data).and_then(|roster| roster.tell_broker(&identity.compound));
    match told {
        Ok(Some(Reloaded::ByHand(what))) => tracing::warn!("{what}"),
        Ok(_) => {}
        Err(error) => tracing::error!(%error, "the broker's configuration could not be written"),
    }
}

/// A box's key until it knows whether it was let in: tried again after a lost answer, it is the same box.
#[derive(Serialize, Deserialize)]
struct Pending {
    token: String,
    seed: String,
}

fn pending_path(data: &Path) -> PathBuf {
    data.join("fleet/joining.json")
}

/// This box's key for this token: the one that it introduced itself with before, or a new one.
fn pending(data: &Path, token: &str) -> Result<KeyPair, JoinError> {
    let key = |error: nkeys::error::Error| JoinError::Key(error.to_string());
    let path = pending_path(data);
    let before = std::fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str::<Pending>(&text).ok());
    if let Some(before) = before.filter(|before| before.token == token) {
        return KeyPair::from_seed(&before.seed).map_err(key);
    }
    let pair = KeyPair::new_user();
    let pending = Pending { token: token.to_owned(), seed: pair.seed().map_err(key)? };
    let text = serde_json::to_vec(&pending).map_err(|error| JoinError::Key(error.to_string()))?;
    super::identity::write_closed(&path, &text)?;
    Ok(pair)
}

/// The box is somebody now: what was kept for another try goes.
pub fn forget_pending(data: &Path) {
    // Left behind it is a key like the one beside it.
    let _ = std::fs::remove_file(pending_path(data));
}

/// Introduces this box with a token; gives who it is now.
pub async fn join(data: &Path, token: &str) -> Result<Identity, JoinError> {
    let bytes = token.trim().strip_prefix(PREFIX).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let token: Token = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or(JoinError::NoToken)?;
    if token.until < Timestamp::now() {
        return Err(JoinError::Over(token.until));
    }
    super::identity::check_servers(&token.compound.servers).map_err(|error| JoinError::Key(error.to_string()))?;
    let key = |error: nkeys::error::Error| JoinError::Key(error.to_string());
    let guest = KeyPair::from_seed(&token.seed).map_err(key)?;
    let own = pending(data, &guest.public_key())?;
    let words = words(&token.compound.compound, &token.gate, &own.public_key());
    let sign = |pair: &KeyPair| {
        let signature = pair.sign(&words).map_err(key)?;
        Ok::<_, JoinError>(base64::engine::general_purpose::STANDARD.encode(signature))
    };
    let said = Introduction {
        gate: token.gate.clone(),
        token: guest.public_key(),
        key: own.public_key(),
        by_token: sign(&guest)?,
        by_key: sign(&own)?,
    };
    let member = introduce(data, &token, &said).await?;
    if !super::identity::vouched(&token.compound.compound, &token.compound.compound_key, &member)
        || member.key != own.public_key()
    {
        return Err(JoinError::Refused("the answer is not the compound's: somebody else answered".into()));
    }
    Ok(Identity::joined(member, token.compound, own.seed().map_err(key)?))
}

async fn introduce(data: &Path, token: &Token, said: &Introduction) -> Result<Member, JoinError> {
    let authority = authority_file(data, token.compound.authority.as_deref())?;
    let guest = sync::Caller { gate: &token.gate, servers: &token.compound.servers };
    let client = sync::call(guest, &token.seed, authority, Arc::new(Notify::new()))
        .await
        .map_err(|error| JoinError::Broker(error.to_string()))?;
    let body = serde_json::to_vec(said).map_err(|error| JoinError::Key(error.to_string()))?;
    let asked = client.request(wire::join(&token.compound.compound, &token.gate), body.into());
    let answer = match tokio::time::timeout(Duration::from_secs(15), asked).await {
        Ok(Ok(answer)) => answer,
        _ => return Err(JoinError::Silent),
    };
    match serde_json::from_slice(&answer.payload) {
        Ok(Reply::In(member)) => Ok(member),
        Ok(Reply::Out(why)) => Err(JoinError::Refused(why)),
        Err(_) => Err(JoinError::Refused("the answer is unreadable".into())),
    }
}

/// The authority's certificate as a file, for the TLS library; none where none is needed.
pub fn authority_file(data: &Path, pem: Option<&str>) -> Result<Option<PathBuf>, StoreError> {
    let Some(pem) = pem else { return Ok(None) };
    let path = data.join("fleet/authority.pem");
    if std::fs::read_to_string(&path).ok().as_deref() != Some(pem) {
        write_whole(&path, pem.as_bytes())?;
    }
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::super::identity::tests::founder;
    use super::*;

    fn introduction(token: &str) -> (Vec<u8>, KeyPair) {
        let bytes = URL_SAFE_NO_PAD.decode(&token[PREFIX.len()..]).unwrap();
        let token: Token = serde_json::from_slice(&bytes).unwrap();
        let (guest, own) = (KeyPair::from_seed(&token.seed).unwrap(), KeyPair::new_user());
        let words = words("garden", &token.gate, &own.public_key());
        let sign = |pair: &KeyPair| base64::engine::general_purpose::STANDARD.encode(pair.sign(&words).unwrap());
        let said = Introduction {
            gate: token.gate,
            token: guest.public_key(),
            key: own.public_key(),
            by_token: sign(&guest),
            by_key: sign(&own),
        };
        (serde_json::to_vec(&said).unwrap(), own)
    }

    #[test]
    fn a_token_lets_one_box_in_once() {
        let (folder, main) = (tempfile::tempdir().unwrap(), founder());
        let mut roster = Roster { members: vec![main.member()], ..Roster::default() };
        let token = invite(&main, &mut roster, "north", SignedDuration::from_hours(1)).unwrap();
        roster.save(folder.path()).unwrap();
        let (first, own) = introduction(&token);
        let member = admit(&main, folder.path(), &first).1.unwrap();
        assert!(main.vouched(&member) && member.number == 2 && member.key == own.public_key());
        assert_eq!(admit(&main, folder.path(), &first).1, Some(member), "the answer was lost: the same again");
        let (other, _) = introduction(&token);
        let (reply, nobody) = admit(&main, folder.path(), &other);
        assert!(nobody.is_none() && String::from_utf8(reply).unwrap().contains("used already"));
        let roster = Roster::load(folder.path()).unwrap();
        assert_eq!((roster.members.len(), roster.open_invitations().count(), roster.next_number()), (2, 0, 3));
    }

    #[test]
    fn what_is_no_invitation_lets_nobody_in() {
        let (folder, main) = (tempfile::tempdir().unwrap(), founder());
        let mut roster = Roster { members: vec![main.member()], ..Roster::default() };
        assert!(invite(&main, &mut roster, "main", SignedDuration::from_hours(1)).is_err(), "that gate has a box");
        assert!(invite(&main, &mut roster, "North Gate", SignedDuration::from_hours(1)).is_err());
        let over = invite(&main, &mut roster, "north", SignedDuration::from_secs(-1)).unwrap();
        let good = invite(&main, &mut roster, "south", SignedDuration::from_hours(1)).unwrap();
        roster.save(folder.path()).unwrap();
        let refused = |message: &[u8]| {
            let (reply, member) = admit(&main, folder.path(), message);
            assert!(member.is_none());
            String::from_utf8(reply).unwrap()
        };
        assert!(refused(&introduction(&over).0).contains("over"));
        assert!(refused(b"{}").contains("unreadable"));
        let mut said: Introduction = serde_json::from_slice(&introduction(&good).0).unwrap();
        said.key = KeyPair::new_user().public_key();
        assert!(refused(&serde_json::to_vec(&said).unwrap()).contains("not signed"));
        let mut said: Introduction = serde_json::from_slice(&introduction(&good).0).unwrap();
        said.token = KeyPair::new_user().public_key();
        assert!(refused(&serde_json::to_vec(&said).unwrap()).contains("no such"));
    }
}
