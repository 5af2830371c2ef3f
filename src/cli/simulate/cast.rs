//! Who comes: neighbours, strangers as they come, strangers chosen to be mistaken, tricksters, and who is registered.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::spoof::Trick;
use crate::cli::{Usage, eval};
use crate::picture::Quad;
use crate::plate::{ALPHABET, PROVINCES, Plate, alphabet_index};
use crate::register::{Dues, Snapshot, Vehicle, confusable};

/// Cars that are registered.
pub const REGISTERED: usize = 103;
/// A photograph that shows less than this beside the plate, to the left or the right, plate widths, shows no car: what is made
/// up there would begin at the plate's very edge.
const BESIDE: f32 = 0.2;
/// A photographed plate that leans by more than this, radians (20 degrees), was not taken by a camera that hangs straight.
const LEANING: f32 = 0.35;

/// What comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A registered car.
    Neighbour,
    /// A stranger, as they come.
    Stranger,
    /// A stranger whose plate differs from a registered one in one or two characters, look-alikes first.
    LookAlike,
    /// A stranger close behind a registered car.
    Tailgater,
    /// A photograph of a registered plate.
    Spoof(Trick),
}

impl Who {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Who::Neighbour => "neighbour",
            Who::Stranger => "stranger",
            Who::LookAlike => "look_alike",
            Who::Tailgater => "tailgater",
            Who::Spoof(trick) => trick.name(),
        }
    }

    /// Must it be let in?
    pub fn belongs(self) -> bool {
        self == Who::Neighbour
    }
}

/// Who comes as number `n`: strangers are by turns as they come (half), chosen (four of ten) and close behind (one of ten).
pub fn stranger(n: usize) -> Who {
    match n % 10 {
        0..=4 => Who::Stranger,
        5..=8 => Who::LookAlike,
        _ => Who::Tailgater,
    }
}

/// A photograph of the manifest.
#[derive(Clone, Debug)]
pub struct Shot {
    /// The file.
    pub path: PathBuf,
    /// What the plate says.
    pub plate: Plate,
    /// Its corners.
    pub quad: Quad,
}

#[derive(Deserialize)]
struct Row {
    path: String,
    text: String,
    #[serde(default)]
    corners: String,
    #[serde(default)]
    kind: String,
    #[serde(default, alias = "set")]
    split: String,
}

#[derive(Deserialize)]
struct LeftOut {
    path: String,
}

/// Which photographs are taken.
pub struct Wanted<'a> {
    /// Those of these splits; of all where there is none.
    pub splits: &'a [String],
    /// But for those of this list (column `path`).
    pub left_out: Option<&'a Path>,
    /// And those whose plate is narrower than this, pixels.
    pub narrowest: f32,
}

/// The photographs of a manifest that show a car with a plate whose corners are known, level enough for a gate.
pub fn shots(folder: &Path, manifest: &Path, wanted: &Wanted) -> anyhow::Result<Vec<Shot>> {
    let name = manifest.display();
    let Wanted { splits, left_out, narrowest } = *wanted;
    let left_out = left_out.map(|list| eval::table::<LeftOut>(list, &["path"])).transpose()?.unwrap_or_default();
    let left_out: HashSet<String> = left_out.into_iter().map(|row| row.path).collect();
    let mut shots = Vec::new();
    for row in eval::table::<Row>(manifest, &["path", "text"])? {
        let wanted = (splits.is_empty() || splits.contains(&row.split)) && !left_out.contains(&row.path);
        let whole = !matches!(row.kind.as_str(), "crop" | "background");
        let (Ok(plate), Ok(Some(quad))) = (row.text.parse(), eval::corners(&row.corners)) else {
            continue;
        };
        let path = folder.join(row.path);
        if wanted && whole && quad.width() >= narrowest && lean(&quad) <= LEANING && beside(&path, &quad)? >= BESIDE {
            shots.push(Shot { path, plate, quad });
        }
    }
    if shots.len() < 20 {
        let why = format!("{name}: {} photographs of cars with text and corners are too few: 20 at least", shots.len());
        return Err(Usage(why).into());
    }
    Ok(shots)
}

/// How much the photograph shows beside the plate, to the left or the right, whichever is less: plate widths.
fn beside(path: &Path, quad: &Quad) -> anyhow::Result<f32> {
    let (width, _) = image::image_dimensions(path).with_context(|| format!("{}", path.display()))?;
    let [left, _, right, _] = quad.bounds();
    Ok(left.min(width as f32 - right) / quad.width())
}

/// By how much the plate's rows lean from the level, radians 0..=pi.
fn lean(Quad([a, b, c, d]): &Quad) -> f32 {
    (b[1] - a[1] + c[1] - d[1]).atan2(b[0] - a[0] + c[0] - d[0]).abs()
}

/// The register, and which photographs show registered cars and which show others.
pub struct Cast {
    /// Who is registered.
    pub plates: Vec<Plate>,
    /// Photographs of them.
    pub ours: Vec<Shot>,
    /// Photographs of others.
    pub others: Vec<Shot>,
}

impl Cast {
    /// Draws the register among the photographed plates: at most half of them.
    pub fn draw(mut shots: Vec<Shot>, seed: u64) -> Cast {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        shots.sort_by(|a, b| a.path.cmp(&b.path));
        let mut plates: Vec<Plate> = shots.iter().map(|s| s.plate).collect();
        plates.sort();
        plates.dedup();
        plates.shuffle(&mut rng);
        plates.truncate(REGISTERED.min(plates.len() / 2));
        let (ours, others) = shots.into_iter().partition(|shot| plates.contains(&shot.plate));
        Cast { plates, ours, others }
    }
}

