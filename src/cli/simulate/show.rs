//! What each approach is made of, and how it went.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::cast::{self, Cast, Shot, Who};
use super::paint::{self, Drive, Light};
use super::photo::{self, Photo};
use super::record::{self, Line};
use super::spoof::{Spoof, Trick};
use super::stage::{self, Painter, Played, Stage, Terms};
use super::tally::Row;
use super::{Args, BUDGETS};
use crate::camera::rendered::{Arrival, Scene, paint_plate};
use crate::cli::Usage;
use crate::config::{Config, Strength};
use crate::gate::strangers::Strangers;
use crate::picture::Picture;
use crate::plate::{Colour, Form, Plate};
use crate::register::demo;
use crate::vision::Vision;

/// Of all approaches, so many are by night.
const NIGHTS: f64 = 0.3;

type Sight = Arc<Mutex<Vision>>;

/// Everything an approach is made of.
pub struct Show {
    /// The gate's own settings.
    pub config: Config,
    seed: u64,
    frames: usize,
    neighbours: usize,
    strangers: usize,
    record: bool,
    just_started: bool,
    source: Source,
    ground: Arc<Picture>,
    model: Strangers,
}

/// Where approaches come from.
enum Source {
    /// All is painted; these plates are registered.
    Painted(Vec<Plate>),
    /// Photographs.
    Photos(Cast),
    /// What was read before; each shot's path is the line's number.
    Replayed(Cast, Vec<Line>),
}

/// One approach before it is played.
struct Approach {
    plate: Plate,
    register: Vec<Plate>,
    stage: Arc<Mutex<Stage>>,
    /// Pulses before this frame are another car's.
    from: usize,
    photo: Option<String>,
}

impl Show {
    /// Draws the register and looks for what the approaches are made of.
    pub fn new(args: &Args, mut config: Config) -> anyhow::Result<Show> {
        let source = match (&args.replay, &args.photos, &args.manifest) {
            (Some(file), ..) => {
                config.photo_check.strength = Strength::Off;
                replayed(file, args.seed)?
            }
            (_, Some(folder), Some(manifest)) => {
                let (left_out, narrowest) = (args.leave_out.as_deref(), f32::from(args.narrowest));
                let mut shots =
                    cast::shots(folder, manifest, &cast::Wanted { splits: &args.split, left_out, narrowest })?;
                shots.retain(|shot| !is_service(shot.plate));
                Source::Photos(Cast::draw(shots, args.seed))
            }
            _ => Source::Painted(demo::compound().1.iter().map(|v| v.plate).collect()),
        };
        if let Source::Photos(cast) | Source::Replayed(cast, _) = &source
            && (cast.ours.is_empty() || cast.others.is_empty())
        {
            return Err(Usage("there are too few different plates: forty at least".into()).into());
        }
        Ok(Show {
            model: Strangers::new(config.gate.home_province, config.gate.home_city),
            source,
            seed: args.seed,
            frames: usize::from(args.frames),
            neighbours: args.neighbours,
            strangers: args.strangers,
            record: args.record.is_some(),
            just_started: args.just_started,
            ground: paint::ground(),
            config,
        })
    }

    /// Of what the approaches are made.
    pub fn source(&self) -> String {
        match &self.source {
            Source::Painted(_) => "painted".into(),
            Source::Photos(cast) => format!("{} photographs", cast.ours.len() + cast.others.len()),
            Source::Replayed(_, lines) => format!("{} approaches read before", lines.len()),
        }
    }

    /// Must the networks be loaded?
    pub fn needs_sight(&self) -> bool {
        !matches!(self.source, Source::Replayed(..))
    }

