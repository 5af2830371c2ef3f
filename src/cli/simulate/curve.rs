//! The curve: what the budget costs in neighbours, and whether it holds.

use plotters::prelude::*;

use super::tally::{Point, Tally};

/// Shares below this cannot be drawn on a logarithmic axis.
const LEAST: f64 = 1e-5;

/// Neighbours left standing and strangers let in against the budget, with 95 % intervals, and the line that the strangers
/// must keep below; as an SVG.
pub fn draw(tally: &Tally) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (840, 520)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption("What the budget costs, and whether it holds", ("sans-serif", 20))
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d((8.0f64..1.3e6).log_scale(), (LEAST..1.0).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("the budget: at most one stranger in so many is let in")
            .y_desc("share (95 % intervals)")
            .x_label_formatter(&|v| format!("{v:.0}"))
            .y_label_formatter(&|v| format!("{v:.5}").trim_end_matches('0').trim_end_matches('.').to_owned())
            .draw()?;
        let points = &tally.curve;
        let stated = points.iter().map(|p| (p.one_in, (1.0 / p.one_in).max(LEAST)));
        chart.draw_series(LineSeries::new(stated, BLACK.mix(0.6)))?.label("the stated budget").legend(legend(BLACK));
        let mut series = |name: &str, colour: RGBColor, share: &dyn Fn(&Point) -> [f64; 3]| -> anyhow::Result<()> {
            let at = |p: &Point, i: usize| (p.one_in, share(p)[i].max(LEAST));
            chart
                .draw_series(LineSeries::new(points.iter().map(|p| at(p, 1)), colour.stroke_width(2)))?
                .label(name.to_owned())
                .legend(legend(colour));
            let bars = points.iter().map(|p| PathElement::new(vec![at(p, 0), at(p, 2)], colour.mix(0.5)));
            chart.draw_series(bars)?;
            chart.draw_series(points.iter().map(|p| Circle::new(at(p, 1), 4, colour.filled())))?;
            Ok(())
        };
        series("neighbours left standing", BLUE, &|p| [p.missed.low, p.missed.share, p.missed.high])?;
        series("strangers let in", RED, &|p| [p.false_opens.low, p.false_opens.share, p.false_opens.high])?;
        chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
        area.present()?;
    }
    Ok(svg)
}

fn legend(colour: RGBColor) -> impl Fn((i32, i32)) -> PathElement<(i32, i32)> {
    move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], colour)
}
