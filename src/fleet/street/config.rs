//! The configuration of a street's broker: an account for each compound, into which its broker leads as a leaf node, and one for
//! the office, with what goes to and fro between them.
//!
//! Out of a compound's account comes what lies in its stream of arrivals, and how its gates are; into it go commands, which the
//! gates themselves judge. Nothing else passes, and nothing from one compound to another.

use std::path::{Path, PathBuf};

use super::OFFICE;
use crate::fleet::server::{quoted, tls};
use crate::fleet::sync::inbox;
use crate::fleet::wire::{self, Stream};

/// What the configuration of a street's broker needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address and port for the office.
    pub listen: String,
    /// Address and port for the compounds' brokers.
    pub leaves: String,
    /// The broker's certificate and key, PEM. Without them it listens on this machine only.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Where it keeps its streams.
    pub store: PathBuf,
    /// How much it may keep: `100GB`.
    pub most: String,
    /// The office's public key.
    pub office: String,
    /// The compounds, each with the password of its broker.
    pub compounds: Vec<(String, String)>,
}

/// Under this prefix the office's account reaches what a compound's broker answers about its stream of arrivals.
pub(super) fn api(compound: &str) -> String {
    format!("JS.{compound}.API")
}

/// Under this prefix a compound's broker delivers out of its stream of arrivals.
pub(super) fn delivery(compound: &str) -> String {
    format!("pg.{compound}.up")
}

/// The configuration, for Debian's nats-server 2.9.
pub fn config(settings: &Settings) -> String {
    let mut out = vec![
        "# Made by plategate: `plategate fleet server-config --street`. It holds passwords.".to_owned(),
        format!("listen: {}", quoted(&settings.listen)),
        "server_name: \"street\"".to_owned(),
        "max_payload: 1MB".to_owned(),
    ];
    out.extend(tls(settings.certificate.as_ref()));
    let store = quoted(&settings.store.display().to_string());
    let most = &settings.most;
    out.push(format!(
        "jetstream {{ store_dir: {store}, max_file_store: {most}, max_memory_store: 64MB, domain: \"street\" }}"
    ));
    out.push("accounts {".to_owned());
    for (compound, _) in &settings.compounds {
        out.push(format!("  {}: {{ exports: [", quoted(compound)));
        out.extend(passes(compound).iter().map(Pass::export));
        out.push("  ] }".to_owned());
    }
    out.push(format!("  {}: {{", quoted(OFFICE)));
    out.push(format!("    jetstream: enabled\n    users: [ {{ nkey: {} }} ]\n    imports: [", settings.office));
    for (compound, _) in &settings.compounds {
        out.extend(passes(compound).iter().map(|pass| pass.import(compound)));
    }
    out.push("    ]\n  }\n}".to_owned());
    out.push(format!("leafnodes {{\n  listen: {}", quoted(&settings.leaves)));
    out.extend(tls(settings.certificate.as_ref()).map(|line| format!("  {line}")));
    out.push("  authorization { users: [".to_owned());
    for (compound, password) in &settings.compounds {
        out.push(format!("    {{ user: {0}, password: {1}, account: {0} }}", quoted(compound), quoted(password)));
    }
    out.push("  ] }\n}\n".to_owned());
    out.join("\n")
}

/// The line of a compound's broker to the street's: where, and what does not go over it whatever the street's broker wants. For
/// the boxes' private answers each gate is named.
pub(crate) fn remote(compound: &str, gates: &[&str], url: &str, authority: Option<&Path>) -> String {
    let list = |subjects: &[String]| subjects.iter().map(|s| quoted(s)).collect::<Vec<_>>().join(", ");
    let tls =
        authority.map(|file| format!(", tls: {{ ca_file: {}, timeout: 5 }}", quoted(&file.display().to_string())));
    format!(
        "leafnodes {{ remotes: [ {{\n  urls: [{}], account: {}{}\n  deny_exports: [{}]\n  deny_imports: [{}]\n}} ] }}",
        quoted(url),
        quoted(compound),
        tls.unwrap_or_default(),
        list(&stays(compound, gates)),
        list(&untouched(compound)),
    )
}

/// What is the compound's own, by subject.
fn own(compound: &str) -> Vec<String> {
    ["register.>", "passes.>", "events.>", "book", "join.>", "pictures.>"].map(|s| format!("pg.{compound}.{s}")).into()
}

/// What does not go up.
fn stays(compound: &str, gates: &[&str]) -> Vec<String> {
    let mut stays = own(compound);
    stays.push(wire::commands(compound, "*"));
    stays.extend(gates.iter().map(|gate| format!("{}.>", inbox(gate))));
    stays
}

/// What nobody says from above: a compound's broker answers about its stream of arrivals, and about nothing else.
fn untouched(compound: &str) -> Vec<String> {
    let api = |what: &str| format!("$JS.{compound}.API.{what}");
    let mut untouched = own(compound);
    untouched.push("$JS.API.>".to_owned());
    untouched.extend(["INFO", "STREAM.>", "META.>", "DIRECT.>"].map(api));
    for word in ["DELETE", "INFO", "LIST", "NAMES", "LEADER", "MSG", "DURABLE"] {
        untouched.push(api(&format!("CONSUMER.{word}.>")));
    }
    for stream in [Stream::Register, Stream::Book].map(|stream| stream.name(compound)) {
        untouched.push(api(&format!("CONSUMER.CREATE.{stream}")));
        untouched.push(api(&format!("CONSUMER.CREATE.{stream}.>")));
    }
    untouched
}

/// One subject between a compound's account and the office's.
struct Pass {
    kind: &'static str,
    subject: String,
    /// Under another name on the office's side.
    to: Option<String>,
}

fn passes(compound: &str) -> Vec<Pass> {
    let pass = |kind, subject: String| Pass { kind, subject, to: None };
    let stream = Stream::Events.name(compound);
    let made = format!("API.CONSUMER.CREATE.{stream}");
    vec![
        pass("stream", wire::health(compound, "*")),
        pass("stream", format!("{}.>", delivery(compound))),
        pass("service", wire::commands(compound, "*")),
        // The street's broker asks the compound's for what lies in this one stream, and says how much of it it can take.
        Pass {
            kind: "service",
            subject: format!("$JS.{compound}.{made}"),
            to: Some(format!("{}.CONSUMER.CREATE.{stream}", api(compound))),
        },
        pass("service", format!("$JS.FC.{stream}.>")),
    ]
}

impl Pass {
    fn export(&self) -> String {
        format!("    {{ {}: {}, accounts: [{}] }}", self.kind, quoted(&self.subject), quoted(OFFICE))
    }

    fn import(&self, compound: &str) -> String {
        let to = self.to.as_ref().map_or(String::new(), |to| format!(", to: {}", quoted(to)));
        let (compound, subject) = (quoted(compound), quoted(&self.subject));
        format!("      {{ {}: {{ account: {compound}, subject: {subject} }}{to} }}", self.kind)
    }
}
