//! What is thrown at every parser: the bodies of `tests/fuzz.rs` (a few seconds each, in `make test`) and of `fuzz/` (with
//! coverage, for as long as one likes). Not for anything else.
//!
//! A body must return whatever it is given. It panics where a promise is broken: what was read must be written as it was
//! read, an error must be one line.

mod fleet;
mod pages;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::IgnoredAny;

use crate::camera::Source;
use crate::config::Config;
use crate::gate::event::{Arrival, Event};
use crate::picture::Picture;
use crate::plate::Plate;
use crate::register::{Change, Household, Reason, Vehicle, exchange};
use crate::store::archive::{self, How, Keys};
use crate::store::events::Events;
use crate::store::{Store, decode, encode, journal_text};

/// One parser.
pub struct Target {
    /// Its name, also in `fuzz/`.
    pub name: &'static str,
    /// What is done with a text of random bytes.
    pub run: fn(&[u8]),
    /// Good input, to be spoilt.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Only so many bytes at the end are spoilt: what stands before them is not ours to read.
    pub tail: usize,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "plate", run: plate, seeds: plates, tail: usize::MAX },
    Target { name: "config", run: config, seeds: configs, tail: usize::MAX },
    Target { name: "table", run: table, seeds: tables, tail: usize::MAX },
    Target { name: "backup", run: backup, seeds: backups, tail: usize::MAX },
    Target { name: "journal", run: journal, seeds: journals, tail: usize::MAX },
    Target { name: "record", run: record, seeds: records, tail: usize::MAX },
    Target { name: "picture", run: picture, seeds: pictures, tail: usize::MAX },
    Target { name: "source", run: source, seeds: sources, tail: usize::MAX },
    Target { name: "key", run: key, seeds: keys, tail: usize::MAX },
    Target { name: "model", run: model, seeds: models, tail: 2048 },
    Target { name: "message", run: fleet::message, seeds: fleet::messages, tail: usize::MAX },
    Target { name: "command", run: fleet::command, seeds: fleet::commands, tail: usize::MAX },
    Target { name: "pass", run: fleet::pass, seeds: fleet::passes, tail: usize::MAX },
    Target { name: "request", run: pages::request, seeds: pages::requests, tail: usize::MAX },
];

/// Runs the target of that name, as libFuzzer does; where only the end is spoilt, the bytes are that end.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|t| t.name == name).expect("a target of TARGETS");
    if target.tail == usize::MAX {
        return (target.run)(bytes);
    }
    // A process of libFuzzer has one target.
    static HEAD: OnceLock<Vec<u8>> = OnceLock::new();
    let head = HEAD.get_or_init(|| {
        let mut whole = (target.seeds)().into_iter().next().unwrap_or_default();
        whole.truncate(whole.len().saturating_sub(target.tail));
        whole
    });
    (target.run)(&[&head[..], bytes].concat());
}

impl Target {
    /// What [`run`] begins with.
    pub fn seeds_for_coverage(&self) -> Vec<Vec<u8>> {
        let mut seeds = (self.seeds)();
        if self.tail < usize::MAX {
            // The head is that of the first.
            seeds.truncate(1);
        }
        seeds.into_iter().map(|seed| seed[seed.len().saturating_sub(self.tail)..].to_vec()).collect()
    }
}

fn one_line(error: &str) {
    assert!(!error.contains('\n') && !error.is_empty(), "{error:?} is not one line");
}

fn reason(told: &Reason) {
    one_line(&told.zh);
    one_line(&told.en);
}

fn plate(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<Plate>() {
        Ok(plate) => assert_eq!(plate.to_string().parse::<Plate>().as_ref(), Ok(&plate)),
        Err(error) => one_line(&error.to_string()),
    }
}

