//! The broker's configuration: an account for the compound, each box with its own key and no subject more than it needs. That of
//! the street's broker above is [`super::street::config`].
//!
//! In: the boxes that the compound has let in ([`super::join::Roster`]). Out: text for Debian's nats-server 2.9. It is written
//! anew whenever a box joins, leaves or is shut out; a signal makes the broker read it, and ends the connections of those that
//! are not in it any more.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::join::Roster;
use super::sync::inbox;
use super::wire::{self, Stream};
use crate::store::{StoreError, write_whole};

/// What the broker's configuration needs to know besides the boxes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where it is written.
    pub file: PathBuf,
    /// Address and port that the broker listens on.
    pub listen: String,
    /// Its certificate and key, PEM. Without them it listens on this machine only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Where it keeps its streams.
    pub store: PathBuf,
    /// How much it may keep: `8GB`.
    pub most: String,
    /// The file with the broker's process number: it is told to read its configuration anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_file: Option<PathBuf>,
    /// The street's broker, with this compound's name and password: `tls://garden:secret@street.example:7422`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub street: Option<String>,
    /// The certificate of the authority that signed the street's broker's, PEM; the system's authorities if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub street_authority: Option<PathBuf>,
}

/// The configuration of a compound's broker.
pub fn config(compound: &str, roster: &Roster, settings: &Settings) -> String {
    let mut out = String::from(
        "# Made by plategate: `plategate fleet server-config` writes it anew. Whoever reads this file knows the street's password.\n",
    );
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!("listen: {}", quoted(&settings.listen)));
    line(format!("server_name: {}", quoted(compound)));
    line("max_payload: 1MB".into());
    if let Some(pid_file) = &settings.pid_file {
        line(format!("pid_file: {}", quoted(&pid_file.display().to_string())));
    }
    if let Some(tls) = tls(settings.certificate.as_ref()) {
        line(tls);
    }
    let store = quoted(&settings.store.display().to_string());
    let most = &settings.most;
    line(format!(
        "jetstream {{ store_dir: {store}, max_file_store: {most}, max_memory_store: 16MB, domain: {} }}",
        quoted(compound)
    ));
    line(format!("accounts {{\n  {}: {{\n    jetstream: enabled\n    users: [", quoted(compound)));
    for member in roster.members.iter().filter(|m| !m.out) {
        line(user(&member.key, &box_may(compound, &member.gate, member.number == 1)));
    }
    for invitation in roster.guests() {
        line(user(&invitation.key, &guest_may(compound, &invitation.gate)));
    }
    line("    ]\n  }\n}".into());
    if let Some(street) = &settings.street {
        let gates: Vec<&str> = roster.members.iter().map(|member| member.gate.as_str()).collect();
        line(super::street::config::remote(compound, &gates, street, settings.street_authority.as_deref()));
    }
    out
}

/// What somebody may say and hear.
struct Rights {
    publish: Vec<String>,
    subscribe: Vec<String>,
}

fn user(key: &str, rights: &Rights) -> String {
    let list = |subjects: &[String]| subjects.iter().map(|s| quoted(s)).collect::<Vec<_>>().join(", ");
    format!(
        "      {{ nkey: {key}, permissions: {{\n        publish: {{ allow: [{}] }}\n        subscribe: {{ allow: [{}] }}\n        \
         allow_responses: {{ max: 1, expires: \"20s\" }} }} }}",
        list(&rights.publish),
        list(&rights.subscribe),
    )
}

/// A box writes what is its own, asks the others, and hears all of its compound; it makes the streams where they are missing,
/// and can neither change, empty nor delete them.
fn box_may(compound: &str, gate: &str, is_founder: bool) -> Rights {
    let mut publish = vec![
        format!("pg.{compound}.register.>"),
        format!("pg.{compound}.passes.used.*.{gate}"),
        wire::events(compound, gate),
        wire::book(compound),
        wire::health(compound, gate),
        wire::commands(compound, "*"),
        wire::pictures(compound, "*"),
        "$JS.API.INFO".to_owned(),
    ];
    for stream in Stream::ALL.map(|stream| stream.name(compound)) {
        for right in ["STREAM.INFO", "STREAM.CREATE"] {
            publish.push(format!("$JS.API.{right}.{stream}"));
        }
        for right in ["CONSUMER.CREATE", "CONSUMER.INFO", "CONSUMER.DELETE", "CONSUMER.MSG.NEXT"] {
            publish.push(format!("$JS.API.{right}.{stream}.>"));
        }
        publish.push(format!("$JS.API.STREAM.MSG.GET.{stream}"));
        publish.push(format!("$JS.API.CONSUMER.CREATE.{stream}"));
        publish.push(format!("$JS.ACK.{stream}.>"));
    }
    let mut subscribe = vec![
        format!("{}.>", inbox(gate)),
        wire::health(compound, "*"),
        wire::commands(compound, gate),
        wire::pictures(compound, gate),
    ];
    if is_founder {
        subscribe.push(wire::join(compound, "*"));
    }
    Rights { publish, subscribe }
}

