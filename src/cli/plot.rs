//! Drawings for the pages that the measuring commands write, as SVG within the page.

use plotters::coord::CoordTranslate;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Colours that are told apart on paper and by those who see no red.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(120, 120, 120),
    RGBColor(230, 159, 0),
];
/// How far the axis goes beyond the highest bar, so that the legend has a place above them.
const ROOM: f64 = 1.25;

/// Bars of several values side by side: one group a name.
pub fn bars(caption: &str, unit: &str, series: &[&str], groups: &[(String, Vec<f64>)]) -> anyhow::Result<String> {
    let most = groups.iter().flat_map(|(_, values)| values).copied().fold(1e-6, f64::max);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (840, 360)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(caption, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(34)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..groups.len().max(1) as f64, -0.1 * most..most * ROOM)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .max_light_lines(0)
            .x_labels(0)
            .y_label_formatter(&|y| if *y < 0.0 { String::new() } else { format!("{y}") })
            .y_desc(unit)
            .draw()?;
        let names = groups.iter().enumerate();
        chart.draw_series(
            names.map(|(g, (name, _))| Text::new(name.clone(), (g as f64 + 0.5, -0.02 * most), below_the_axis())),
        )?;
        let width = 0.8 / series.len().max(1) as f64;
        for (n, name) in series.iter().enumerate() {
            let colour = COLOURS[n % COLOURS.len()];
            let bar = |(g, (_, values)): (usize, &(String, Vec<f64>))| {
                let left = g as f64 + 0.1 + n as f64 * width;
                let value = values.get(n).copied().unwrap_or(0.0);
                Rectangle::new([(left, 0.0), (left + width * 0.92, value)], colour.filled())
            };
            chart
                .draw_series(groups.iter().enumerate().map(bar))?
                .label((*name).to_owned())
                .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.filled()));
        }
        put_legend(&mut chart)?;
        area.present()?;
    }
    Ok(svg)
}

/// Draws the legend above the bars.
fn put_legend<'a, B: DrawingBackend + 'a, C: CoordTranslate>(
    chart: &mut ChartContext<'a, B, C>,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()
}

/// Small text in the middle under a place.
fn below_the_axis() -> TextStyle<'static> {
    let place = Pos::new(HPos::Center, VPos::Top);
    ("sans-serif", 12).into_font().color(&BLACK).pos(place)
}

/// Numbers to write under a logarithmic axis from `low` to `high`.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let all = decades.flat_map(|decade| [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0].map(|digit| digit * 10f64.powi(decade)));
    let within: Vec<f64> = all.filter(|tick| (low..=high).contains(tick)).collect();
    // Of many decades their beginnings are enough.
    let is_decade = |tick: &f64| (tick.log10() - tick.log10().round()).abs() < 1e-9;
    if within.len() > 16 { within.into_iter().filter(is_decade).collect() } else { within }
}

/// How times are spread: for each series the upper bounds of its bins and how many fell in each, on a logarithmic axis; the
/// series beside one another in each bin.
pub fn spread(caption: &str, series: &[(&str, Vec<(f64, f64)>)]) -> anyhow::Result<String> {
    let all = || series.iter().flat_map(|(_, bins)| bins);
    let (low, high) = all().fold((f64::MAX, 1e-3_f64), |(a, b), (x, _)| (a.min(*x), b.max(*x)));
    let most = all().map(|(_, n)| *n).fold(1.0, f64::max);
    let (low, high) = (low.min(high) * 0.8, high * 1.3);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (840, 360)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(caption, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d((low..high).log_scale(), -0.1 * most..most * ROOM)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .max_light_lines(0)
            .x_labels(0)
            .x_desc("milliseconds")
            .y_desc("how often")
            .y_label_formatter(&|y| if *y < 0.0 { String::new() } else { format!("{y:.0}") })
            .draw()?;
        let numbers = ticks(low, high).into_iter();
        chart.draw_series(numbers.map(|tick| {
            Text::new(format!("{}", (tick * 1e6).round() / 1e6), (tick, -0.02 * most), below_the_axis())
        }))?;
        for (n, (name, bins)) in series.iter().enumerate() {
            let colour = COLOURS[n % COLOURS.len()];
            // A bin is an eighth of a doubling wide; each series has its part of that.
            let part = |n: usize| 2f64.powf((n as f64 / series.len() as f64 - 1.0) / 8.0);
            let bar = |(upper, count): &(f64, f64)| {
                Rectangle::new([(upper * part(n), 0.0), (upper * part(n + 1), *count)], colour.filled())
            };
            chart
                .draw_series(bins.iter().map(bar))?
                .label((*name).to_owned())
                .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.filled()));
        }
        put_legend(&mut chart)?;
        area.present()?;
    }
    Ok(svg)
}