    /// Runs approach number `n`: first the neighbours, then the strangers, then the photographs of plates.
    pub fn approach(&self, n: usize, sight: Option<&Sight>) -> anyhow::Result<Row> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(n as u64 + 1);
        let who = match n {
            n if n < self.neighbours => Who::Neighbour,
            n if n < self.neighbours + self.strangers => cast::stranger(n - self.neighbours),
            n => Who::Spoof(Trick::ALL[n % Trick::ALL.len()]),
        };
        let night = rng.random_bool(NIGHTS);
        // Whatever these networks read before, the seed settles what comes of it.
        if let Some(sight) = sight {
            sight.lock().begin_anew();
        }
        let approach = match (&self.source, sight) {
            (Source::Replayed(cast, lines), _) => self.again(cast, lines, who, &mut rng)?,
            (Source::Photos(cast), Some(sight)) => self.of_photos(cast, who, night, &mut rng, sight)?,
            (Source::Painted(plates), Some(sight)) => self.painted(plates, who, night, &mut rng, sight),
            (_, None) => anyhow::bail!("no networks were loaded"),
        };
        self.play(who, night, &approach)
    }

    /// Plays it at the budget that is set, and at those of the curve.
    fn play(&self, who: Who, night: bool, approach: &Approach) -> anyhow::Result<Row> {
        let (one_in, strength) = (self.config.gate.false_open_one_in, self.config.photo_check.strength);
        let register = cast::register(&approach.register);
        let at = |one_in: f64, strength: Strength| {
            let mut terms = Terms {
                rules: self.config.gate.clone(),
                photo_check: self.config.photo_check.clone(),
                register: register.clone(),
            };
            (terms.rules.false_open_one_in, terms.photo_check.strength) = (one_in, strength);
            stage::play(&approach.stage, &terms, approach.from)
        };
        let played = at(one_in, strength);
        let lost_to_check =
            who.belongs() && !played.opened && strength == Strength::Refuse && at(one_in, Strength::Off).opened;
        let curve = match who {
            Who::Spoof(_) => [false; BUDGETS.len()],
            _ => curve(one_in, &played, |one_in| at(one_in, strength).opened),
        };
        let mut stage = approach.stage.lock();
        let until = played.at.map_or(0, |at| at + 1 - approach.from);
        let mut record = None;
        if self.record {
            let around = stage.read_all()?;
            let photo = approach.photo.clone();
            let line = Line { around, ..Line::of(who, night, photo, approach.plate, &played, stage.readings()) };
            record = Some(serde_json::to_string(&line)?);
        }
        Ok(Row {
            who,
            night,
            plate: approach.plate,
            photo: approach.photo.clone(),
            curve,
            lost_to_check,
            readable: stage.readings().any(|readings| !readings.is_empty()),
            readable_frames: until.saturating_sub(paint::readable_from(stage.frames() - approach.from)),
            record,
            played,
        })
    }

    /// An approach made of a photograph.
    fn of_photos(
        &self,
        cast: &Cast,
        who: Who,
        night: bool,
        rng: &mut ChaCha8Rng,
        sight: &Sight,
    ) -> anyhow::Result<Approach> {
        let (shot, register) = pick(cast, who, rng)?;
        let first = if who == Who::Tailgater { Some(load(in_front(cast, &register, rng)?)?) } else { None };
        let photo = load(&shot)?;
        let (ground, frames, seed) = (self.ground.clone(), self.frames, rng.random::<u64>());
        let (light, drive) = (Light::draw(night, rng), Drive::draw(rng));
        let painter: Painter = match who {
            Who::Spoof(trick) => spoofed(Spoof::of_photo(&photo, trick, rng), ground, light, frames, seed),
            _ => Box::new(move |frame, into| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(frame as u64);
                let (photo, at) = match &first {
                    Some(first) if frame < frames => (first, frame),
                    Some(_) => (&photo, frame - frames),
                    None => (&photo, frame),
                };
                photo::car(photo, &ground, drive, light, paint::distance(at, frames), &mut rng, into)
                    .expect("a picture in memory can be warped");
            }),
        };
        let from = if who == Who::Tailgater { frames } else { 0 };
        let lane = (!self.just_started).then(|| paint::before(self.ground.clone(), light, seed));
        let stage = Stage::new(frames + from, painter, lane, sight.clone());
        let name = shot.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let folder = shot.path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let photo = Some(format!("{}/{}", folder.unwrap_or_default(), name.unwrap_or_default()));
        Ok(Approach { plate: shot.plate, register, stage, from, photo })
    }

    /// An approach that was read before.
    fn again(&self, cast: &Cast, lines: &[Line], who: Who, rng: &mut ChaCha8Rng) -> anyhow::Result<Approach> {
        let line = |shot: &Shot| {
            let number = shot.path.to_str().and_then(|path| path.parse::<usize>().ok());
            number.and_then(|n| lines.get(n)).context("no such line")
        };
        let (shot, register) = pick(cast, who, rng)?;
        let mut frames = Vec::new();
        if who == Who::Tailgater {
            frames = line(in_front(cast, &register, rng)?)?.readings();
        }
        let from = frames.len();
        frames.extend(line(&shot)?.readings());
        Ok(Approach { plate: shot.plate, register, stage: Stage::read_before(frames), from, photo: None })
    }

    /// An approach that is painted.
    fn painted(&self, plates: &[Plate], who: Who, night: bool, rng: &mut ChaCha8Rng, sight: &Sight) -> Approach {
        let ours = *plates.choose(rng).expect("the compound has cars");
        let plate = loop {
            let plate = match who {
                Who::Neighbour | Who::Spoof(_) => break ours,
                Who::LookAlike => cast::look_alike(ours, rng),
                _ => self.model.draw(|| rng.random()),
            };
            if !plates.contains(&plate) && !is_service(plate) {
                break plate;
            }
        };
        let (frames, seed) = (self.frames, rng.random::<u64>());
        let (painter, lane): (Painter, Painter) = if let Who::Spoof(trick) = who {
            let (light, flat) = (Light::draw(night, rng), paint_plate(&plate, colour(plate)));
            let ground = self.ground.clone();
            let lane = paint::before(ground.clone(), light, seed);
            (spoofed(Spoof::of_flat(flat, trick, rng), ground, light, frames, seed), lane)
        } else {
            let car = |plate| Arrival { plate, colour: colour(plate), night, hold: Duration::ZERO };
            let (second, first) = (car(plate), (who == Who::Tailgater).then(|| car(ours)));
            let painter = move |frame: usize, into: &mut Picture| {
                let (car, at) = match &first {
                    Some(first) if frame < frames => (first, frame),
                    Some(_) => (&second, frame - frames),
                    None => (&second, frame),
                };
                let z = paint::distance(at, frames);
                Scene::new(seed.wrapping_add(frame as u64)).paint(Some((car, z)), night, false, into);
            };
            let (mut scene, (exposure, _)) = (Scene::new(seed), paint::exposure(seed));
            let lane = move |_: usize, into: &mut Picture| {
                scene.paint(None, night, false, into);
                into.bgr.iter_mut().for_each(|v| *v = (f32::from(*v) * exposure) as u8);
            };
            (Box::new(painter), Box::new(lane))
        };
        let from = if who == Who::Tailgater { frames } else { 0 };
        let lane = Some(lane).filter(|_| !self.just_started);
        let stage = Stage::new(frames + from, painter, lane, sight.clone());
        Approach { plate, register: plates.to_vec(), stage, from, photo: None }
    }
}

