//! Where are plates? A small copy of the frame in, rough corners and scores out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use super::VisionError;
use super::model::Model;
use super::network::Network;
use super::shrink::Scratch;
use crate::config;
use crate::picture::{Picture, Quad, drop_covered};

/// Pixels of the network's input that one cell of its answer stands for.
const STRIDE: usize = 8;
/// Cells with a lower score are nothing. Low on purpose: the refiner and the reader turn false finds away.
const THRESHOLD: f32 = 0.3;
/// More plates than this in one frame are not looked at.
const MOST: usize = 12;

/// A rough find.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// 0..1.
    pub score: f32,
    /// Corners in pixels of the frame, off by a few per cent of the plate's width.
    pub quad: Quad,
}

/// The detector: one network per input shape, made when first needed.
pub struct Detector {
    model: Model,
    settings: config::Vision,
    networks: HashMap<(usize, usize), Network>,
    /// Are the network's scores logits?
    logits: bool,
    scratch: Scratch,
    found: Vec<Found>,
}

impl Detector {
    /// Reads the model; the network for 1080p frames is made at once, so that a wrong file is found here.
    pub fn load(settings: &config::Vision) -> Result<Detector, VisionError> {
        let model = Model::read(settings, "detector")?;
        let mut detector = Detector {
            model,
            settings: settings.clone(),
            networks: HashMap::new(),
            logits: false,
            scratch: Scratch::default(),
            found: Vec::new(),
        };
        let (width, height) = usual_shape(settings);
        detector.prepare(width, height)?;
        Ok(detector)
    }

    /// Looks at this part of the picture alone, or at all of it.
    pub fn look_at(&mut self, lane: Option<[f32; 4]>) {
        self.settings.lane = lane;
    }

    /// When and how the model was trained.
    pub fn trained(&self) -> String {
        self.networks.values().next().map(|n| Model::trained(n.session())).unwrap_or_default()
    }

    /// How long its networks have run since this was last asked.
    pub fn take_spent(&mut self) -> Duration {
        self.networks.values_mut().map(Network::take_spent).sum()
    }

    /// Makes the network for this input shape, if there is none yet.
    fn prepare(&mut self, width: usize, height: usize) -> Result<(), VisionError> {
        if let Entry::Vacant(place) = self.networks.entry((width, height)) {
            let session = self.model.session(&self.settings, &[("height", height), ("width", width)])?;
            self.logits = Model::score_is_logit(&session);
            let answer = [1, 9, height / STRIDE, width / STRIDE];
            place.insert(Network::new(session, "image", [width, height], &[("plates", &answer)])?);
        }
        Ok(())
    }

    /// The plates of a picture, best first, looked for in a copy whose longer side is `share` of `vision.search_px`: 1 as a
    /// rule, more for small plates, less for plates that fill the frame.
    pub fn find(&mut self, picture: &Picture, share: f32) -> Result<&[Found], VisionError> {
        let region = region_of(picture, self.settings.lane);
        let search = ((self.settings.search_px as f32 * share) as usize).next_multiple_of(32);
        let (width, height) = input_shape(picture, region, search, self.settings.lane.is_some());
        self.prepare(width, height)?;
        let Some(network) = self.networks.get_mut(&(width, height)) else {
            return Err(VisionError::Answer("the detector has no network for this shape"));
        };
        let scale = network.planes().fit(picture, region, &mut self.scratch);
        network.run()?;
        decode(network.answer(0), width / STRIDE, height / STRIDE, self.logits, &mut self.found);
        let [left, top, ..] = region;
        for find in &mut self.found {
            find.quad = Quad(find.quad.0.map(|[x, y]| [x / scale + left as f32, y / scale + top as f32]));
        }
        Ok(&self.found)
    }
}

/// The part of the picture to look at, in pixels.
pub fn region_of(picture: &Picture, lane: Option<[f32; 4]>) -> [usize; 4] {
    let Some([x, y, w, h]) = lane else { return [0, 0, picture.width, picture.height] };
    let share = |v: f32, of: usize| ((v * of as f32) as usize).min(of);
    let left = share(x, picture.width).min(picture.width.saturating_sub(1));
    let top = share(y, picture.height).min(picture.height.saturating_sub(1));
    let width = share(w, picture.width).clamp(1, picture.width - left);
    let height = share(h, picture.height).clamp(1, picture.height - top);
    [left, top, width, height]
}

/// The network's input for a 1080p frame, or for the lane on it: width and height.
pub fn usual_shape(settings: &config::Vision) -> (usize, usize) {
    let frame = Picture { width: 1920, height: 1080, bgr: Vec::new() };
    input_shape(&frame, region_of(&frame, settings.lane), settings.search_px, settings.lane.is_some())
}

/// The network's input for a whole frame, width and height: by the frame's proportions, its longer side `search` pixels.
fn whole_shape(width: usize, height: usize, search: usize) -> (usize, usize) {
    // 16:9 lies wide or tall; what is nearly square gets three quarters of the length, which takes about as long.
    let across = (search * 9 / 16).next_multiple_of(32);
    match (width as f32, height as f32) {
        (w, h) if w > 1.2 * h => (search, across),
        (w, h) if h > 1.2 * w => (across, search),
        _ => [(search * 3 / 4).next_multiple_of(32); 2].into(),
    }
}

