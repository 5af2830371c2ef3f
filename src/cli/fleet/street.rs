//! `plategate fleet street`: the office above the compounds of a street.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use futures_util::StreamExt;
use serde_json::json;

use super::{identity, name};
use crate::cli::{Usage, print_bytes};
use crate::fleet::command::Act;
use crate::fleet::identity::check_servers;
use crate::fleet::street::{self, Office};

/// The office of a street: hear the arrivals of its compounds, ask one of their gates to open.
#[derive(clap::Subcommand)]
pub enum Action {
    /// Make the office's key, and print what `plategate fleet server-config --office` wants.
    Found {
        /// The street's broker, such as tls://street.example:4222.
        #[arg(long = "server", value_name = "URL", required = true)]
        servers: Vec<String>,
        /// The certificate of the authority that signed the broker's, PEM; the system's authorities if it is not given.
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
    /// Let the street's broker gather the arrivals of these compounds, and print them, one line of JSON each, until stopped.
    Listen(Listen),
    /// Ask a gate of a compound that has let the office's box in.
    Command(Command),
}

/// Let the street's broker gather the arrivals, and print them.
#[derive(clap::Args)]
pub struct Listen {
    /// The compounds, all of them: the others are gathered no more.
    #[arg(long = "compound", value_name = "NAME", required = true, num_args = 1..)]
    compounds: Vec<String>,
    /// How long the street's broker keeps arrivals, days.
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    keep_days: u32,
    /// Only those that come from now on, not what is kept there.
    #[arg(long)]
    from_now: bool,
    /// Print how many are kept there and how far behind each compound is, and end.
    #[arg(long, conflicts_with = "from_now")]
    counts: bool,
}

/// Ask a gate to do something.
#[derive(clap::Args)]
pub struct Command {
    /// The gate.
    gate: String,
    /// What it is to do.
    act: Word,
    /// The data folder of the box that the compound has let in for the office.
    #[arg(long = "box", value_name = "FOLDER")]
    box_folder: PathBuf,
    /// In whose name.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Word {
    /// Open once.
    Open,
    /// Stay open for an hour.
    HoldOpen,
    /// By the rules again.
    Normal,
}

/// Runs the command.
pub fn run(action: Action, data: &Path) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match action {
        Action::Found { servers, ca } => found(servers, ca.as_deref(), data),
        Action::Listen(listen) => runtime.block_on(listen.run(data)),
        Action::Command(command) => runtime.block_on(command.run(data)),
    }
}

fn found(servers: Vec<String>, ca: Option<&Path>, data: &Path) -> anyhow::Result<ExitCode> {
    check_servers(&servers).map_err(|error| Usage(error.to_string()))?;
    anyhow::ensure!(Office::load(data)?.is_none(), "{}: there is an office already", street::path(data).display());
    let authority = match ca {
        Some(file) => Some(std::fs::read_to_string(file).map_err(|e| Usage(format!("{}: {e}", file.display())))?),
        None => None,
    };
    let office = Office::found(servers, authority)?;
    office.save(data)?;
    eprintln!("The office's public key, for plategate fleet server-config --street … --office KEY:");
    println!("{}", office.public_key());
    Ok(ExitCode::SUCCESS)
}

fn office(data: &Path) -> anyhow::Result<Office> {
    Office::load(data)?
        .with_context(|| format!("{}: there is no office here: plategate fleet street found", data.display()))
}

impl Listen {
    async fn run(&self, data: &Path) -> anyhow::Result<ExitCode> {
        let compounds =
            self.compounds.iter().map(|compound| name("compound", compound)).collect::<Result<Vec<_>, _>>()?;
        let client = office(data)?.connect(data).await?;
        let stream = street::stream(&client, &compounds, self.keep_days).await?;
        if self.counts {
            let info = stream.get_info().await?;
            let behind: Vec<_> = info
                .sources
                .iter()
                .map(|s| json!({"stream": s.name, "behind": s.lag, "active_s": s.active.map(|a| a.as_secs())}))
                .collect();
            let told = json!({"arrivals": info.state.messages, "bytes": info.state.bytes, "compounds": behind});
            return print_bytes(format!("{told}\n").as_bytes());
        }
        let mut arrivals = street::follow(&stream, self.from_now).await?;
        while let Some(message) = arrivals.next().await {
            match street::arrival(&message?.message) {
                Ok((compound, event)) => {
                    let mut line = serde_json::to_value(&event)?;
                    line["compound"] = json!(compound);
                    // Whoever reads has had enough.
                    if writeln!(std::io::stdout(), "{line}").is_err() {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
                Err(problem) => tracing::warn!(problem, "an arrival was refused"),
            }
        }
        anyhow::bail!("the stream of arrivals has ended")
    }
}

/// For so long a gate is held open from here.
const HOLDS: Duration = Duration::from_secs(3600);

impl Command {
    async fn run(&self, data: &Path) -> anyhow::Result<ExitCode> {
        let gate = name("gate", &self.gate)?;
        let identity = identity(&self.box_folder)?;
        let client = office(data)?.connect(data).await?;
        let act = match self.act {
            Word::Open => Act::Open,
            Word::HoldOpen => Act::HoldOpen { until: Some(jiff::Timestamp::now() + HOLDS) },
            Word::Normal => Act::Normal,
        };
        let answer = street::command(&client, &identity, &gate, act, &self.by, &self.why).await?;
        anyhow::ensure!(answer.done, "{}", answer.told);
        println!("{}", answer.told);
        Ok(ExitCode::SUCCESS)
    }
}
