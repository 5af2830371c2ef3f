//! The binary as its users meet it: bad input gives one clear line and the right exit status, and loses nothing.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use assert_cmd::Command;

fn plategate(arguments: &[&str]) -> Output {
    Command::cargo_bin("plategate").unwrap().args(arguments).timeout(Duration::from_secs(60)).output().unwrap()
}

/// Runs it, expects this exit status and one line on standard error with these parts.
fn refused(arguments: &[&str], status: i32, parts: &[&str]) {
    let output = plategate(arguments);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {told}");
    assert_eq!(told.lines().count(), 1, "{arguments:?}: {told}");
    for part in parts {
        assert!(told.contains(part), "{arguments:?}: {told:?} should contain {part:?}");
    }
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

#[test]
fn a_config_with_a_typo_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = path(folder.path(), "gate.toml");
    for (text, parts) in [
        ("[gate]\nfalse_open = 3\n", ["gate.false_open", "unknown field"]),
        ("[barrier]\npulse_ms = \"long\"\n", ["barrier.pulse_ms", "long"]),
        ("[gate]\nhome_province = \"F\"\n", ["gate.home_province", "province"]),
    ] {
        std::fs::write(&file, text).unwrap();
        refused(&["doctor", "--config", &file], 2, &[&["gate.toml"], &parts[..]].concat());
    }
    refused(&["doctor", "--config", "/nonexistent.toml"], 2, &["/nonexistent.toml"]);
}

#[test]
fn plates_that_are_none_are_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = path(folder.path(), "data");
    for (plate, part) in [("苏F1234", "too short"), ("苏I12345", "letter I"), ("ABC", "too short")] {
        refused(&["plates", "--data", &data, "add", plate, "--household", "1-101"], 2, &[part]);
    }
    refused(&["plates", "--data", &data, "add", "苏F12345", "--household", "x"], 2, &["building-unit"]);
    refused(&["plates", "--data", &data, "add", "苏F12345", "--household", "1-1", "--paid", "much"], 2, &["yuan"]);
    assert!(!Path::new(&data).exists());
}