/// A choice on the plane of time and accuracy.
pub struct Choice {
    /// Milliseconds.
    pub ms: f64,
    /// Share 0..1 read exactly.
    pub exact: f64,
    /// No other choice is both faster and more accurate.
    pub on_frontier: bool,
    /// The one that was picked.
    pub picked: bool,
}

/// Choices by time and accuracy, the frontier joined by a line, the picked one ringed; the budget as a line across.
pub fn frontier(caption: &str, choices: &[Choice], budget_ms: f64) -> anyhow::Result<String> {
    let high = choices.iter().map(|c| c.ms).fold(budget_ms, f64::max);
    let least = choices.iter().map(|c| c.exact).fold(1.0, f64::min);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (840, 480)).into_drawing_area();
        area.fill(&WHITE)?;
        let x = 0.0..high * 1.05;
        let y = (least - 0.02).max(0.0)..1.005;
        let (bottom, top) = (y.start, y.end);
        let mut chart = ChartBuilder::on(&area)
            .caption(caption, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .max_light_lines(0)
            .x_desc("p99 of a frame, milliseconds")
            .y_desc("read exactly")
            .x_label_formatter(&|x| format!("{x:.1}"))
            .y_label_formatter(&|y| format!("{:.1} %", y * 100.0))
            .draw()?;
        let line = PathElement::new(vec![(budget_ms, bottom), (budget_ms, top)], COLOURS[1].stroke_width(2));
        chart.draw_series([line])?.label("the budget").legend(line_of(COLOURS[1]));
        let mut best: Vec<(f64, f64)> = choices.iter().filter(|c| c.on_frontier).map(|c| (c.ms, c.exact)).collect();
        best.sort_by(|a, b| a.0.total_cmp(&b.0));
        chart
            .draw_series(LineSeries::new(best, COLOURS[0].stroke_width(2)))?
            .label("the frontier")
            .legend(line_of(COLOURS[0]));
        let dot = |c: &Choice| {
            let colour = if c.on_frontier { COLOURS[0] } else { COLOURS[4] };
            Circle::new((c.ms, c.exact), 4, colour.filled())
        };
        chart.draw_series(choices.iter().map(dot))?;
        let picked = choices.iter().filter(|c| c.picked);
        chart.draw_series(picked.map(|c| Circle::new((c.ms, c.exact), 9, COLOURS[2].stroke_width(3))))?;
        chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
        area.present()?;
    }
    Ok(svg)
}

fn line_of(colour: RGBColor) -> impl Fn((i32, i32)) -> PathElement<(i32, i32)> {
    move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour.stroke_width(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_hold_what_they_are_of_and_nothing_makes_them_fail() {
        let drawn = bars("Stages", "ms", &["p50", "p99"], &[("detect".into(), vec![2.0, 3.0])]).unwrap();
        assert!(drawn.contains("detect") && drawn.contains("p99") && drawn.starts_with("<svg"));
        assert!(spread("Times", &[("decision", vec![(4.0, 10.0), (5.0, 3.0)])]).unwrap().contains("decision"));
        let choice = |ms, exact, on_frontier, picked| Choice { ms, exact, on_frontier, picked };
        let choices = [choice(2.0, 0.9, true, true), choice(5.0, 0.95, true, false), choice(6.0, 0.9, false, false)];
        assert!(frontier("Choices", &choices, 4.0).unwrap().contains("the frontier"));
        assert_eq!(ticks(0.8, 5.2), [1.0, 1.5, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(ticks(0.05, 2000.0), [0.1, 1.0, 10.0, 100.0, 1000.0]);
        bars("", "", &[], &[]).unwrap();
        spread("", &[]).unwrap();
        frontier("", &[], 1.0).unwrap();
    }
}
