//! The evaluation as one HTML page that needs nothing beside it: tables, the confusion matrix, and the pictures that were
//! read wrong, the surest mistake first.

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::tally::{Report, Tally};
use super::{Row, corners};
use crate::cli::read::PlateLine;
use crate::picture::Picture;
use crate::plate::ALPHABET;

/// More pictures than this make the page too heavy to open.
const MOST: usize = 400;
/// A shown picture's longer side, pixels.
const SIDE: usize = 280;

/// A picture that was not read exactly.
pub struct Miss {
    path: String,
    truth: String,
    read: String,
    sure: f32,
    slots: Vec<(char, f32)>,
    jpeg: String,
}

impl Miss {
    /// Cuts the picture to the plate's surroundings and keeps it as JPEG.
    pub fn new(row: &Row, plate: Option<&PlateLine>, picture: &Picture) -> anyhow::Result<Miss> {
        let place = match corners(&row.corners)? {
            Some(quad) => Some(quad.0),
            None => plate.map(|p| p.corners),
        };
        let jpeg = around(picture, place).shrunk_to(SIDE).to_jpeg(80)?;
        Ok(Miss {
            path: row.path.clone(),
            truth: row.text.clone(),
            read: plate.map(|p| p.text.clone()).unwrap_or_default(),
            sure: plate.map_or(0.0, |p| p.min_slot),
            slots: plate.map(|p| p.slots.iter().map(|s| (s.char, s.p)).collect()).unwrap_or_default(),
            jpeg: STANDARD.encode(jpeg),
        })
    }
}

/// The part of the picture around these corners, half the plate's width to spare on each side.
fn around(picture: &Picture, corners: Option<[[f32; 2]; 4]>) -> Picture {
    let Some(corners) = corners else { return picture.crop(0, 0, picture.width, picture.height) };
    let reach = |axis: usize| {
        let values = corners.map(|c| c[axis]);
        (values.iter().copied().fold(f32::MAX, f32::min), values.iter().copied().fold(f32::MIN, f32::max))
    };
    let ((left, right), (top, bottom)) = (reach(0), reach(1));
    let spare = (right - left) / 2.0;
    let (x, y) = ((left - spare).max(0.0), (top - spare).max(0.0));
    picture.crop(x as usize, y as usize, (right + spare - x).max(1.0) as usize, (bottom + spare - y).max(1.0) as usize)
}

/// One cell of the confusion matrix: how often, and how dark to paint it, 0..1.
struct Cell {
    count: u32,
    shade: f32,
}

#[derive(Template)]
#[template(path = "eval.html")]
struct Page<'a> {
    manifest: &'a str,
    report: &'a Report,
    tables: Vec<(&'static str, Vec<(String, Tally)>)>,
    read_as: Vec<char>,
    matrix: Vec<(char, Vec<Cell>)>,
    misses: &'a [Miss],
    left_out: usize,
}

/// Writes the page as text.
pub fn render(manifest: &str, report: &Report, mut misses: Vec<Miss>) -> anyhow::Result<String> {
    misses.sort_by(|a, b| b.sure.total_cmp(&a.sure));
    let left_out = misses.len().saturating_sub(MOST);
    misses.truncate(MOST);
    let by_name = |map: &std::collections::BTreeMap<String, Tally>| map.iter().map(|(k, t)| (k.clone(), *t)).collect();
    let provinces = report.provinces.iter().map(|(c, t)| (c.to_string(), *t)).collect();
    let tables = vec![
        ("all", vec![("all".into(), report.all)]),
        ("set", by_name(&report.sets)),
        ("kind", by_name(&report.kinds)),
        ("first character", provinces),
    ];
    let (read_as, matrix) = matrix(report);
    Ok(Page { manifest, report, tables, read_as, matrix, misses: &misses, left_out }.render()?)
}

/// Rows of what stood there, columns of what was read; only characters that were ever confused.
fn matrix(report: &Report) -> (Vec<char>, Vec<(char, Vec<Cell>)>) {
    let is_in = |c: char, of: &dyn Fn(&super::tally::Confusion) -> char| report.confusions.iter().any(|x| of(x) == c);
    let read_as: Vec<char> = ALPHABET.into_iter().filter(|&c| is_in(c, &|x| x.read)).collect();
    let truths = ALPHABET.into_iter().filter(|&c| is_in(c, &|x| x.truth));
    let cell = |truth: char, read: char| {
        let found = report.confusions.iter().find(|c| (c.truth, c.read) == (truth, read));
        let count = found.map_or(0, |c| c.count);
        let shown = report.characters.get(&truth).map_or(1, |c| c.shown.max(1));
        Cell { count, shade: (count as f32 / shown as f32 * 5.0).clamp(if count > 0 { 0.15 } else { 0.0 }, 1.0) }
    };
    let rows = truths.map(|truth| (truth, read_as.iter().map(|&read| cell(truth, read)).collect())).collect();
    (read_as, rows)
}