/// The network's input, width and height: of a whole frame, or of a lane as large as it would be there.
fn input_shape(picture: &Picture, [_, _, width, height]: [usize; 4], search: usize, lane: bool) -> (usize, usize) {
    let (w, h) = whole_shape(picture.width, picture.height, search);
    if !lane {
        return (w, h);
    }
    let scale = (w as f32 / picture.width as f32).min(h as f32 / picture.height as f32);
    let up = |size: usize, most: usize| ((size as f32 * scale / 32.0).ceil() as usize * 32).clamp(64, most.max(64));
    (up(width, w), up(height, h))
}

/// Local maxima of the score over 3x3 cells, best first; of finds that lie in one another only the best.
/// `answer` is `[9, h, w]`: the score (as a logit, or 0..1), then x and y of four corners from the cell's centre, in cells.
fn decode(answer: &[f32], w: usize, h: usize, logits: bool, found: &mut Vec<Found>) {
    found.clear();
    let (score, corners) = answer.split_at(w * h);
    let threshold = if logits { (THRESHOLD / (1.0 - THRESHOLD)).ln() } else { THRESHOLD };
    let probability = |s: f32| if logits { 1.0 / (1.0 + (-s).exp()) } else { s };
    for y in 0..h {
        for x in 0..w {
            let s = score[y * w + x];
            if s >= threshold && is_peak(score, w, h, x, y, s) {
                let at = |k: usize| corners[k * w * h + y * w + x];
                let centre = [x as f32 + 0.5, y as f32 + 0.5];
                let corner =
                    |i: usize| [(at(2 * i) + centre[0]) * STRIDE as f32, (at(2 * i + 1) + centre[1]) * STRIDE as f32];
                let quad = Quad([corner(0), corner(1), corner(2), corner(3)]);
                if quad.0.iter().flatten().all(|v| v.is_finite()) {
                    found.push(Found { score: probability(s), quad });
                }
            }
        }
    }
    found.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
    drop_covered(found, |f| &f.quad);
    found.truncate(MOST);
}

fn is_peak(score: &[f32], w: usize, h: usize, x: usize, y: usize, s: f32) -> bool {
    (y.saturating_sub(1)..(y + 2).min(h))
        .all(|ny| (x.saturating_sub(1)..(x + 2).min(w)).all(|nx| score[ny * w + nx] <= s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_become_plates_and_shadows_of_them_do_not() {
        let (w, h) = (10, 6);
        let mut answer = vec![0.0; 9 * w * h];
        let mut put = |x: usize, y: usize, score: f32| {
            answer[y * w + x] = score;
            for (k, v) in [-2.0, -0.5, 2.0, -0.5, 2.0, 0.5, -2.0, 0.5].into_iter().enumerate() {
                answer[(k + 1) * w * h + y * w + x] = v;
            }
        };
        put(4, 2, 0.9);
        put(5, 2, 0.8); // beside the peak
        put(6, 2, 0.5); // a second peak inside of the first plate
        put(2, 5, 0.4);
        put(9, 0, 0.2); // too weak
        let mut found = Vec::new();
        decode(&answer, w, h, false, &mut found);
        assert_eq!(found.iter().map(|f| f.score).collect::<Vec<_>>(), [0.9, 0.4]);
        assert_eq!(found[0].quad.0[0], [20.0, 16.0]);
        assert_eq!(found[0].quad.0[2], [52.0, 24.0]);
        let (mut logits, mut same) = (answer.clone(), Vec::new());
        logits[..w * h]
            .iter_mut()
            .for_each(|p| *p = (p.clamp(1e-6, 1.0 - 1e-6) / (1.0 - p.clamp(1e-6, 1.0 - 1e-6))).ln());
        decode(&logits, w, h, true, &mut same);
        assert_eq!(same.len(), 2);
        for (a, b) in same.iter().zip(&found) {
            assert!((a.score - b.score).abs() < 1e-5 && a.quad == b.quad, "{a:?} {b:?}");
        }
    }

    #[test]
    fn shapes_follow_the_frame_and_the_lane() {
        let frame = Picture { width: 1920, height: 1080, bgr: Vec::new() };
        assert_eq!(input_shape(&frame, [0, 0, 1920, 1080], 512, false), (512, 288));
        assert_eq!(input_shape(&frame, [0, 0, 1920, 1080], 448, false), (448, 256));
        let region = region_of(&frame, Some([0.25, 0.5, 0.5, 0.5]));
        assert_eq!(region, [480, 540, 960, 540]);
        assert_eq!(input_shape(&frame, region, 512, true), (256, 160));
        let tall = Picture { width: 720, height: 1160, bgr: Vec::new() };
        assert_eq!(input_shape(&tall, [0, 0, 720, 1160], 512, false), (288, 512));
    }
}
