//! `plategate tune` as a maintainer runs it: a labelled lane in, a configuration that the gate starts with out.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use assert_cmd::Command;
use plategate::camera::rendered::{Arrival, Scene};
use plategate::config::{Config, Precision, Provider};
use plategate::picture::Picture;
use plategate::plate::Colour;
use serde_json::Value;

const BEFORE: &str =
    "# our gate\n[camera]\nfps = 15\n\n[vision] # eyes\nthreads = 2 # two\nnarrowest_plate_px = 50.0\n";

fn plategate(arguments: &[&str]) -> Output {
    Command::cargo_bin("plategate").unwrap().args(arguments).timeout(Duration::from_secs(900)).output().unwrap()
}

fn json(output: &Output) -> Value {
    let told = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {told}"))
}

/// Three painted cars by day and by night, with where their plates are (as `read` tells), and a configuration.
fn labelled(folder: &Path) -> (PathBuf, PathBuf) {
    let mut rows = String::from("path\ttext\tcorners\n");
    for (n, plate) in ["苏F8K291", "京A12345", "浙B66666"].into_iter().enumerate() {
        let night = n == 1;
        let car = Arrival { plate: plate.parse().unwrap(), colour: Colour::Blue, night, hold: Duration::ZERO };
        let mut picture = Picture::default();
        Scene::new(3).paint(Some((&car, 4.4 + n as f32 / 2.0)), night, false, &mut picture);
        let file = folder.join(format!("{n}.jpg"));
        std::fs::write(&file, picture.to_jpeg(92).unwrap()).unwrap();
        let read = json(&plategate(&["read", "--json", &file.display().to_string()]));
        let corners = read["plates"][0]["corners"].to_string();
        rows += &format!("{n}.jpg\t{plate}\t{}\n", corners.replace(['[', ']'], ""));
    }
    let (list, config) = (folder.join("lane.tsv"), folder.join("gate.toml"));
    std::fs::write(&list, rows).unwrap();
    std::fs::write(&config, BEFORE).unwrap();
    (list, config)
}

#[test]
fn the_best_way_within_the_budget_is_written_with_its_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let (list, config) = labelled(folder.path());
    let (list, file) = (list.display().to_string(), config.display().to_string());
    let ways = ["--providers", "cpu,acl", "--precisions", "fp32,int8", "--threads", "1", "--search-px", "320,448"];
    let tune = |budget: &str, more: &[&str]| {
        let arguments = [&["-c", &file, "tune", "--manifest", &list, "--budget-ms", budget], &ways[..], more].concat();
        plategate(&arguments)
    };
    let text = || std::fs::read_to_string(&config).unwrap();

    // A budget that nothing keeps to changes nothing.
    assert_eq!(tune("0.0001", &[]).status.code(), Some(1));
    assert_eq!(text(), BEFORE);
    // Asked what it would do, it does not do it.
    let told = tune("60000", &["--dry-run"]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert!(String::from_utf8_lossy(&told.stdout).contains("+ search_px = "));
    assert_eq!(text(), BEFORE);

    let tuned = json(&tune("60000", &["--json"]));
    let choices = tuned["choices"].as_array().unwrap();
    let picked = choices.iter().find(|c| c["picked"] == true).unwrap();
    let most = choices.iter().map(|c| c["exact"].as_u64().unwrap()).max();
    assert_eq!((picked["exact"].as_u64(), picked["pictures"].as_u64()), (most, Some(3)));
    assert!(choices.iter().any(|c| c["lane"].is_array()), "the lane that the plates lie in is tried too");
    assert_eq!(tuned["missing"][0][0], "acl", "a provider that cannot be had is told");

    let new = Config::load(&config).unwrap();
    let search_px = picked["search_px"].as_u64().unwrap() as usize;
    assert_eq!((new.vision.provider, new.vision.threads, new.vision.search_px), (Provider::Cpu, 1, search_px));
    assert!([Precision::Fp32, Precision::Int8].contains(&new.vision.precision));
    assert_eq!((new.vision.narrowest_plate_px, new.camera.fps), (50.0, 15));
    for kept in ["# our gate", "[vision] # eyes", "threads = 1 # two", "# tuned: "] {
        assert!(text().contains(kept), "{kept}: {}", text());
    }
    let page = std::fs::read_to_string(folder.path().join("tune-report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("lane.tsv"));
    let saved: Value = serde_json::from_slice(&std::fs::read(folder.path().join("tune-report.json")).unwrap()).unwrap();
    assert_eq!(saved, tuned);
    // And a gate with it reads.
    let read = json(&plategate(&["-c", &file, "read", "--json", &folder.path().join("0.jpg").display().to_string()]));
    assert_eq!(read["plates"][0]["text"], "苏F8K291");
}