fn plates() -> Vec<Vec<u8>> {
    [
        "苏F12345",
        "苏FD60817",
        "皖A6P42Z",
        "粤B12345D",
        "京A·1234警",
        "WJ苏12345",
        "粤Z1234港",
        "使014578",
        "　苏ｆ12345 ",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

fn config(bytes: &[u8]) {
    if let Err(error) = Config::parse(&String::from_utf8_lossy(bytes), Path::new("gate.toml")) {
        one_line(&error.to_string());
    }
}

fn configs() -> Vec<Vec<u8>> {
    let example = include_bytes!("../deploy/plategate.example.toml").to_vec();
    let short = b"[gate]\nhome_city = \"F\"\n[schedule]\nhold_open = [\"mon-fri 07:00-08:30\"]\n[camera]\nsource = \"rtsp://a@b\"\n";
    // Every key without its comments: changes hit something.
    let bare = String::from_utf8_lossy(&example).lines().filter(|l| !l.starts_with('#')).collect::<Vec<_>>().join("\n");
    vec![bare.into_bytes(), short.to_vec()]
}

fn table(bytes: &[u8]) {
    let Ok(import) = exchange::import(bytes).inspect_err(reason) else { return };
    import.errors.iter().for_each(|error| one_line(&error.to_string()));
    let (mut households, mut vehicles) = (Vec::new(), Vec::new());
    for change in import.changes {
        match change {
            Change::Household(household) => households.push(household),
            Change::Vehicle(vehicle) => vehicles.push(vehicle),
            other => panic!("an import of cars wants {other:?}"),
        }
    }
    // What was taken goes out and comes in again as the same cars.
    let again = exchange::import(&exchange::to_csv(&exchange::export(&households, &vehicles))).expect("our own export");
    assert_eq!((again.vehicles, &again.errors[..]), (vehicles.len(), &[][..]));
}

fn tables() -> Vec<Vec<u8>> {
    let household =
        Household { building: 2, unit: "301".into(), name: "王伟".into(), phone: Some("13800000000".into()) };
    let car = Vehicle::new("苏F12345".parse().expect("a plate"), &household.key());
    let rows = exchange::export(&[household], &[car]);
    let csv = exchange::to_csv(&rows);
    let (gbk, _, _) = encoding_rs::GBK.encode("车牌,楼栋,房号,户主\n苏F12345,2,301,王伟\n");
    let plain = b"plate;building;unit;paid_yuan\n\xe8\x8b\x8fF12345;2;301;100.00\n".to_vec();
    vec![csv, exchange::to_xlsx(&rows).expect("a workbook"), gbk.into_owned(), plain]
}

/// A file for those that read files; one a thread.
fn file_of(bytes: &[u8]) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    let number = NUMBER.with(|n| *n);
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let path = folder.join(format!("plategate-fuzz-{}-{number}", std::process::id()));
    std::fs::write(&path, bytes).expect("a file in memory");
    path
}

fn backup(bytes: &[u8]) {
    let path = file_of(bytes);
    let checked = archive::check(&path, &Keys::default());
    let _ = std::fs::remove_file(&path);
    if let Err(error) = checked {
        one_line(&error.to_string());
    }
}

fn backups() -> Vec<Vec<u8>> {
    let folder = std::env::temp_dir().join(format!("plategate-fuzz-seed-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let made = || -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error>> {
        let store = std::sync::Arc::new(Store::open(&folder.join("data"))?);
        let events = Events::open(store.clone())?;
        let picture = Picture::filled(64, 48, [50, 90, 130]);
        events.append(Arrival { event: Event::blank("gate", jiff::Timestamp::now()), picture })?;
        let file = folder.join("b");
        archive::backup(&store, &file, &How::default())?;
        let plain = std::fs::read(&file)?;
        let recipients = vec![archive::make_key(&folder.join("key"))?];
        archive::backup(&store, &file, &How { recipients, ..How::default() })?;
        // The archive alone, too: behind zstd a changed byte seldom gets far.
        let tar = zstd::decode_all(&plain[..])?;
        Ok(vec![plain, std::fs::read(&file)?, zstd::encode_all(&tar[..], -7)?])
    };
    let seeds = made().expect("a small store");
    let _ = std::fs::remove_dir_all(&folder);
    seeds
}

fn journal(bytes: &[u8]) {
    journal_text(bytes);
}

fn journals() -> Vec<Vec<u8>> {
    let line = |text: &str| format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes()));
    let all = [
        r#"{"n":1,"writes":[]}"#,
        r#"{"n":2,"writes":[{"tree":"things","key":"苏F12345","record":{"a":[1,2.5e300,null]}}]}"#,
        r#"{"n":3,"writes":[{"tree":"things","key":7,"record":"x"},{"tree":"b","key":[0,255]}]}"#,
    ];
    vec![all.map(line).concat().into_bytes(), line(all[1]).into_bytes()]
}

