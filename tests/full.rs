//! How long every page takes with a full journal and book (see `src/store/full.rs`, which fills the folder). By hand:
//! `PLATEGATE_FILL=/some/folder cargo test --test full -- --ignored --nocapture`; `PLATEGATE_PROGRAM` names another binary,
//! such as the release's. Prints milliseconds and bytes, and judges nothing: a busy machine is no fault of a page. On one,
//! `chrt -r 1` before the command gives it its turn (not `-f`: its threads would not let each other through).

#[allow(dead_code)]
#[path = "attackers/attacker.rs"]
mod attacker;
mod support;

use std::path::PathBuf;
use std::time::Instant;

use attacker::Attacker;
use support::Gate;

/// Every page that grows with what is kept.
const PAGES: [&str; 51] = [
    "/",
    "/cars",
    "/cars?page=100",
    "/cars?q=4321",
    "/cars?standing=unpaid",
    "/cars/%E8%8B%8FF01234",
    "/cars/new",
    "/cars/hint?plate=%E8%8B%8FF01234",
    "/households",
    "/households/3-120",
    "/visitors",
    "/visitors/new",
    "/visitors/10",
    "/visitors?code=000000",
    "/arrivals",
    "/arrivals?plate=99",
    "/arrivals?outcome=failed",
    "/arrivals/500000",
    "/numbers",
    "/numbers?days=365",
    "/settings",
    "/settings/users",
    "/settings/access",
    "/settings/audit",
    "/settings/notices",
    "/book",
    "/book?page=1000",
    "/book/take?car=%E8%8B%8FF01234",
    "/book/car/%E8%8B%8FF01234",
    "/book/entries/50000",
    "/book/cash",
    "/book/rules",
    "/book/reminders",
    "/book/statement",
    "/book/statement?period=2026",
    "/board",
    "/board?page=1000",
    "/metrics",
    "/api/v1/status",
    "/api/v1/vehicles",
    "/api/v1/households",
    "/api/v1/passes",
    "/api/v1/events",
    "/api/v1/events?plate=99",
    "/api/v1/notices",
    "/api/v1/audit",
    "/api/v1/book",
    "/api/v1/book/entries",
    "/api/v1/book/reminders",
    "/api/v1/book/statement",
    "/api/v1/book/statement?period=2026",
];

/// Files with everything in them, which somebody waits for.
const FILES: [&str; 7] = [
    "/cars/export.csv",
    "/cars/export.xlsx",
    "/arrivals.csv",
    "/arrivals.csv?plate=99",
    "/book/export.csv",
    "/book/export.jsonl",
    "/book/statement.xlsx?period=2026",
];

#[test]
#[ignore = "by hand: it wants a folder that was filled"]
fn every_page_of_a_full_gate() {
    let data = PathBuf::from(std::env::var("PLATEGATE_FILL").expect("PLATEGATE_FILL names a filled folder"));
    support::token(&data, "auditor", "auditor");
    let token = support::token(&data, "steward", "steward");
    support::token(&data, "maintainer", "maintainer");
    let data = data.display().to_string();
    let gate = Gate::start(&["--camera", "folder:/nonexistent", "--data", &data]);
    let [auditor, steward, maintainer] = ["auditor", "steward", "maintainer"].map(|n| Attacker::signed_in(&gate, n));
    let mut slowest = (0.0, "");
    let files = FILES.map(|path| (path, 3));
    for (path, tries) in PAGES.map(|path| (path, 7)).into_iter().chain(files) {
        let mut times = Vec::new();
        let (mut status, mut size) = (0, 0);
        for _ in 0..tries {
            for one in [&steward, &auditor, &maintainer] {
                let asked = Instant::now();
                let answer = one.get(path);
                if answer.status == 200 {
                    times.push(asked.elapsed().as_secs_f64() * 1e3);
                    (status, size) = (answer.status, answer.body.len());
                    break;
                }
            }
        }
        assert_eq!(status, 200, "{path}");
        times.sort_by(f64::total_cmp);
        let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
        println!("{median:7.1} ms, at most {most:7.1} ms, {:5} KiB  {path}", size / 1024);
        if median > slowest.0 && !FILES.contains(&path) {
            slowest = (median, path);
        }
    }
    println!("the slowest page: {:.1} ms, {}", slowest.0, slowest.1);

    // Writing: one more entry, and one more pass; each is on the disk when the answer comes.
    let mut program = Attacker::at(&gate);
    program.token = Some(token);
    let json = [("Content-Type", "application/json")];
    for (path, body) in [
        ("/api/v1/book/contributions", r#"{"household": "1-101", "campaign": "barrier", "amount": 100}"#),
        ("/api/v1/passes", r#"{"plate": "皖A6P42Z", "household": "1-101", "entries": 1}"#),
    ] {
        let mut times: Vec<f64> = (0..7)
            .map(|_| {
                let asked = Instant::now();
                let answer = program.send("POST", path, &json, body.as_bytes());
                assert_eq!(answer.status, 201, "{path}: {}", answer.body);
                asked.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{:7.1} ms, at most {:7.1} ms  POST {path}", times[3], times[6]);
    }
}
