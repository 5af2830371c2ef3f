//! Good input, spoilt at random, for every parser; and for the running gate's forms and its API.
//!
//! Each target runs for `PLATEGATE_FUZZ_SECONDS` (two by default) from `PLATEGATE_FUZZ_SEED` (another one each time). The
//! bodies are those of `fuzz/`, where libFuzzer looks for ways on its own. What breaks a promise is printed in hexadecimal
//! and kept in the folder for temporary files.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use plategate::fuzzing::{TARGETS, Target};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn time() -> Duration {
    let seconds = std::env::var("PLATEGATE_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(2.0))
}

fn random() -> (ChaCha8Rng, u64) {
    let seed = std::env::var("PLATEGATE_FUZZ_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random);
    (ChaCha8Rng::seed_from_u64(seed), seed)
}

/// What parsers stumble over.
const WORDS: [&[u8]; 26] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\"",
    b"'",
    b",",
    b";",
    b"\\",
    b"../",
    b"%00",
    b"-1",
    b"0",
    b"NaN",
    b"1e999",
    b"99999999999999999999",
    b"-9223372036854775808",
    b"9999-12-31T23:59",
    b"-9999-01-01",
    b"null",
    b"[[[[[[[[",
    b"{\"",
    b"=cmd|'/c'!A1",
    b"\xef\xbb\xbf",
    "苏F12345".as_bytes(),
    "\u{202e}".as_bytes(),
    b"\xff\xfe",
];
const LONGEST: usize = 1 << 20;

/// Spoils a few places of a text, never before `from`.
fn spoil(bytes: &mut Vec<u8>, other: &[u8], from: usize, random: &mut ChaCha8Rng) {
    for _ in 0..random.random_range(1..=4) {
        let from = from.min(bytes.len());
        let at = random.random_range(from..=bytes.len());
        let until = (at + random.random_range(0..=64)).min(bytes.len());
        match random.random_range(0..8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = *[0, 1, 0x7f, 0x80, 0xff, random.random()].choose(random).unwrap(),
            2 => drop(bytes.drain(at..until)),
            3 => {
                let piece = bytes[at..until].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => drop(bytes.splice(at..until, WORDS.choose(random).unwrap().iter().copied())),
            5 if !other.is_empty() => {
                let (a, b) = (random.random_range(0..other.len()), random.random_range(0..other.len()));
                bytes.splice(at..until, other[a.min(b)..a.max(b)].iter().copied().take(4096));
            }
            6 if random.random_bool(0.1) => bytes.truncate(at),
            _ => drop(
                bytes.splice(at..at, (0..random.random_range(1..9)).map(|_| random.random::<u8>()).collect::<Vec<_>>()),
            ),
        }
    }
    bytes.truncate(LONGEST);
}

fn fuzz(name: &str) {
    let target: &Target = TARGETS.iter().find(|t| t.name == name).unwrap();
    let seeds = (target.seeds)();
    if seeds.is_empty() {
        return println!("SKIPPED {name}: there are no seeds here");
    }
    seeds.iter().for_each(|seed| (target.run)(seed));
    let ((mut random, seed), begun) = (random(), Instant::now());
    let (mut tried, mut slowest) = (0u64, Duration::ZERO);
    while begun.elapsed() < time() {
        let mut bytes = seeds.choose(&mut random).unwrap().clone();
        let from = bytes.len().saturating_sub(target.tail);
        spoil(&mut bytes, seeds.choose(&mut random).unwrap(), from, &mut random);
        let one = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| (target.run)(&bytes))).is_err() {
            let kept = std::env::temp_dir().join(format!("plategate-fuzz-{name}-{seed}-{tried}"));
            std::fs::write(&kept, &bytes).unwrap();
            let hex: String = bytes.iter().take(2000).map(|b| format!("{b:02x}")).collect();
            panic!("{name}, seed {seed}, try {tried}, kept in {}: {hex}", kept.display());
        }
        slowest = slowest.max(one.elapsed());
        tried += 1;
    }
    assert!(tried > 0);
    println!("{name}: {tried} tried, the slowest took {} ms (seed {seed})", slowest.as_millis());
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            fuzz(stringify!($name));
        })*

        #[test]
        fn every_target_is_run() {
            assert!(TARGETS.iter().map(|t| t.name).eq([$(stringify!($name)),*]));
        }
    };
}

