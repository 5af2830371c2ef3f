//! `plategate fleet status`: how the gates are, as they tell it themselves, also while this box's gate runs.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde::Serialize;
use tokio::sync::Notify;

use super::identity;
use crate::cli::print_bytes;
use crate::fleet::join::{Roster, authority_file};
use crate::fleet::sync;
use crate::fleet::wire::{self, Health};

/// How the gates are, as they tell it themselves.
#[derive(clap::Args)]
pub struct Args {
    /// JSON on standard output.
    #[arg(long)]
    json: bool,
    /// How long to listen, seconds: a gate says how it is every five.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
}

#[derive(Serialize)]
struct Told {
    compound: String,
    gate: String,
    number: u16,
    founder: bool,
    broker: String,
    gates: Vec<Health>,
    /// Gates of the founder's roster that said nothing.
    silent: Vec<String>,
}

/// Runs the command: exit status 1 if the broker is not reached or a gate is silent.
pub fn run(args: &Args, data: &Path) -> anyhow::Result<ExitCode> {
    let identity = identity(data)?;
    let roster = Roster::load(data)?;
    let authority = authority_file(data, identity.authority.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let heard = runtime.block_on(async {
        let client = sync::connect(&identity, authority, Arc::new(Notify::new())).await?;
        let mut told = client.subscribe(wire::health(&identity.compound, "*")).await?;
        let mut gates: std::collections::BTreeMap<String, Health> = Default::default();
        let end = tokio::time::Instant::now() + Duration::from_secs(u64::from(args.seconds));
        while let Ok(Some(message)) = tokio::time::timeout_at(end, told.next()).await {
            if let Ok(health) = serde_json::from_slice::<Health>(&message.payload) {
                gates.insert(health.gate.clone(), health);
            }
        }
        anyhow::Ok(gates)
    });
    let (broker, gates) = match heard {
        Ok(gates) => ("connected".to_owned(), gates),
        Err(error) => (error.to_string(), Default::default()),
    };
    let expected = roster.members.iter().filter(|m| !m.out).map(|m| m.gate.clone());
    let told = Told {
        compound: identity.compound.clone(),
        gate: identity.gate.clone(),
        number: identity.number,
        founder: identity.is_founder(),
        silent: expected.filter(|gate| !gates.contains_key(gate)).collect(),
        broker,
        gates: gates.into_values().collect(),
    };
    let text = if args.json { format!("{}\n", serde_json::to_string(&told)?) } else { in_words(&told) };
    print_bytes(text.as_bytes())?;
    Ok(ExitCode::from(u8::from(told.broker != "connected" || !told.silent.is_empty())))
}

fn in_words(told: &Told) -> String {
    let founder = if told.founder { ", the founder's box" } else { "" };
    let mut out =
        format!("{} of {}, number {}{founder}\nbroker: {}\n", told.gate, told.compound, told.number, told.broker);
    for gate in &told.gates {
        let ready = if gate.ready { "ready" } else { "no frames" };
        let trouble = if gate.trouble.is_empty() { String::new() } else { format!(", {}", gate.trouble) };
        let ahead = gate.at.duration_since(jiff::Timestamp::now()).as_secs();
        let clock = if ahead.abs() > 5 { format!(", its clock is {ahead} s off") } else { String::new() };
        out += &format!(
            "{}: {ready}, {}{trouble}, {} cars, {} arrivals{clock}\n",
            gate.gate, gate.mode, gate.cars, gate.events
        );
    }
    for gate in &told.silent {
        out += &format!("{gate}: silent\n");
    }
    out
}