/// Whoever has a token may introduce a box for that gate, and hear the answer.
fn guest_may(compound: &str, gate: &str) -> Rights {
    Rights { publish: vec![wire::join(compound, gate)], subscribe: vec![format!("{}.>", inbox(gate))] }
}

/// The broker's own certificate, where it has one.
pub(super) fn tls(certificate: Option<&(PathBuf, PathBuf)>) -> Option<String> {
    let (certificate, key) = certificate?;
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    Some(format!("tls {{ cert_file: {}, key_file: {}, timeout: 5 }}", quoted(&certificate), quoted(&key)))
}

pub(super) fn quoted(text: &str) -> String {
    // Names are checked; paths and addresses are the operator's own.
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// How the broker was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// It was told by a signal.
    Signalled(u32),
    /// Somebody has to.
    ByHand(String),
}

/// Writes the configuration, for this user's eyes and the broker's, and tells the broker.
pub fn write(compound: &str, roster: &Roster, settings: &Settings) -> Result<Reloaded, StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let text = config(compound, roster, settings);
    write_whole(&settings.file, text.as_bytes())?;
    // The broker is of another user and of plategate's group, or of the same user.
    let closed = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(&settings.file, closed).map_err(|error| StoreError::disk(&settings.file, error))?;
    Ok(reload(settings))
}

fn reload(settings: &Settings) -> Reloaded {
    let by_hand = |why: &str| {
        Reloaded::ByHand(format!(
            "{why}: let the broker read it (systemctl reload nats-server, or nats-server --signal reload)"
        ))
    };
    let Some(path) = &settings.pid_file else { return by_hand("the configuration is written") };
    let pid = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<i32>().ok());
    let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else {
        return by_hand(&format!("{} names no running broker", path.display()));
    };
    // A file that was left behind may name another program by now.
    let name = std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).unwrap_or_default();
    if name.trim() != "nats-server" {
        return by_hand(&format!("{} names no running broker", path.display()));
    }
    match rustix::process::kill_process(pid, rustix::process::Signal::HUP) {
        Ok(()) => Reloaded::Signalled(pid.as_raw_nonzero().get() as u32),
        Err(error) => by_hand(&format!("the broker could not be told ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::identity::tests::{founder, joined};
    use super::super::{simulate::broker, street};
    use super::*;

    fn settings(folder: &Path) -> Settings {
        Settings {
            file: folder.join("broker.conf"),
            listen: "127.0.0.1:4222".into(),
            certificate: None,
            store: folder.join("streams"),
            most: "8GB".into(),
            pid_file: None,
            street: Some("tls://garden:secret@street.example:7422".into()),
            street_authority: None,
        }
    }

    #[test]
    fn a_box_that_was_shut_out_is_not_in_it_and_each_writes_its_own_only() {
        let main = founder();
        let (north, south) = (joined(&main, 2, "north"), joined(&main, 3, "south"));
        let out = main.vouch(3, "south", &south.public_key(), true).unwrap();
        let roster = Roster { members: vec![main.member(), north.member(), out], ..Roster::default() };
        let folder = tempfile::tempdir().unwrap();
        let text = config("garden", &roster, &settings(folder.path()));
        assert!(text.contains(&north.public_key()) && !text.contains(&south.public_key()));
        let of_north = text.split("nkey: ").find(|t| t.starts_with(&north.public_key())).unwrap();
        let (of_north, _) = of_north.split_once("allow_responses").unwrap();
        assert!(of_north.contains("\"pg.garden.events.north\"") && !of_north.contains("events.main"));
        assert!(!of_north.contains("STREAM.DELETE") && !of_north.contains("PURGE") && !of_north.contains("join"));
        assert!(text.contains("\"pg.garden.join.*\""), "the founder lets boxes in");
    }

    #[test]
    fn the_broker_itself_finds_both_configurations_valid() {
        let Some(program) = broker::program() else {
            eprintln!("skipped: nats-server is not installed");
            return;
        };
        let main = founder();
        let folder = tempfile::tempdir().unwrap();
        let roster = Roster { members: vec![main.member()], ..Roster::default() };
        let compound = config("garden", &roster, &settings(folder.path()));
        let both = [("garden".to_owned(), "secret".to_owned()), ("park".to_owned(), "other".to_owned())];
        let above = street::config::config(&street::config::Settings {
            listen: "127.0.0.1:4223".into(),
            leaves: "127.0.0.1:7422".into(),
            certificate: None,
            store: folder.path().join("street"),
            most: "1GB".into(),
            office: main.public_key(),
            compounds: both.to_vec(),
        });
        for text in [compound, above] {
            let file = folder.path().join("x.conf");
            std::fs::write(&file, &text).unwrap();
            let told = std::process::Command::new(&program).arg("-t").arg("-c").arg(&file).output().unwrap();
            assert!(told.status.success(), "{}\n{text}", String::from_utf8_lossy(&told.stderr));
        }
    }
}