targets!(plate config table backup journal record picture source key model message command pass request);

/// The target `request` sends ten times as many to the same handlers; here it is the whole program that must live on.
const MOST_OF_BODIES: Duration = Duration::from_secs(10);

/// What a program or a browser may send to a running gate, spoilt. It answers each, never with "broken", and lives on.
#[test]
fn bodies_of_the_api_and_of_forms() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let token = support::token(&data, "tester", "steward");
    let mut gate = support::Gate::start(&["--demo", "--data", &data.display().to_string()]);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        // The gate may close a connection whose body it did not want to read on; each request has its own.
        .max_idle_connections(0)
        .timeout_global(Some(Duration::from_secs(90)))
        .build()
        .into();
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    let vehicle = "/api/v1/vehicles/%E8%8B%8FF12345";
    let seeds: [(&str, &str, &str, &str); 8] = [
        (
            "PUT",
            vehicle,
            json,
            r#"{"building":2,"unit":"301","name":"王伟","phone":"138","grace_until":"2026-12-31","note":"x"}"#,
        ),
        (
            "POST",
            "/api/v1/passes",
            json,
            r#"{"plate":"皖A6P42Z","household":"2-301","from":"2026-11-25T18:00:00Z","to":"2026-11-26T18:00:00Z","entries":2,"note":"x"}"#,
        ),
        ("POST", "/api/v1/open", json, r#"{"reason":"访客"}"#),
        ("GET", "/api/v1/events?day=2026-11-25&plate=F12&outcome=opened&before=7", "", ""),
        ("GET", "/api/v1/book/statement?month=2026-11", "", ""),
        ("GET", "/visitors?code=123456", "", ""),
        ("POST", "/sign-in", form, "name=tester&password=wrong&code=123456&next=%2F"),
        ("POST", "/setup", form, "code=abcd-efgh&name=x&password=correct+horse"),
    ];
    let ((mut random, seed), begun) = (random(), Instant::now());
    let mut tried = 0u64;
    while begun.elapsed() < time().min(MOST_OF_BODIES) || tried < 100 {
        let (method, path, kind, body) = *seeds.choose(&mut random).unwrap();
        let mut bytes = body.as_bytes().to_vec();
        let mut path = path.to_owned();
        if !body.is_empty() {
            spoil(&mut bytes, seeds.choose(&mut random).unwrap().3.as_bytes(), 0, &mut random);
        }
        // Addresses are spoilt behind the last slash or mark, and sent as addresses are.
        if body.is_empty() || random.random_bool(0.3) {
            let at = path.rfind(['/', '=']).unwrap() + 1;
            let mut end = path.split_off(at).into_bytes();
            spoil(&mut end, b"", 0, &mut random);
            path += &end.iter().map(|b| format!("%{b:02X}")).collect::<String>();
        }
        let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{}{path}", gate.address));
        // A program has its token; a browser says whose form it sends.
        request = match path.starts_with("/api/") {
            true => request.header("Authorization", format!("Bearer {token}")),
            false => request.header("Origin", format!("http://{}", gate.address)),
        };
        if !kind.is_empty() {
            request = request.header("Content-Type", kind);
        }
        let answer = agent.run(request.body(bytes.clone()).unwrap());
        let told = || format!("seed {seed}, try {tried}: {method} {path} {:?}", String::from_utf8_lossy(&bytes));
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", told()));
        // 503: the barrier refuses, or too much at once; 500 and others: something of ours broke.
        let status = answer.status().as_u16();
        assert!(status < 500 || status == 503, "{status} to {}", told());
        tried += 1;
    }
    assert!(gate.child.try_wait().unwrap().is_none(), "the gate ended");
    println!("bodies: {tried} sent (seed {seed})");
}
