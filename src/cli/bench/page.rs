//! The result as one HTML page that needs nothing beside it.

use askama::Template;

use super::Report;
use super::stages::Stage;
use super::sweep::Sweep;
use crate::cli::plot;

#[derive(Template)]
#[template(path = "bench.html")]
struct Page<'a> {
    title: &'static str,
    machine: String,
    lines: Vec<String>,
    columns: &'static [&'static str],
    rows: Vec<(String, Vec<String>)>,
    missing: &'a [super::sweep::Missing],
    plots: Vec<String>,
}

fn cells(s: &Stage) -> Vec<String> {
    let times = [s.p50_ms, s.p95_ms, s.p99_ms, s.max_ms].map(|ms| format!("{ms:.3}"));
    times.into_iter().chain([s.n.to_string()]).collect()
}

/// One measurement.
pub fn report(report: &Report) -> anyhow::Result<String> {
    let named = report.stages.named();
    let stages = || named.iter().filter_map(|(name, stage)| Some((*name, (*stage)?)));
    let bars: Vec<_> = stages().map(|(name, s)| (name.to_owned(), vec![s.p50_ms, s.p99_ms])).collect();
    let spread: Vec<_> = stages()
        .filter(|(name, _)| ["decision", "pulse"].contains(name))
        .map(|(name, s)| (name, s.histogram.iter().map(|b| (b.up_to_ms, f64::from(b.n))).collect()))
        .collect();
    let mut lines = vec![
        report.setup.clone(),
        format!("{} pictures of {} x {}, one lane.", report.frames, report.width, report.height),
        format!(
            "{} frames a second; {:.0} MB; ready {:.0} ms after the start, the first frame {:.1} ms.",
            report.frames_per_second, report.rss_mb, report.cold_start_ms, report.first_frame_ms
        ),
    ];
    lines.extend(report.lines());
    let page = Page {
        title: "How fast this box reads and opens",
        machine: report.machine.to_string(),
        lines,
        columns: &["p50, ms", "p95", "p99", "max", "n"],
        rows: stages().map(|(name, s)| (name.to_owned(), cells(s))).collect(),
        missing: &[],
        plots: vec![
            plot::spread("From the frame to the decision, and to the relay's edge", &spread)?,
            plot::bars("Stages", "milliseconds", &["p50", "p99"], &bars)?,
        ],
    };
    Ok(page.render()?)
}

/// All ways of computing.
pub fn sweep(sweep: &Sweep) -> anyhow::Result<String> {
    let (mut rows, mut bars) = (Vec::new(), Vec::new());
    for row in &sweep.rows {
        let Some(decision) = &row.report.stages.decision else { continue };
        let name = format!("{} {} x{}", row.provider, row.precision, row.threads);
        let mut cells = cells(decision);
        let pulse = row.report.stages.pulse.as_ref().map_or(0.0, |s| s.p99_ms);
        cells.extend([format!("{pulse:.3}"), format!("{:.0}", row.report.rss_mb)]);
        cells.push(format!("{:.0}", row.report.cold_start_ms));
        rows.push((name.clone(), cells));
        bars.push((name, vec![decision.p50_ms, decision.p99_ms]));
    }
    let page = Page {
        title: "Ways of computing on this box",
        machine: sweep.machine.to_string(),
        lines: Vec::new(),
        columns: &["decision p50, ms", "p95", "p99", "max", "n", "pulse p99", "MB", "ready, ms"],
        rows,
        missing: &sweep.missing,
        plots: vec![plot::bars("From the frame to the decision", "milliseconds", &["p50", "p99"], &bars)?],
    };
    Ok(page.render()?)
}
