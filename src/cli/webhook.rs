//! `plategate webhook`: try a receiver, with or without a running gate.

use std::process::ExitCode;
use std::time::Instant;

use clap::Subcommand;
use serde_json::json;

use super::{Usage, print_bytes};
use crate::config::Config;
use crate::fleet::webhook::{self, Answer};

/// The receivers that are told what happens at the gate (`[[webhook]]`).
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Send one signed test event, and say what came back.
    Test {
        /// The receiver's name.
        name: String,
        /// One JSON object instead of a line.
        #[arg(long)]
        json: bool,
    },
    /// The configured receivers, and what each is told.
    List,
}

/// Runs the command.
pub fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::List => list(&config),
        Action::Test { name, json } => test(&config, &name, json),
    }
}

fn list(config: &Config) -> anyhow::Result<ExitCode> {
    let mut out = String::new();
    for receiver in &config.webhook {
        let topics: Vec<&str> = receiver.events.iter().map(|topic| topic.word()).collect();
        let plates = if receiver.plates { "with plates" } else { "without plates" };
        out += &format!("{}\t{}\t{}\t{plates}\n", receiver.name, receiver.url, topics.join(","));
    }
    print_bytes(out.as_bytes())
}

fn test(config: &Config, name: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let known = || config.webhook.iter().map(|w| w.name.as_str()).collect::<Vec<_>>().join(", ");
    let receiver = config.webhook.iter().find(|w| w.name == name);
    let receiver =
        receiver.ok_or_else(|| Usage(format!("there is no webhook '{name}': there is {}", or_none(known()))))?;
    let id = format!("evt_{:032x}", rand::random::<u128>());
    let at = jiff::Timestamp::now();
    let body = json!({"id": id, "event": "test", "at": at, "gate": config.gate.name}).to_string();
    let begun = Instant::now();
    let answer = webhook::try_once(receiver, &id, "test", &body);
    let ms = begun.elapsed().as_millis() as u64;
    let (taken, told) = match answer {
        Answer::Taken => (true, "it took the event".to_owned()),
        Answer::Gone => (false, "it answered 410: there is no receiver any more".into()),
        Answer::Unacceptable(why) | Answer::Later { why, .. } => (false, why),
    };
    let line = match as_json {
        true => {
            json!({"ok": taken, "receiver": name, "to": receiver.url.to_string(), "id": id, "ms": ms, "answer": told})
                .to_string()
        }
        false => format!("{} {name} ({}) after {ms} ms: {told}", if taken { "ok" } else { "FAULT" }, receiver.url),
    };
    print_bytes(format!("{line}\n").as_bytes())?;
    Ok(ExitCode::from(u8::from(!taken)))
}

fn or_none(names: String) -> String {
    if names.is_empty() { "none in the configuration".into() } else { names }
}
