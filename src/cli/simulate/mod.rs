//! `plategate simulate`: thousands of arrivals, painted or made of photographs: how many strangers get in, how many
//! neighbours are left standing?
//!
//! The lane is the one of `plategate run`, with its own networks, track, match and policy; only camera, clock and button are
//! played. What comes out depends on the seed alone.

mod cast;
mod curve;
mod paint;
mod stage;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Usage, VisionArgs};
use crate::camera::rendered::{Arrival, Scene, paint_plate};
use crate::config::{Config, Strength};
use crate::gate::strangers::Strangers;
use crate::picture::Picture;
use crate::plate::{Colour, Form, Plate};
use crate::register::demo;
use crate::vision::Vision;
use cast::{Cast, Shot, Who};
use paint::{Drive, Light, Photo, Spoof, Trick};
use stage::{Painter, Stage, Terms};
use tally::{Row, Tally};

/// Simulate thousands of arrivals, and count who got in.
#[derive(clap::Args)]
pub struct Args {
    /// Strangers: half as they come, four of ten chosen to be mistaken for a registered car, one of ten close behind one.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    strangers: usize,
    /// Registered cars.
    #[arg(long, value_name = "N", default_value_t = 500)]
    neighbours: usize,
    /// Photographs of registered plates, held up, pushed, carried, in grey.
    #[arg(long, value_name = "N", default_value_t = 100)]
    spoofs: usize,
    /// Settles everything that is drawn.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Make the approaches of the photographs in this folder instead of painting them.
    #[arg(long, value_name = "DIR", requires = "manifest")]
    photos: Option<PathBuf>,
    /// The photographs' list: a TSV with a header and the columns path, text and corners; paths relative to --photos.
    #[arg(long, value_name = "FILE", requires = "photos")]
    manifest: Option<PathBuf>,
    /// Only photographs whose column split (or set) is this; may be given more than once.
    #[arg(long, value_name = "NAME")]
    split: Vec<String>,
    /// Frames of an approach, one every 80 milliseconds.
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u16).range(4..=200))]
    frames: u16,
    /// Approaches that are run at the same time (default: one a processor).
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Also draw the curve: neighbours missed and strangers let in against the budget, as an SVG.
    #[arg(long, value_name = "FILE")]
    curve: Option<PathBuf>,
    /// Also write what was read in each frame of the neighbours' approaches, one JSON line each: for `calibration/track`.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    vision: VisionArgs,
}

/// The budgets of the curve.
const BUDGETS: [f64; 6] = [10.0, 100.0, 1e3, 1e4, 1e5, 1e6];
/// Of all approaches, so many are by night.
const NIGHTS: f64 = 0.3;