#[test]
fn the_register_is_kept_and_goes_out_and_in() {
    let folder = tempfile::tempdir().unwrap();
    let (data, table) = (path(folder.path(), "data"), path(folder.path(), "cars.xlsx"));
    let ok = |arguments: &[&str]| {
        let output = plategate(&[&["plates", "--data", &data], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    ok(&["add", "苏f·12345", "--household", "2-301", "--name", "王伟", "--paid", "100"]);
    ok(&["add", "苏FD12345", "--household", "2-302"]);
    let list = ok(&["list"]);
    assert!(list.contains("苏F12345\t2-301\tpaid\t100") && list.contains("苏FD12345\t2-302\tunpaid\t0"), "{list}");
    ok(&["export", &table]);
    ok(&["remove", "苏FD12345"]);
    ok(&["import", &table]);
    assert_eq!(ok(&["list", "--json"]).lines().count(), 2);
}

#[test]
fn a_table_with_bad_rows_changes_nothing_unless_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (data, table) = (path(folder.path(), "data"), path(folder.path(), "cars.csv"));
    let text = "车牌,楼栋,房号,已缴(元)\n苏F12345,1,101,100\n苏F1234,1,102,100\n";
    std::fs::write(&table, encoding_rs::GBK.encode(text).0).unwrap();
    let output = plategate(&["plates", "--data", &data, "import", &table]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("row 3") && told.contains("too short") && told.contains("nothing was changed"), "{told}");
    assert!(!Path::new(&data).exists());
    let output = plategate(&["plates", "--data", &data, "import", "--partial", &table]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 cars taken, 1 bad rows"));
}

#[test]
fn a_truncated_model_or_a_wrong_library_is_named_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    for name in ["detector.onnx", "corners.onnx", "reader.onnx"] {
        let bytes = std::fs::read(models.join(name)).unwrap();
        std::fs::write(folder.path().join(name), &bytes[..bytes.len() - usize::from(name == "reader.onnx") * 5000])
            .unwrap();
    }
    let config = path(folder.path(), "gate.toml");
    std::fs::write(&config, format!("[vision]\nmodels = {:?}\n", folder.path())).unwrap();
    let begun = Instant::now();
    refused(&["read", "--config", &config, "x.jpg"], 1, &["reader.onnx"]);
    std::fs::write(&config, format!("[vision]\nonnxruntime = {config:?}\n")).unwrap();
    refused(&["read", "--config", &config, "x.jpg"], 1, &["gate.toml", "not a shared library", "make build"]);
    std::fs::write(&config, "[vision]\nonnxruntime = \"/nonexistent.so\"\n").unwrap();
    refused(&["read", "--config", &config, "x.jpg"], 1, &["/nonexistent.so"]);
    // Two runs of an unoptimised binary; a hang would be half a minute.
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn pictures_that_cannot_be_read_are_lines_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.jpg"), "").unwrap();
    std::fs::write(folder.path().join("b.jpg"), b"\xff\xd8\xff\xe0 cut").unwrap();
    let grey = plategate::picture::Picture::filled(640, 360, [90, 90, 90]);
    std::fs::write(folder.path().join("c.jpg"), grey.to_jpeg(80).unwrap()).unwrap();
    let output = plategate(&["read", "--json", &folder.path().display().to_string(), "/nonexistent.png"]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<serde_json::Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let errors: Vec<bool> = lines.iter().map(|l| l["error"].is_string()).collect();
    assert_eq!(errors, [true, true, false, true]);
    assert_eq!((lines[2]["width"].as_u64(), lines[2]["plates"].as_array().unwrap().len()), (Some(640), 0));
}

#[test]
fn a_painted_plate_is_read_as_scripts_expect_it() {
    use plategate::camera::rendered::{Arrival, Scene};
    use plategate::plate::Colour;
    let folder = tempfile::tempdir().unwrap();
    let (mut scene, mut picture) = (Scene::new(3), plategate::picture::Picture::default());
    let car = Arrival { plate: "苏F8K291".parse().unwrap(), colour: Colour::Blue, night: false, hold: Duration::ZERO };
    scene.paint(Some((&car, 4.6)), false, false, &mut picture);
    let file = path(folder.path(), "lane.jpg");
    std::fs::write(&file, picture.to_jpeg(92).unwrap()).unwrap();
    let output = plategate(&["read", "--json", &file]);
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let plate = &line["plates"][0];
    assert_eq!((plate["text"].as_str(), plate["kind"].as_str()), (Some("苏F8K291"), Some("blue")), "{line}");
    assert_eq!((plate["corners"].as_array().unwrap().len(), plate["slots"].as_array().unwrap().len()), (4, 8));
    for key in ["decode", "detect", "rectify", "read", "total"] {
        assert!(line["ms"][key].is_number(), "{line}");
    }

    let manifest = path(folder.path(), "manifest.tsv");
    std::fs::write(&manifest, "path\ttext\tset\nlane.jpg\t苏F8K291\tpainted\nlane.jpg\t苏F8K297\tpainted\n").unwrap();
    let output = plategate(&["eval", "--manifest", &manifest, "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["pictures"].as_u64(), report["exact"].as_u64()), (Some(2), Some(1)), "{report}");
    assert_eq!(report["sets"]["painted"]["detected"].as_u64(), Some(2));
}

#[test]
fn a_backup_goes_out_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let [data, file, back] = ["data", "gate.tar.zst", "back"].map(|name| path(folder.path(), name));
    assert!(plategate(&["plates", "--data", &data, "add", "苏F12345", "--household", "1-101"]).status.success());
    assert!(plategate(&["backup", "--data", &data, &file]).status.success());
    assert!(plategate(&["restore", &file, "--to", &back]).status.success());
    let list = plategate(&["plates", "--data", &back, "list"]);
    assert!(String::from_utf8(list.stdout).unwrap().contains("苏F12345"));
    refused(&["restore", &file, "--to", &back], 1, &["not empty"]);
    refused(&["backup", "--data", "/nonexistent", &file], 1, &["no data folder"]);
}

#[test]
fn what_does_not_exist_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = path(folder.path(), "gate.toml");
    std::fs::write(
        &config,
        format!(
            "[data]\nfolder = {:?}\n[barrier]\noutput = \"gpio\"\nchip = \"/dev/gpiochip99\"\n",
            folder.path().join("data")
        ),
    )
    .unwrap();
    let output = plategate(&["run", "--config", &config, "--listen", "127.0.0.1:0"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = told.lines().last().unwrap_or_default();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(last.starts_with("plategate: ") && last.contains("gpiochip99"), "{told}");
}

#[test]
fn help_and_completions_are_there() {
    let help = String::from_utf8(plategate(&["--help"]).stdout).unwrap();
    for command in ["run", "read", "eval", "plates", "doctor", "backup", "restore", "completions"] {
        assert!(help.contains(command), "{command}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(plategate(&["completions", shell]).stdout.len() > 1000);
    }
}