fn record(bytes: &[u8]) {
    let _ = decode::<IgnoredAny>(bytes);
    // Without the checksum nothing gets through it: the fields behind it are tried as well.
    if let Ok(event) = serde_json::from_slice::<Event>(bytes) {
        let again: Event = decode(&encode(&event)).expect("what was encoded");
        assert_eq!(format!("{again:?}"), format!("{event:?}"));
    }
    if let Ok(vehicle) = serde_json::from_slice::<Vehicle>(bytes) {
        let _ = vehicle.standing(jiff::civil::date(2026, 11, 26));
    }
}

fn records() -> Vec<Vec<u8>> {
    let event = Event::blank("gate", jiff::Timestamp::UNIX_EPOCH);
    let car = Vehicle::new("苏F12345".parse().expect("a plate"), "2-301");
    let json = |value: serde_json::Result<Vec<u8>>| value.expect("plain data");
    vec![encode(&event), json(serde_json::to_vec(&event)), json(serde_json::to_vec(&car))]
}

fn picture(bytes: &[u8]) {
    match Picture::decode(bytes) {
        Ok(picture) => assert_eq!(picture.bgr.len(), picture.width * picture.height * 3),
        Err(error) => one_line(&crate::text::one_line(&error.to_string())),
    }
}

fn pictures() -> Vec<Vec<u8>> {
    let picture = Picture::filled(48, 32, [50, 90, 130]);
    let mut png = std::io::Cursor::new(Vec::new());
    let small = image::RgbImage::from_pixel(16, 16, image::Rgb([1, 2, 3]));
    small.write_to(&mut png, image::ImageFormat::Png).expect("a small picture");
    let mut bmp = std::io::Cursor::new(Vec::new());
    small.write_to(&mut bmp, image::ImageFormat::Bmp).expect("a small picture");
    vec![picture.to_jpeg(80).expect("a small picture"), png.into_inner(), bmp.into_inner()]
}

fn source(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<Source>() {
        // A password stays out of every text.
        Ok(source @ Source::Rtsp(_)) => assert!(!source.to_string().contains("gate:s3cret@"), "{source}"),
        Ok(_) => {}
        Err(error) => one_line(&error.to_string()),
    }
    crate::camera::fuzz_answer(bytes);
}

fn sources() -> Vec<Vec<u8>> {
    [
        "rtsp://gate:s3cret@10.0.0.5:554/live",
        "v4l2:/dev/video0",
        "rtsps://[::1]:8554/x",
        "RTSP/1.0 401 Unauthorized\r\n\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

fn key(bytes: &[u8]) {
    let path = file_of(bytes);
    let read = Keys::read(&path);
    let _ = std::fs::remove_file(&path);
    if let Err(error) = read {
        one_line(&error.to_string());
    }
}

fn keys() -> Vec<Vec<u8>> {
    vec![b"# created: today\n# public key: age1x\nAGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n".to_vec()]
}

fn model(bytes: &[u8]) {
    if let Err(error) = crate::vision::try_model(bytes) {
        one_line(&error);
    }
}

/// The smallest of the models; where none is at hand, ONNX Runtime is spared.
fn models() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    ["reader.int8.onnx", "corners.onnx"].into_iter().filter_map(read).collect()
}