/// Runs the command.
pub fn run(args: Args, mut config: Config) -> anyhow::Result<ExitCode> {
    args.vision.apply(&mut config);
    if config.photo_check.far.is_none() {
        // As whoever installs the gate would set it.
        let (far, near) = paint::ends();
        (config.photo_check.far, config.photo_check.near) = (Some(far), Some(near));
    }
    let show = Show::new(&args, config)?;
    let total = args.strangers + args.neighbours + args.spoofs;
    let bar = ProgressBar::new(total as u64).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} approaches, {eta} left")
            .unwrap_or(ProgressStyle::default_bar()),
    );
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(vec![None; total]));
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1);
    let failed: Mutex<Option<anyhow::Error>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                let work = || -> anyhow::Result<()> {
                    let vision = Arc::new(Mutex::new(Vision::load(&show.config.vision)?));
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= total || failed.lock().is_some() {
                            return Ok(());
                        }
                        rows.lock()[n] = Some(show.approach(n, &vision)?);
                        bar.inc(1);
                    }
                };
                if let Err(error) = work() {
                    failed.lock().get_or_insert(error);
                }
            });
        }
    });
    bar.finish_and_clear();
    if let Some(error) = failed.into_inner() {
        return Err(error);
    }
    let rows: Vec<Row> = rows.into_inner().into_iter().flatten().collect();
    if let Some(file) = &args.record {
        let lines: Vec<String> = rows.iter().filter_map(|row| row.record.clone()).collect();
        std::fs::write(file, lines.join("\n") + "\n").with_context(|| format!("{}", file.display()))?;
    }
    let tally = Tally::of(&rows, args.seed, show.config.gate.false_open_one_in, show.source());
    if let Some(file) = &args.curve {
        let svg = curve::draw(&tally).context("the curve could not be drawn")?;
        std::fs::write(file, svg).with_context(|| format!("{}", file.display()))?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&tally)?)
    } else {
        tally.print()
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything an approach is made of.
struct Show {
    config: Config,
    seed: u64,
    frames: usize,
    neighbours: usize,
    strangers: usize,
    record: bool,
    /// The registered plates.
    plates: Vec<Plate>,
    /// The photographs; none where everything is painted.
    photos: Option<Cast>,
    ground: Arc<Picture>,
    model: Strangers,
}

impl Show {
    fn new(args: &Args, config: Config) -> anyhow::Result<Show> {
        let photos = match (&args.photos, &args.manifest) {
            (Some(folder), Some(manifest)) => {
                let mut shots = cast::shots(folder, manifest, &args.split)?;
                shots.retain(|shot| !is_service(shot.plate));
                Some(Cast::draw(shots, args.seed))
            }
            _ => None,
        };
        let painted = || demo::compound().1.iter().map(|v| v.plate).collect();
        if photos.as_ref().is_some_and(|cast| cast.ours.is_empty() || cast.others.is_empty()) {
            return Err(Usage("the photographs show too few different plates".into()).into());
        }
        Ok(Show {
            plates: photos.as_ref().map_or_else(painted, |cast| cast.plates.clone()),
            model: Strangers::new(config.gate.home_province, config.gate.home_city),
            photos,
            seed: args.seed,
            frames: usize::from(args.frames),
            neighbours: args.neighbours,
            strangers: args.strangers,
            record: args.record.is_some(),
            ground: paint::ground(),
            config,
        })
    }

    fn source(&self) -> String {
        match &self.photos {
            Some(cast) => format!("{} photographs", cast.ours.len() + cast.others.len()),
            None => "painted".into(),
        }
    }

    /// Runs approach number `n`: first the neighbours, then the strangers, then the photographs of plates.
    fn approach(&self, n: usize, vision: &Arc<Mutex<Vision>>) -> anyhow::Result<Row> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(n as u64 + 1);
        let who = match n {
            n if n < self.neighbours => Who::Neighbour,
            n if n < self.neighbours + self.strangers => cast::stranger(n - self.neighbours),
            n => Who::Spoof(Trick::ALL[n % Trick::ALL.len()]),
        };
        let night = rng.random_bool(NIGHTS);
        let (plate, plates, painter) = match &self.photos {
            Some(cast) => self.of_photos(cast, who, night, &mut rng)?,
            None => self.painted(who, night, &mut rng),
        };
        let tail = who == Who::Tailgater;
        let stage = Stage::new(if tail { 2 * self.frames } else { self.frames }, painter, vision.clone());
        let from = if tail { self.frames } else { 0 };
        let mut terms = Terms {
            rules: self.config.gate.clone(),
            photo_check: self.config.photo_check.clone(),
            register: cast::register(&plates),
        };
        let played = stage::play(&stage, &terms, from);
        let mut at = |one_in: f64, strength: Strength| {
            terms.rules.false_open_one_in = one_in;
            terms.photo_check.strength = strength;
            stage::play(&stage, &terms, from).opened
        };
        let strength = self.config.photo_check.strength;
        let lost_to_check = who.belongs() && !played.opened && at(self.config.gate.false_open_one_in, Strength::Off);
        let curve = match who {
            Who::Spoof(_) => [false; BUDGETS.len()],
            _ => BUDGETS.map(|one_in| at(one_in, strength)),
        };
        let stage = stage.lock();
        let readable = stage.readings().any(|readings| !readings.is_empty());
        let record = (self.record && who.belongs()).then(|| tally::record(plate, stage.readings()));
        Ok(Row { who, night, played, curve, lost_to_check, readable, record })
    }

    /// An approach made of a photograph.
    fn of_photos(
        &self,
        cast: &Cast,
        who: Who,
        night: bool,
        rng: &mut ChaCha8Rng,
    ) -> anyhow::Result<(Plate, Vec<Plate>, Painter)> {
        let mut plates = cast.plates.clone();
        let pick = |from: &[Shot], rng: &mut ChaCha8Rng| from.choose(rng).cloned().context("no photographs");
        let shot = match who {
            Who::Neighbour | Who::Spoof(_) => pick(&cast.ours, rng)?,
            _ => pick(&cast.others, rng)?,
        };
        if who == Who::LookAlike {
            // The photograph is what it is: a registered car is put next to it.
            let of = rng.random_range(0..plates.len());
            plates[of] = cast::look_alike(shot.plate, rng);
        }
        let (photo, first) =
            (load(&shot)?, if who == Who::Tailgater { Some(load(&pick(&cast.ours, rng)?)?) } else { None });
        let (ground, frames, seed) = (self.ground.clone(), self.frames, rng.random::<u64>());
        let (light, drive) = (Light::draw(night, rng), Drive::draw(rng));
        if let Who::Spoof(trick) = who {
            return Ok((shot.plate, plates, spoofed(Spoof::of_photo(&photo, trick, rng), ground, light, frames, seed)));
        }
        let painter: Painter = Box::new(move |frame, into| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(frame as u64);
            let (photo, at) = match &first {
                Some(first) if frame < frames => (first, frame),
                Some(_) => (&photo, frame - frames),
                None => (&photo, frame),
            };
            paint::car(photo, &ground, drive, light, paint::distance(at, frames), &mut rng, into);
        });
        Ok((shot.plate, plates, painter))
    }

    /// An approach that is painted.
    fn painted(&self, who: Who, night: bool, rng: &mut ChaCha8Rng) -> (Plate, Vec<Plate>, Painter) {
        let plates = self.plates.clone();
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
        if let Who::Spoof(trick) = who {
            let (light, flat) = (Light::draw(night, rng), paint_plate(&plate, colour(plate)));
            let spoof = Spoof::of_flat(flat, trick, rng);
            return (plate, plates, spoofed(spoof, self.ground.clone(), light, frames, seed));
        }
        let car = |plate| Arrival { plate, colour: colour(plate), night, hold: Duration::ZERO };
        let (second, first) = (car(plate), (who == Who::Tailgater).then(|| car(ours)));
        let painter: Painter = Box::new(move |frame, into| {
            let (car, at) = match &first {
                Some(first) if frame < frames => (first, frame),
                Some(_) => (&second, frame - frames),
                None => (&second, frame),
            };
            Scene::new(seed.wrapping_add(frame as u64)).paint(
                Some((car, paint::distance(at, frames))),
                night,
                false,
                into,
            );
        });
        (plate, plates, painter)
    }
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
