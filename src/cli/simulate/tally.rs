//! What was counted, with confidence intervals.

use std::collections::BTreeMap;

use serde::Serialize;

use super::BUDGETS;
use super::cast::Who;
use super::stage::Played;
use crate::gate::event::Rule;
use crate::plate::Plate;

/// One approach and what came of it.
#[derive(Clone)]
pub struct Row {
    /// Who came.
    pub who: Who,
    /// By night?
    pub night: bool,
    /// What the plate says.
    pub plate: Plate,
    /// The photograph that the approach was made of.
    pub photo: Option<String>,
    /// What happened at the configured budget.
    pub played: Played,
    /// Did it open at each of [`BUDGETS`]?
    pub curve: [bool; BUDGETS.len()],
    /// It would have opened without the check for photographs.
    pub lost_to_check: bool,
    /// Was anything read in any frame?
    pub readable: bool,
    /// Up to the one in which it opened, the frames that had the plate at a readable size ([`super::paint::READABLE_PX`]).
    pub readable_frames: usize,
    /// What was read, as a JSON line.
    pub record: Option<String>,
}

/// The time of day, in a word.
fn time(night: bool) -> &'static str {
    if night { "night" } else { "day" }
}

/// The rule on record, in a word.
fn reason(rule: Option<Rule>) -> String {
    rule.map_or("not read well enough to be put on record".into(), |rule| format!("{rule:?}"))
}

/// A share with its 95 % interval (Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// How many.
    pub count: usize,
    /// Of how many.
    pub of: usize,
    /// The share, 0..1.
    pub share: f64,
    /// The interval's ends.
    pub low: f64,
    /// See `low`.
    pub high: f64,
}

impl Share {
    /// So many of so many.
    pub fn of(count: usize, of: usize) -> Share {
        const Z: f64 = 1.96;
        if of == 0 {
            return Share { count, of, share: 0.0, low: 0.0, high: 1.0 };
        }
        let (n, p) = (of as f64, count as f64 / of as f64);
        let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Share { count, of, share: p, low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
    }
}

/// Percentiles by the nearest rank.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Spread {
    p50: f64,
    p95: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let Some(last) = values.len().checked_sub(1) else { return Spread::default() };
        let at = |q: f64| values[(last as f64 * q).round() as usize];
        Spread { p50: at(0.5), p95: at(0.95), max: at(1.0) }
    }
}

/// One point of the curve.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Point {
    /// The budget: one stranger in so many.
    pub one_in: f64,
    /// Strangers let in.
    pub false_opens: Share,
    /// Neighbours left standing.
    pub missed: Share,
}

/// An approach that went wrong: a stranger or a photograph of a plate that was let in, a neighbour that was not.
#[derive(Serialize)]
pub struct Wrong {
    who: &'static str,
    night: bool,
    plate: Plate,
    #[serde(skip_serializing_if = "Option::is_none")]
    photo: Option<String>,
    /// The well-formed plate that was recorded as read.
    read: Option<Plate>,
    rule: Option<Rule>,
}

impl Wrong {
    fn of(row: &Row) -> Wrong {
        let Row { who, night, plate, ref photo, ref played, .. } = *row;
        Wrong { who: who.name(), night, plate, photo: photo.clone(), read: played.read, rule: played.rule }
    }

    /// In a line.
    fn line(&self) -> String {
        let (time, rule) = (time(self.night), reason(self.rule));
        let photo = self.photo.as_deref().unwrap_or("painted");
        let read = self.read.map_or("-".into(), |plate| plate.to_string());
        format!("wrong: {} by {time}, {}, read as {read}, {rule} ({photo})", self.who, self.plate)
    }
}

/// Everything counted.
#[derive(Serialize)]
pub struct Tally {
    strangers: usize,
    false_opens: usize,
    neighbours: usize,
    missed_opens: usize,
    spoofs: usize,
    spoofs_opened: usize,
    /// Frames with the plate that were fused until it opened.
    frames_to_open: Spread,
    /// Neighbours that opened by the third of these frames.
    by_third_frame: Share,
    /// Neighbours that opened by the third frame that had the plate at a readable size, whether it was found there or not.
    by_third_readable: Share,
    /// From the first frame with the plate to the pulse, milliseconds on the lane's scripted clock.
    ms_to_pulse: Spread,
    /// Against the budget.
    pub curve: Vec<Point>,
    seed: u64,
    one_in: f64,
    source: String,
    false_open_rate: Share,
    missed_rate: Share,
    spoof_rate: Share,
    /// Neighbours that only the check for photographs kept out.
    lost_to_photo_check: Share,
    /// By who came, and by night: how many opened.
    opened: BTreeMap<String, Share>,
    /// Why neighbours were left standing.
    missed_for: BTreeMap<String, usize>,
    /// Neighbours whose plate was read in no frame.
    never_read: usize,
    /// All that went wrong, one by one.
    wrong: Vec<Wrong>,
}

