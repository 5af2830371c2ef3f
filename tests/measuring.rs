//! `eval` and `bench` as a maintainer runs them: figures that can be checked by hand, a page that shows what went wrong.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use assert_cmd::Command;
use plategate::camera::rendered::{Arrival, Scene};
use plategate::picture::Picture;
use plategate::plate::Colour;
use serde_json::Value;

fn plategate(arguments: &[&str]) -> Output {
    Command::cargo_bin("plategate").unwrap().args(arguments).timeout(Duration::from_secs(600)).output().unwrap()
}

fn json(output: &Output) -> Value {
    let told = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {told}"))
}

/// Three painted cars at the gate: one listed right, one with another province, one with markup for a text; and a wall.
fn manifest(folder: &Path) -> String {
    let paint = |name: &str, plate: &str| {
        let car = Arrival { plate: plate.parse().unwrap(), colour: Colour::Blue, night: false, hold: Duration::ZERO };
        let mut picture = Picture::default();
        Scene::new(3).paint(Some((&car, 4.6)), false, false, &mut picture);
        std::fs::write(folder.join(name), picture.to_jpeg(92).unwrap()).unwrap();
    };
    paint("a.jpg", "苏F8K291");
    paint("b.jpg", "京A12345");
    paint("c.jpg", "浙B66666");
    let wall = Picture::filled(320, 200, [90, 90, 90]);
    std::fs::write(folder.join("wall.jpg"), wall.to_jpeg(90).unwrap()).unwrap();
    let rows =
        "path\ttext\tset\na.jpg\t苏F8K291\tgate\nb.jpg\t沪A12345\tgate\nc.jpg\t<script>\tyard\nwall.jpg\t\tyard\n";
    let file = folder.join("list.tsv");
    std::fs::write(&file, rows).unwrap();
    file.display().to_string()
}

#[test]
fn an_evaluation_counts_what_is_right_and_shows_what_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (list, page) = (manifest(folder.path()), folder.path().join("page.html").display().to_string());
    // All in INT8 reads worse (calibration/int8): that it runs and counts is all that is asked of it here.
    let int8 = json(&plategate(&["eval", "--manifest", &list, "--json", "--precision", "int8"]));
    assert_eq!((&int8["pictures"], &int8["blanks"], &int8["false_plates"]), (&3.into(), &1.into(), &0.into()));
    for precision in ["fp32", "auto"] {
        let report =
            json(&plategate(&["eval", "--manifest", &list, "--json", "--precision", precision, "--html", &page]));
        assert_eq!((&report["pictures"], &report["blanks"]), (&3.into(), &1.into()), "{precision}");
        assert_eq!((&report["exact"], &report["exact_without_province"]), (&1.into(), &2.into()), "{precision}");
        assert_eq!(report["sets"]["gate"]["exact"], 1, "{precision}");
        assert_eq!(report["provinces"]["沪"]["exact"], 0, "{precision}");
        assert_eq!((&report["confusions"][0]["truth"], &report["confusions"][0]["read"]), (&"沪".into(), &"京".into()));
        assert_eq!(report["false_plates"], 0, "{precision}");
    }
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("沪A12345") && page.contains("京A12345") && page.contains("data:image/jpeg;base64,"));
    assert!(!page.contains("<script>") && page.contains("script&#62;"), "a manifest's text is escaped");
}

#[test]
fn a_plate_where_the_list_has_none_is_counted_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    manifest(folder.path());
    let (list, page) = (folder.path().join("blank.tsv"), folder.path().join("page.html").display().to_string());
    std::fs::write(&list, "path\ttext\na.jpg\t\nwall.jpg\t\n").unwrap();
    let list = list.display().to_string();
    let report = json(&plategate(&["eval", "--manifest", &list, "--json", "--html", &page]));
    assert_eq!((&report["pictures"], &report["blanks"], &report["false_plates"]), (&0.into(), &2.into(), &1.into()));
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("no plate") && page.contains("a.jpg") && !page.contains("wall.jpg"));
}

#[test]
fn a_bench_times_every_stage_and_compares_with_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.json");
    let output = plategate(&["bench", "--rounds", "2", "--json"]);
    let mut report = json(&output);
    for stage in ["decode", "detect", "rectify", "read", "match", "decision", "pulse"] {
        let s = &report["stages"][stage];
        let at = |q: &str| s[q].as_f64().unwrap_or_else(|| panic!("{stage} has no {q}"));
        assert!(0.0 < at("p50_ms") && at("p50_ms") <= at("p95_ms") && at("p99_ms") <= at("max_ms"), "{stage}: {s}");
    }
    assert!(report["rss_mb"].as_f64().unwrap() > 10.0 && report["cold_start_ms"].as_f64().unwrap() > 0.0);
    // An earlier result that was a thousand times faster in one stage: this one must be called slower.
    let was = report["stages"]["detect"]["p50_ms"].as_f64().unwrap();
    report["stages"]["detect"]["p50_ms"] = (was / 1000.0).into();
    std::fs::write(&file, report.to_string()).unwrap();
    let compared = plategate(&["bench", "--rounds", "2", "--json", "--compare", &file.display().to_string()]);
    assert_eq!(compared.status.code(), Some(1));
    let told = String::from_utf8_lossy(&compared.stderr).into_owned();
    assert!(told.lines().any(|l| l.starts_with("detect") && l.ends_with("slower")), "{told}");
    std::fs::write(&file, "{}").unwrap();
    let wrong = plategate(&["bench", "--compare", &file.display().to_string()]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("not a result of bench"));
}

#[test]
fn a_simulation_lets_neighbours_in_and_nobody_else_and_can_be_played_again() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("readings.jsonl").display().to_string();
    let some = ["--strangers", "10", "--neighbours", "3", "--seed", "4"];
    let painted = [&["simulate", "--json", "--spoofs", "5", "--frames", "8", "--record", &record][..], &some].concat();
    let found = json(&plategate(&painted));
    assert_eq!((&found["false_opens"], &found["missed_opens"], &found["spoofs"]), (&0.into(), &0.into(), &5.into()));
    assert_eq!(found["spoofs_opened"], 0, "as it comes, photographs of plates stay out");
    assert_eq!(found["wrong"], serde_json::json!([]));
    let lines = std::fs::read_to_string(&record).unwrap();
    assert_eq!(lines.lines().count(), 18);
    // Forty approaches are asked of a record that is played again: this one, five times over.
    let record = folder.path().join("more.jsonl").display().to_string();
    std::fs::write(&record, lines.repeat(5)).unwrap();
    let again = [&["simulate", "--json", "--replay", &record][..], &some].concat();
    let (once, twice) = (json(&plategate(&again)), json(&plategate(&again)));
    assert_eq!(once, twice, "the same seed, the same outcome");
    assert_eq!((&once["neighbours"], &once["missed_opens"], &once["false_opens"]), (&3.into(), &0.into(), &0.into()));
    // Hardly any pictures are that sure: neighbours are left standing, and told one by one.
    let strict = folder.path().join("strict.toml").display().to_string();
    std::fs::write(&strict, "[gate]\nfalse_open_one_in = 1000000000000\n").unwrap();
    let none = json(&plategate(&[&again[..], &["-c", &strict]].concat()));
    let wrong = none["wrong"].as_array().unwrap();
    assert!(!wrong.is_empty() && none["missed_opens"] == wrong.len(), "{none}");
    assert!(wrong.iter().all(|one| one["who"] == "neighbour" && one["plate"].is_string()), "{none}");
    let wrong = plategate(&["simulate", "--replay", &record, "--spoofs", "3"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", String::from_utf8_lossy(&wrong.stderr));
}