/// Did it open at each of [`BUDGETS`]? What does not open at one budget does not at a stricter one: two or three runs tell.
fn curve(one_in: f64, played: &Played, opens: impl Fn(f64) -> bool) -> [bool; BUDGETS.len()] {
    let known = |budget: f64| match played.opened {
        true if budget <= one_in => Some(true),
        false if budget >= one_in => Some(false),
        _ => None,
    };
    let strictest = BUDGETS.partition_point(|budget| known(*budget).unwrap_or_else(|| opens(*budget)));
    std::array::from_fn(|i| i < strictest)
}

/// Whose photograph comes, and who is registered.
fn pick(cast: &Cast, who: Who, rng: &mut ChaCha8Rng) -> anyhow::Result<(Shot, Vec<Plate>)> {
    let mut register = cast.plates.clone();
    let shot = match who {
        Who::Neighbour | Who::Spoof(_) => {
            // Any photographed car is a neighbour for once.
            let all = cast.ours.len() + cast.others.len();
            let n = rng.random_range(0..all);
            cast.ours.get(n).or_else(|| cast.others.get(n - cast.ours.len()))
        }
        _ => cast.others.choose(rng),
    };
    let shot = shot.cloned().context("no photographs")?;
    let place = rng.random_range(0..register.len());
    match who {
        Who::Neighbour | Who::Spoof(_) if !register.contains(&shot.plate) => register[place] = shot.plate,
        // The photograph is what it is: a registered car is put next to it.
        Who::LookAlike => register[place] = cast::look_alike(shot.plate, rng),
        _ => {}
    }
    Ok((shot, register))
}

/// A registered car that drives in front of a stranger.
fn in_front<'a>(cast: &'a Cast, register: &[Plate], rng: &mut ChaCha8Rng) -> anyhow::Result<&'a Shot> {
    let ours: Vec<&Shot> = cast.ours.iter().filter(|shot| register.contains(&shot.plate)).collect();
    ours.choose(rng).copied().context("no photographs of registered cars")
}

fn replayed(file: &Path, seed: u64) -> anyhow::Result<Source> {
    let lines = record::read(file)?;
    let shot =
        |(n, line): (usize, &Line)| Shot { path: n.to_string().into(), plate: line.plate, quad: Default::default() };
    let shots: Vec<Shot> = lines.iter().enumerate().map(shot).collect();
    if shots.len() < 40 {
        return Err(
            Usage(format!("{}: {} approaches of cars are too few: 40 at least", file.display(), shots.len())).into()
        );
    }
    Ok(Source::Replayed(Cast::draw(shots, seed), lines))
}

fn spoofed(spoof: Spoof, ground: Arc<Picture>, light: Light, frames: usize, seed: u64) -> Painter {
    Box::new(move |frame, into| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(frame as u64);
        spoof.paint(&ground, light, (frame, frames), &mut rng, into);
    })
}

fn load(shot: &Shot) -> anyhow::Result<Photo> {
    let open = || -> anyhow::Result<Picture> { Ok(Picture::decode(&std::fs::read(&shot.path)?)?) };
    Ok(Photo::new(open().with_context(|| format!("{}", shot.path.display()))?, shot.quad))
}

/// Fire, rescue and police always come in: they are no strangers.
fn is_service(plate: Plate) -> bool {
    matches!(plate.form(), Form::Police | Form::Emergency | Form::ArmedPolice)
}

/// The ground of a plate of this form.
fn colour(plate: Plate) -> Colour {
    let usual = [Colour::Blue, Colour::Green, Colour::Yellow, Colour::White, Colour::Black];
    usual.into_iter().find(|c| plate.form().has(*c)).unwrap_or(Colour::Blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_asks_only_what_it_must() {
        let played = |opened| Played { opened, at: None, frames: 0, ms: 0.0, rule: None, read: None, liveness: None };
        for opens_at in [0.0, 10.0, 1e3, 1e4, 1e6] {
            let want = BUDGETS.map(|budget| budget <= opens_at);
            assert_eq!(curve(1e4, &played(opens_at >= 1e4), |budget| budget <= opens_at), want, "{opens_at}");
        }
    }
}
