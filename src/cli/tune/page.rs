//! The evidence as one HTML page that needs nothing beside it.

use askama::Template;

use super::Tuned;
use super::pick::Choice;
use crate::cli::plot;

#[derive(Template)]
#[template(path = "tune.html")]
struct Page<'a> {
    tuned: &'a Tuned,
    machine: String,
    at: String,
    picked: Option<&'a Choice>,
    plot: String,
}

/// Writes the page as text.
pub fn render(tuned: &Tuned) -> anyhow::Result<String> {
    let dot = |c: &Choice| plot::Choice {
        ms: c.measured.p99_ms,
        exact: c.measured.exact_share(),
        on_frontier: c.on_frontier,
        picked: c.picked,
    };
    // A way that is read less often lies where the way itself does.
    let dots: Vec<_> = tuned.choices.iter().filter(|c| c.read_every == 1 || c.picked).map(dot).collect();
    let page = Page {
        tuned,
        machine: tuned.machine.to_string(),
        at: tuned.at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        picked: tuned.choices.iter().find(|c| c.picked),
        plot: plot::frontier("What accuracy costs in time on this box", &dots, tuned.budget.ms)?,
    };
    Ok(page.render()?)
}