/// A register of paid cars.
pub fn register(plates: &[Plate]) -> Arc<Snapshot> {
    let paid = |plate: &Plate| Vehicle::new(*plate, "1-101").with(Dues::settled());
    Arc::new(Snapshot::new(plates.iter().map(paid).collect()))
}

/// A plate that differs from this one in one or two characters; seven times of ten in those that readers confuse. In the first
/// place stands another province.
pub fn look_alike(of: Plate, rng: &mut ChaCha8Rng) -> Plate {
    let serial = &ALPHABET[1..35];
    loop {
        let mut slots = *of.slots();
        let length = slots.iter().filter(|s| **s != 0).count();
        let confused = rng.random_bool(0.7);
        for _ in 0..rng.random_range(1..=2) {
            let at = rng.random_range(0..length);
            let now = ALPHABET[slots[at] as usize];
            if at == 0 {
                let other = PROVINCES.choose(rng).filter(|_| PROVINCES.contains(&now));
                slots[0] = other.and_then(|other| alphabet_index(*other)).unwrap_or(slots[0]);
                continue;
            }
            let pairs: Vec<usize> = (1..35).filter(|&i| confusable(now, ALPHABET[i])).collect();
            let new = match pairs.choose(rng).filter(|_| confused) {
                Some(&pair) => pair,
                None => 1 + rng.random_range(0..serial.len()),
            };
            slots[at] = new as u8;
        }
        if let Some(plate) = Plate::from_slots(slots).filter(|plate| *plate != of) {
            return plate;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_are_one_or_two_characters_off() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let of: Plate = "苏F8B120".parse().unwrap();
        let mut confused = 0;
        for _ in 0..200 {
            let plate = look_alike(of, &mut rng);
            let differ: Vec<(char, char)> = of.chars().zip(plate.chars()).filter(|(a, b)| a != b).collect();
            assert!((1..=2).contains(&differ.len()), "{plate}");
            confused += usize::from(differ.iter().all(|(a, b)| confusable(*a, *b)));
        }
        assert!(confused > 80, "{confused}");
    }

    #[test]
    fn photographs_without_a_car_around_the_plate_narrow_ones_and_those_left_out_are_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let (list, out) = (folder.path().join("list.tsv"), folder.path().join("out.tsv"));
        let mut rows = "path\ttext\tcorners\tkind\tsplit\n".to_owned();
        for n in 0..23 {
            let left = if n == 7 { 15 } else { 40 };
            let right = left + 100;
            rows += &format!("{n}.png\t苏F{n:05}\t{left},50,{right},50,{right},80,{left},80\tfull_frame\tdev\n");
            image::RgbImage::new(180, 120).save(folder.path().join(format!("{n}.png"))).unwrap();
        }
        std::fs::write(&list, rows).unwrap();
        std::fs::write(&out, "path\twhy\n3.png\ta box is drawn on it\n9.png\ttwo plates\n").unwrap();
        let splits = ["dev".to_owned()];
        let taken = |left_out: Option<&Path>, narrowest| {
            shots(folder.path(), &list, &Wanted { splits: &splits, left_out, narrowest })
        };
        let names = |left_out: Option<&Path>| -> Vec<String> {
            let shots = taken(left_out, 100.0).unwrap();
            shots.iter().map(|shot| shot.path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
        };
        let all: Vec<String> = (0..23).filter(|n| *n != 7).map(|n| n.to_string()).collect();
        assert_eq!(names(None), all);
        assert_eq!(names(Some(&out)), all.into_iter().filter(|n| n != "3" && n != "9").collect::<Vec<_>>());
        std::fs::write(&out, "name\n3.png\n").unwrap();
        let error = taken(Some(&out), 100.0).unwrap_err();
        assert!(format!("{error:#}").contains("out.tsv"), "{error:#}");
        let error = taken(None, 101.0).unwrap_err();
        assert!(format!("{error:#}").contains("0 photographs"), "{error:#}");
    }

    #[test]
    fn plates_that_lean_are_told_from_level_ones() {
        let at = |degrees: f32| {
            let (sin, cos) = degrees.to_radians().sin_cos();
            Quad(
                [[0.0, 0.0], [110.0, 0.0], [110.0, 35.0], [0.0, 35.0]]
                    .map(|[x, y]| [cos * x - sin * y, sin * x + cos * y]),
            )
        };
        assert!([0.0, 19.0, -19.0].iter().all(|d| lean(&at(*d)) <= LEANING));
        assert!([21.0, -21.0, 90.0, 180.0].iter().all(|d| lean(&at(*d)) > LEANING));
    }

    #[test]
    fn the_register_is_drawn_among_the_photographs_and_the_same_for_a_seed() {
        let shot = |n: usize| Shot {
            path: format!("{n}.jpg").into(),
            plate: format!("苏F{:05}", n / 2).parse().unwrap(),
            quad: Quad::default(),
        };
        let shots: Vec<Shot> = (0..600).map(shot).collect();
        let cast = Cast::draw(shots.clone(), 4);
        assert_eq!((cast.plates.len(), cast.ours.len(), cast.others.len()), (103, 206, 394));
        assert!(cast.others.iter().all(|s| !cast.plates.contains(&s.plate)));
        assert_eq!(Cast::draw(shots, 4).plates, cast.plates);
    }
}