impl Tally {
    /// Counts.
    pub fn of(rows: &[Row], seed: u64, one_in: f64, source: String) -> Tally {
        let of = |which: &dyn Fn(&Row) -> bool| rows.iter().filter(|r| which(r)).collect::<Vec<&Row>>();
        let is_spoof = |r: &Row| matches!(r.who, Who::Spoof(_));
        let (ours, spoofs) = (of(&|r| r.who.belongs()), of(&|r| is_spoof(r)));
        let strangers = of(&|r| !r.who.belongs() && !is_spoof(r));
        let opened = |rows: &[&Row]| rows.iter().filter(|r| r.played.opened).count();
        let opened_ours: Vec<&&Row> = ours.iter().filter(|r| r.played.opened).collect();
        let third = opened_ours.iter().filter(|r| r.played.frames <= 3).count();
        let readable = opened_ours.iter().filter(|r| r.readable_frames <= 3).count();
        let curve = |(i, one_in): (usize, f64)| Point {
            one_in,
            false_opens: Share::of(strangers.iter().filter(|r| r.curve[i]).count(), strangers.len()),
            missed: Share::of(ours.iter().filter(|r| !r.curve[i]).count(), ours.len()),
        };
        let mut groups: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        let mut missed_for = BTreeMap::new();
        for row in rows {
            for name in [row.who.name().to_owned(), format!("{}_{}", row.who.name(), time(row.night))] {
                let group = groups.entry(name).or_default();
                *group = (group.0 + usize::from(row.played.opened), group.1 + 1);
            }
            if row.who.belongs() && !row.played.opened {
                *missed_for.entry(reason(row.played.rule)).or_default() += 1;
            }
        }
        let missed = ours.len() - opened_ours.len();
        Tally {
            strangers: strangers.len(),
            false_opens: opened(&strangers),
            neighbours: ours.len(),
            missed_opens: missed,
            spoofs: spoofs.len(),
            spoofs_opened: opened(&spoofs),
            frames_to_open: Spread::of(opened_ours.iter().map(|r| f64::from(r.played.frames)).collect()),
            by_third_frame: Share::of(third, ours.len()),
            by_third_readable: Share::of(readable, ours.len()),
            ms_to_pulse: Spread::of(opened_ours.iter().map(|r| r.played.ms).collect()),
            curve: BUDGETS.into_iter().enumerate().map(curve).collect(),
            seed,
            one_in,
            source,
            false_open_rate: Share::of(opened(&strangers), strangers.len()),
            missed_rate: Share::of(missed, ours.len()),
            spoof_rate: Share::of(opened(&spoofs), spoofs.len()),
            lost_to_photo_check: Share::of(ours.iter().filter(|r| r.lost_to_check).count(), ours.len()),
            opened: groups.into_iter().map(|(name, (count, of))| (name, Share::of(count, of))).collect(),
            missed_for,
            never_read: ours.iter().filter(|r| !r.readable).count(),
            wrong: of(&|r| r.played.opened != r.who.belongs()).into_iter().map(Wrong::of).collect(),
        }
    }

    /// As a table.
    pub fn print(&self) {
        let line = |what: &str, s: &Share| {
            let (low, high) = (100.0 * s.low, 100.0 * s.high);
            println!("{what:34} {:>6} of {:<6} {:>7.3} %  ({low:.3} to {high:.3})", s.count, s.of, 100.0 * s.share);
        };
        println!("{}, seed {}, budget one in {}, 95 % intervals", self.source, self.seed, self.one_in);
        line("strangers let in", &self.false_open_rate);
        line("neighbours left standing", &self.missed_rate);
        line("  by the check for photographs", &self.lost_to_photo_check);
        line("neighbours in by the third frame", &self.by_third_frame);
        line("  by the third readable frame", &self.by_third_readable);
        line("photographs of plates let in", &self.spoof_rate);
        for (name, share) in &self.opened {
            line(&format!("  {name}"), share);
        }
        for (rule, count) in &self.missed_for {
            println!("left standing for {rule}: {count}");
        }
        self.wrong.iter().for_each(|wrong| println!("{}", wrong.line()));
        let (f, t) = (self.frames_to_open, self.ms_to_pulse);
        println!("frames to open: {} in the median, {} for 95 %, {} at most", f.p50, f.p95, f.max);
        println!("first frame to pulse: {:.0} ms in the median, {:.0} for 95 %, {:.0} at most", t.p50, t.p95, t.max);
        for point in &self.curve {
            line(&format!("one in {}: strangers in", point.one_in), &point.false_opens);
            line("          neighbours left", &point.missed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_wilsons() {
        let share = Share::of(0, 10_000);
        assert!(share.low < 1e-12 && (share.high - 0.000384).abs() < 1e-6, "{share:?}");
        let half = Share::of(50, 100);
        assert!((half.low - 0.4038).abs() < 1e-3 && (half.high - 0.5962).abs() < 1e-3, "{half:?}");
        assert_eq!((Share::of(0, 0).low, Share::of(0, 0).high), (0.0, 1.0));
    }
}
