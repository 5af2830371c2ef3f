//! The box itself: disk, clock, temperature.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Check;

/// Below this the journal's pictures soon have no room; and below that, records have none.
const LOW_SPACE: u64 = 500 << 20;
const NO_SPACE: u64 = 20 << 20;

pub(super) fn disk(folder: &Path) -> Check {
    let space = match rustix::fs::statvfs(folder) {
        Ok(space) => space,
        Err(error) => {
            let told = format!("{}: {error}", folder.display());
            return Check::fault("disk", told, "set data.folder to a folder that the gate's user may write to")
                .zh(format!("{} 用不了：请把 data.folder 设为程序能写的文件夹", folder.display()));
        }
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let told = format!("{} MB free in {}", free >> 20, folder.display());
    let advice = "make room, or keep pictures for fewer days (data.keep_strangers_days, data.keep_events_days)";
    if space.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Check::fault(
            "disk",
            format!("{} can only be read", folder.display()),
            "a worn memory card does that: replace it",
        )
        .zh(format!("{} 只能读、不能写：存储卡多半老化了，请更换", folder.display()));
    }
    let told_zh = format!("{} 还有 {} MB", folder.display(), free >> 20);
    let advice_zh =
        format!("{told_zh}：请腾出空间，或缩短照片的保留天数（data.keep_strangers_days、data.keep_events_days）");
    match free {
        0..NO_SPACE => Check::fault("disk", told, advice).zh(advice_zh),
        NO_SPACE..LOW_SPACE => Check::warning("disk", told, advice).zh(advice_zh),
        _ => Check::ok("disk", told).zh(told_zh),
    }
}

pub(super) fn clock() -> Check {
    let now = jiff::Zoned::now();
    let told = now.strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    if now.date() < jiff::civil::date(2026, 1, 1) {
        return Check::fault(
            "clock",
            told.clone(),
            "set it: records and visitors' passes need the right time (`timedatectl`)",
        )
        .zh(format!("{told}：时间不对，记录和访客通行证都靠它，请校准（timedatectl）"));
    }
    match is_synchronised() {
        Some(true) => Check::ok("clock", format!("{told}, synchronised")).zh(format!("{told}，已对时")),
        Some(false) => {
            Check::warning("clock", format!("{told}, not synchronised"), "is there a network? `timedatectl` tells")
                .zh(format!("{told}，没有对时：请查看网络（timedatectl）"))
        }
        None => Check::warning(
            "clock",
            format!("{told}; not known to be synchronised"),
            "install systemd-timesyncd or chrony (GA/T 1742-2020 asks for 5 seconds)",
        )
        .zh(format!(
            "{told}，不知道有没有对时：请安装 systemd-timesyncd 或 chrony（GA/T 1742-2020 要求误差不超过 5 秒）"
        )),
    }
}

fn is_synchronised() -> Option<bool> {
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Some(true);
    }
    let asked = Command::new("timedatectl").args(["show", "--property=NTPSynchronized", "--value"]).output().ok()?;
    match String::from_utf8_lossy(&asked.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// From here on most boards slow down, and from there on they switch off.
const WARM: f64 = 75.0;
const HOT: f64 = 90.0;

pub(super) fn temperature() -> Check {
    let advice = "give the box air and shade";
    match hottest(Path::new("/sys/class/thermal")) {
        None => Check::ok("heat", "this machine tells no temperature").zh("这台主机不报告温度"),
        Some((zone, degrees)) => {
            let told = format!("{degrees:.0} °C ({zone})");
            let zh = format!("{degrees:.0} °C（{zone}）");
            let advice_zh = format!("{zh}：请给主机通风、遮阳");
            match degrees {
                d if d >= HOT => Check::fault("heat", told, advice).zh(advice_zh),
                d if d >= WARM => Check::warning("heat", told, advice).zh(advice_zh),
                _ => Check::ok("heat", told).zh(zh),
            }
        }
    }
}

/// The hottest thermal zone: its kind and degrees Celsius.
fn hottest(folder: &Path) -> Option<(String, f64)> {
    let zones = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let is_zone =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("thermal_zone"));
    let read = |path: PathBuf| {
        // Thousandths of a degree. Some drivers tell nonsense while they sleep.
        let degrees = std::fs::read_to_string(path.join("temp")).ok()?.trim().parse::<f64>().ok()? / 1000.0;
        let kind = std::fs::read_to_string(path.join("type")).unwrap_or_default().trim().to_owned();
        (-60.0..200.0).contains(&degrees).then_some((kind, degrees))
    };
    zones.filter(is_zone).filter_map(read).max_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn the_hottest_zone_counts_and_nonsense_does_not() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(hottest(folder.path()), None);
        for (zone, temp, kind) in [
            ("thermal_zone0", "45200\n", "cpu"),
            ("thermal_zone1", "81000", "gpu"),
            ("thermal_zone2", "-274000", "x"),
            ("cooling0", "99000", "fan"),
        ] {
            let zone = folder.path().join(zone);
            std::fs::create_dir(&zone).unwrap();
            std::fs::write(zone.join("temp"), temp).unwrap();
            std::fs::write(zone.join("type"), kind).unwrap();
        }
        assert_eq!(hottest(folder.path()), Some(("gpu".into(), 81.0)));
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_room() {
        let check = disk(Path::new("/nonexistent/folder"));
        assert!(check.status == Status::Fault && check.detail.contains("/nonexistent/folder"), "{check:?}");
    }
}
