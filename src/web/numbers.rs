//! Numbers: arrivals by hour and day, answers, how many plates were read by day and night, how long it took.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use plotters::prelude::*;
use serde::Deserialize;

use super::refusal::{Answer, Refusal, page};
use super::visit::{Reader, Signed, Visit};
use super::{Site, words};
use crate::register;
use crate::store::index::{LATENCY_BOUNDS_MS, Tally};

/// The routes.
pub fn routes() -> Router<Arc<Site>> {
    Router::new().route("/numbers", get(show))
}

#[derive(Deserialize)]
struct Period {
    days: Option<u16>,
}

/// Periods to choose from, days.
const PERIODS: [u16; 3] = [7, 30, 365];

struct Plot {
    title: String,
    svg: String,
    /// The same in words, for those who do not see it.
    rows: Vec<(String, u32)>,
}

#[derive(Template)]
#[template(path = "web/numbers.html")]
struct NumbersPage<'a> {
    v: &'a Visit,
    days: u16,
    periods: [u16; 3],
    total: u32,
    plots: Vec<Plot>,
    outcomes: Vec<(String, u32)>,
    rules: Vec<(String, u32)>,
    read: Vec<(String, String)>,
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Reader>, Query(period): Query<Period>) -> Answer {
    let days = period.days.filter(|d| PERIODS.contains(d)).unwrap_or(7);
    let today = register::today();
    let mut sum = Tally::default();
    let mut by_day = Vec::with_capacity(days.into());
    for back in (0..i64::from(days)).rev() {
        let day = today.saturating_sub(jiff::Span::new().days(back));
        let tally = site.gate.events.tally(day)?;
        by_day.push((day.strftime("%m-%d").to_string(), tally.hours.iter().sum::<u32>()));
        sum.add(&tally);
    }
    let hours: Vec<(String, u32)> = sum.hours.iter().enumerate().map(|(h, n)| (h.to_string(), *n)).collect();
    let class = |i: usize| match LATENCY_BOUNDS_MS.get(i) {
        Some(bound) => format!("<{bound}"),
        None => format!("≥{}", LATENCY_BOUNDS_MS[LATENCY_BOUNDS_MS.len() - 1]),
    };
    let latency: Vec<(String, u32)> = sum.latency.iter().enumerate().map(|(i, n)| (class(i), *n)).collect();
    let plots = [("按小时的来车", hours), ("按日的来车", by_day), ("从拍到到抬杆（毫秒）", latency)];
    let plots = plots.into_iter().map(|(title, rows)| Ok(Plot { title: v.t(title), svg: bars(&rows)?, rows }));
    let named = |map: &std::collections::BTreeMap<String, u32>, word: &dyn Fn(&str) -> Option<String>| {
        let mut rows: Vec<(String, u32)> =
            map.iter().map(|(k, n)| (word(k).unwrap_or_else(|| k.clone()), *n)).collect();
        rows.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        rows
    };
    let value = |k: &str| serde_json::Value::String(k.to_owned());
    let outcome = |k: &str| serde_json::from_value(value(k)).ok().map(|o| v.t(words::outcome_words(o).0));
    let rule =
        |k: &str| serde_json::from_value(value(k)).ok().map(|r| v.say(words::rule_zh(r), words::rule(r)).to_owned());
    let share = |i: usize| match sum.arrivals[i] {
        0 => v.t("没有来车"),
        n => format!("{:.1}% ({}/{n})", f64::from(sum.read[i]) * 100.0 / f64::from(n), sum.read[i]),
    };
    page(&NumbersPage {
        v: &v,
        days,
        periods: PERIODS,
        total: sum.hours.iter().sum(),
        plots: plots.collect::<Result<_, Refusal>>()?,
        outcomes: named(&sum.outcomes, &outcome),
        rules: named(&sum.rules, &rule),
        read: vec![(v.t("白天（6–18 点）"), share(0)), (v.t("夜间"), share(1))],
    })
}

/// Size of a plot, SVG units.
const SIZE: (u32, u32) = (420, 220);

/// A bar a row, as SVG.
fn bars(rows: &[(String, u32)]) -> Result<String, Refusal> {
    let mut svg = String::new();
    let drawn = draw(rows, &mut svg).map_err(|error| error.to_string());
    drawn.map(|()| svg).map_err(|error| {
        tracing::error!(error, "a plot could not be drawn");
        Refusal::Broken
    })
}

fn draw(rows: &[(String, u32)], svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let most = rows.iter().map(|(_, n)| *n).max().unwrap_or_default().max(4);
    let last = rows.len().max(1) as i32;
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .x_label_area_size(26)
        .y_label_area_size(46)
        .build_cartesian_2d((0..last - 1).into_segmented(), 0..most + most / 10 + 1)?;
    let label = |at: &SegmentValue<i32>| match at {
        SegmentValue::CenterOf(i) => rows.get(*i as usize).map(|(name, _)| name.clone()).unwrap_or_default(),
        _ => String::new(),
    };
    let ink = RGBColor(60, 70, 80);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(rows.len().min(8))
        .x_label_formatter(&label)
        .y_labels(5)
        .label_style(("sans-serif", 13, &ink))
        .axis_style(ink)
        .draw()?;
    let colour = RGBColor(11, 92, 173);
    chart.draw_series(rows.iter().enumerate().map(|(i, (_, n))| {
        let i = i as i32;
        let (from, to) = (SegmentValue::Exact(i), SegmentValue::Exact(i + 1));
        let mut bar = Rectangle::new([(from, 0), (to, *n)], colour.filled());
        let gap = if rows.len() > 100 { 0 } else { 1 };
        bar.set_margin(0, 0, gap, gap);
        bar
    }))?;
    area.present()?;
    drop(chart);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_is_drawn_of_nothing_and_of_a_year() {
        for n in [0, 1, 7, 365] {
            let rows: Vec<(String, u32)> = (0..n).map(|i| (i.to_string(), i * 3)).collect();
            let svg = bars(&rows).unwrap();
            // A style attribute would be refused by the page's own policy.
            assert!(svg.starts_with("<svg") && svg.contains("<rect") && !svg.contains("style="), "{n}");
        }
    }
}
