//! `plategate why EVENT`: why did it (not) open?
//!
//! Reads the journal of the data folder; while the gate is running it has the folder to itself, and its page is asked
//! instead.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::{Usage, print_bytes};
use crate::config::Config;
use crate::gate::event::{Event, Finding, PulseReport, SlotRead};
use crate::store::events::Events;
use crate::store::{Store, StoreError};
use crate::web::words;

/// Why did it (not) open?
#[derive(clap::Args)]
pub struct Args {
    /// The number of the event, as the page shows it; `last` for the newest.
    event: String,
    /// The data folder (default: the configured one).
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// A token for the page, needed while the gate is running.
    #[arg(long, env = "PLATEGATE_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The record as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let number = match args.event.as_str() {
        "last" => None,
        text => {
            Some(text.parse::<u64>().map_err(|_| Usage(format!("'{text}' is no event: give its number, or last")))?)
        }
    };
    let folder = args.data.as_ref().unwrap_or(&config.data.folder);
    let event = match Store::open(folder) {
        Ok(store) => from_journal(&Events::open(Arc::new(store))?, number)?,
        Err(StoreError::InUse { .. }) => from_page(&config, args.token.as_deref(), number)?,
        Err(error) => return Err(error.into()),
    };
    let Some(event) = event else { anyhow::bail!("there is no event {}", args.event) };
    let text = if args.json { serde_json::to_string(&event)? + "\n" } else { explain(&event) };
    print_bytes(text.as_bytes())
}

fn from_journal(events: &Events, number: Option<u64>) -> anyhow::Result<Option<Event>> {
    Ok(match number {
        Some(number) => events.get(number)?,
        None => events.newest(1, None)?.pop(),
    })
}

/// Asks the running gate.
fn from_page(config: &Config, token: Option<&str>, number: Option<u64>) -> anyhow::Result<Option<Event>> {
    let path = number.map_or("events?count=1".to_owned(), |n| format!("events/{n}"));
    let url = format!("http://{}/api/v1/{path}", config.web.listen);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(5)))
        .build()
        .into();
    let mut request = agent.get(&url);
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let mut answer =
        request.call().with_context(|| format!("the gate is running, and its page {url} does not answer"))?;
    match answer.status().as_u16() {
        404 => Ok(None),
        200 => {
            let body = answer.body_mut().read_to_vec()?;
            let value: serde_json::Value = serde_json::from_slice(&body).context("the page's answer")?;
            let one = if value.is_array() { value.get(0).cloned() } else { Some(value) };
            one.map(serde_json::from_value).transpose().context("the page's answer")
        }
        401 | 403 => {
            anyhow::bail!("the gate is running and wants a token: make one on its page and set PLATEGATE_TOKEN")
        }
        status => anyhow::bail!("the gate is running, and its page answers {status}"),
    }
}

