//! The picked way into the configuration: the operator's own file, with every comment and every other key as it was.

use std::path::Path;

use anyhow::Context;
use toml_edit::{Array, DocumentMut, Item, Table, Value};

use super::pick::Choice;

/// Marks the line that tells what was found; a later run puts its own in its place.
const MARK: &str = "# tuned: ";

/// The file's text with the choice in its `[vision]`.
pub fn tuned(text: &str, choice: &Choice, evidence: &str) -> anyhow::Result<String> {
    let mut document: DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| anyhow::anyhow!("{}", e.message()))?;
    let new = !document.contains_key("vision");
    let vision = document.entry("vision").or_insert_with(|| Item::Table(Table::new()));
    let vision = vision.as_table_like_mut().context("vision is no table")?;
    let way = &choice.measured.way;
    let mut put = |key: &str, new: Value| match vision.get_mut(key).and_then(Item::as_value_mut) {
        // What stands above the key and behind the value stays there.
        Some(old) => {
            let decor = old.decor().clone();
            *old = new;
            *old.decor_mut() = decor;
        }
        None => drop(vision.insert(key, Item::Value(new))),
    };
    put("provider", way.provider.as_str().into());
    put("precision", way.precision.as_str().into());
    put("threads", i64::try_from(way.threads)?.into());
    put("search_px", i64::try_from(way.search_px)?.into());
    put("read_every", i64::from(choice.read_every).into());
    match way.lane {
        // Shares are written as they were rounded, not as the nearest binary fraction.
        Some(lane) => {
            put("lane", Value::from(lane.iter().map(|v| (f64::from(*v) * 1e3).round() / 1e3).collect::<Array>()))
        }
        None => drop(vision.remove("lane")),
    }
    Ok(with_evidence(&document.to_string(), evidence, new))
}

/// The line that tells what was found, above `[vision]`.
fn with_evidence(text: &str, evidence: &str, new: bool) -> String {
    let mut lines: Vec<String> = text.lines().filter(|line| !line.starts_with(MARK)).map(str::to_owned).collect();
    let at = lines.iter().position(|line| line.trim_start().starts_with("[vision]")).unwrap_or(lines.len());
    lines.insert(at, format!("{MARK}{evidence}"));
    if new && at > 0 && !lines[at - 1].is_empty() {
        lines.insert(at, String::new());
    }
    lines.join("\n") + "\n"
}

/// Puts the new text in place of the file, which is whole at every moment; its mode stays.
pub fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let wrong = || format!("{}", path.display());
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().context("the configuration has no name")?.to_string_lossy().into_owned();
    let beside = folder.join(format!(".{name}.tuned"));
    let written = || -> std::io::Result<()> {
        use std::io::Write;
        let mut file = std::fs::File::create(&beside)?;
        if let Ok(old) = std::fs::metadata(path) {
            file.set_permissions(old.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        std::fs::File::open(folder)?.sync_all()
    };
    written().inspect_err(|_| drop(std::fs::remove_file(&beside))).with_context(wrong)
}

/// The lines that differ, as `-` and `+`, in order.
pub fn difference(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}"));
    gone.chain(new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::measure::{Measured, Way};
    use super::*;
    use crate::config::{Config, Precision};

    fn choice(lane: Option<[f32; 4]>) -> Choice {
        let way = Way { provider: "cpu".into(), precision: "int8".into(), threads: 2, search_px: 320, lane };
        let measured =
            Measured { way, p50_ms: 3.0, p95_ms: 3.0, p99_ms: 4.0, cpu_ms: 3.0, pictures: 10, detected: 10, exact: 9 };
        let (within, on_frontier, picked) = (true, true, true);
        Choice { measured, read_every: 2, cores: 0.1, later_ms: 40.0, within, on_frontier, picked }
    }

    #[test]
    fn what_is_not_tuned_stays_as_it_was_and_the_result_is_a_good_configuration() {
        let old = "# our gate\n[camera]\nfps = 15 # slow\n\n[vision] # eyes\n# how they compute\nprecision = \"fp32\" # exact\nlane = [0.0, 0.0, 1.0, 0.5]\nnarrowest_plate_px = 60.0\n\n[web]\n";
        let new = tuned(old, &choice(Some([0.25, 0.4, 0.5, 0.6])), "p99 4.0 ms").unwrap();
        for kept in
            ["# our gate", "fps = 15 # slow", "[vision] # eyes", "# how they compute", "precision = \"int8\" # exact"]
        {
            assert!(new.contains(kept), "{kept} in {new}");
        }
        assert!(new.contains("# tuned: p99 4.0 ms\n[vision]"), "{new}");
        let config = Config::parse(&new, Path::new("gate.toml")).unwrap();
        let v = &config.vision;
        assert_eq!((v.precision, v.threads, v.search_px, v.read_every), (Precision::Int8, 2, 320, 2));
        assert_eq!((v.lane, v.narrowest_plate_px), (Some([0.25, 0.4, 0.5, 0.6]), 60.0));
        // Tuned again, the old evidence has gone, and so has the lane where the whole picture won.
        let again = tuned(&new, &choice(None), "p99 3.0 ms").unwrap();
        assert_eq!((again.matches("# tuned: ").count(), again.contains("lane =")), (1, false), "{again}");
        assert_eq!(tuned(&again, &choice(None), "p99 3.0 ms").unwrap(), again);
    }

    #[test]
    fn a_configuration_without_a_vision_gets_one_and_a_broken_one_is_refused() {
        for old in ["", "[web]\nlisten = \"127.0.0.1:1\"\n", "vision.threads = 4\n"] {
            let new = tuned(old, &choice(None), "found").unwrap();
            let config = Config::parse(&new, Path::new("gate.toml")).unwrap_or_else(|e| panic!("{e}: {new}"));
            assert_eq!((config.vision.threads, new.matches("# tuned: found").count()), (2, 1), "{new}");
        }
        assert!(tuned("[vision\n", &choice(None), "").is_err());
        assert!(tuned("vision = 3\n", &choice(None), "").is_err());
    }

    #[test]
    fn the_file_is_replaced_and_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.toml");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        replace(&path, "new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace(&folder.path().join("none/gate.toml"), "new").is_err());
    }
}