/// The whole account in words.
fn explain(event: &Event) -> String {
    let mut lines = vec![words::line(event), String::new()];
    lines.push(format!("rule       {} ({})", words::rule(event.rule), words::rule_zh(event.rule)));
    for (i, candidate) in event.candidates.iter().enumerate() {
        let what = if i == 0 { "candidates" } else { "" };
        let alike = if candidate.has_lookalike { ", has look-alikes in the register" } else { "" };
        let (plate, household) = (candidate.plate, &candidate.household);
        lines.push(format!("{what:10} {plate} {household}: {}{alike}", percent(candidate.posterior)));
    }
    if !event.candidates.is_empty() {
        lines.push(format!("{:10} a stranger: {}", "", percent(1.0 - event.posterior)));
        let asked = |of: f64, needed: f64| match needed {
            0.0 => odds(of),
            _ => format!("{} (needed {})", odds(of), odds(needed)),
        };
        let (ratio, margin) = (asked(event.ratio, event.needed), asked(event.margin, event.margin_needed));
        lines.push(format!("odds       registered to stranger {ratio}, to the best other plate {margin}"));
    }
    if event.already_inside {
        lines.push("alert      it should be inside already: perhaps two cars carry this plate".into());
    }
    for (i, slot) in event.slots.iter().enumerate() {
        lines.push(format!("{:10} {}", if i == 0 { "slots" } else { "" }, slot_line(slot)));
    }
    for (i, look) in event.looks.iter().enumerate() {
        let what = if i == 0 { "best looks" } else { "" };
        lines.push(format!(
            "{what:10} after {} ms: {} at {}, {:.0} pixels wide, sharpness {:.3}, weight {:.2}",
            look.after_ms,
            look.text,
            percent(f64::from(look.confidence)),
            look.width,
            look.sharpness,
            look.weight
        ));
    }
    lines.push(format!("frames     {} fused, heading {:?}", event.frames, event.heading).to_lowercase());
    let found = event.liveness;
    let tests = [
        ("growth", found.growth),
        ("size", found.size),
        ("body", found.body),
        ("colour", found.colour),
        ("presence", found.presence),
    ];
    let hides = found.hides.map_or("the lane was not seen empty before", word);
    let tests = tests.map(|(name, finding)| format!("{name}: {}", word(finding))).join(", ");
    lines.push(format!("a car?     {tests}, hides the lane: {hides}"));
    let t = event.times;
    let relay = match (&event.pulse, t.relay_ms) {
        (_, Some(ms)) => format!("relay {ms:.1}"),
        (Some(PulseReport::JustPressed), _) => "relay just pressed for another car".into(),
        (Some(PulseReport::Failed { reason }), _) => format!("relay failed: {reason}"),
        _ => "relay not asked".into(),
    };
    lines.push(format!(
        "times      ms from the capture: taken {:.1}, read {:.1}, decided {:.1}, {relay}; {:.0} since it was first seen",
        t.taken_ms, t.read_ms, t.decided_ms, t.since_first_ms
    ));
    lines.push(format!("picture    {}", event.picture.as_deref().unwrap_or("none kept")));
    lines.join("\n") + "\n"
}

fn slot_line(slot: &SlotRead) -> String {
    let others: Vec<String> = slot.or.iter().map(|(c, p)| format!("{c} {}", percent(f64::from(*p)))).collect();
    let rest = if others.is_empty() { String::new() } else { format!("   or {}", others.join(", ")) };
    format!("{} {}{rest}", slot.char, percent(f64::from(slot.p)))
}

fn word(finding: Finding) -> &'static str {
    match finding {
        Finding::Car => "as a car",
        Finding::Picture => "as a picture",
        Finding::Unknown => "unknown",
    }
}

fn percent(p: f64) -> String {
    format!("{:.3} %", 100.0 * p)
}

/// A number of odds, short: `1 : 20`, `3400000 : 1`.
fn odds(ratio: f64) -> String {
    if ratio >= 1.0 { format!("{ratio:.0} : 1") } else { format!("1 : {:.0}", 1.0 / ratio.max(1e-15)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::event::{Candidate, Look, Rule};

    #[test]
    fn the_account_names_everything() {
        let mut event = Event::blank("gate", "2026-11-25T12:00:00Z".parse().unwrap());
        let plate = "苏F12345".parse().unwrap();
        event.rule = Rule::NearMiss;
        event.slots = vec![SlotRead { char: '8', p: 0.9, or: vec![('B', 0.09)] }];
        event.candidates = vec![Candidate { plate, household: "2-301".into(), posterior: 0.25, has_lookalike: true }];
        (event.ratio, event.needed, event.posterior) = (1.0 / 3.0, 1e5, 0.25);
        (event.margin, event.margin_needed) = (0.05, 1e3);
        event.looks = vec![Look {
            after_ms: 160,
            width: 88.0,
            sharpness: 0.07,
            text: "苏F12348".into(),
            confidence: 0.8,
            weight: 0.5,
        }];
        let text = explain(&event);
        for part in [
            "nearly a registered plate",
            "苏F12345 2-301: 25.000 %",
            "a stranger: 75.000 %",
            "1 : 20",
            "100000 : 1",
            "(needed 1000 : 1)",
            "8 90.000 %   or B 9.000 %",
            "after 160 ms: 苏F12348",
            "body: unknown",
            "relay not asked",
        ] {
            assert!(text.contains(part), "{text}\nshould contain {part}");
        }
    }
}
