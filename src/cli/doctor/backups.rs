//! The backups that the box makes by itself: how old is the last good one?

use jiff::{SignedDuration, Timestamp};

use super::Check;
use crate::config::Config;
use crate::store::rounds::State;

/// The last good one is too old after so many times the hours from one to the next.
const TOO_OLD: i64 = 3;

pub(super) fn look(config: &Config, now: Timestamp) -> Check {
    let settings = &config.backup;
    let state = State::read(&config.data.folder);
    let (last, zh) = match &state.last_good {
        Some(good) => {
            let (sealed, sealed_zh) =
                if good.encrypted { ("encrypted", "已加密") } else { ("NOT encrypted", "没有加密") };
            let without = good.left_out.as_ref().map(|what| format!(", without {what}")).unwrap_or_default();
            let without_zh = good.left_out.as_ref().map(|what| format!("，不含 {what}")).unwrap_or_default();
            let megabytes = good.bytes as f64 / f64::from(1 << 20);
            let (at, file) = (minute(good.at), good.file.display());
            let zh = format!("最近一次成功的备份：{at}，{file}（{megabytes:.1} MB，{sealed_zh}{without_zh}）");
            (format!("the last good one is of {at}: {file} ({megabytes:.1} MB, {sealed}{without})"), zh)
        }
        None => ("there is none yet".to_owned(), "还没有备份".to_owned()),
    };
    let Some(folder) = &settings.folder else {
        let advice = "set backup.folder to a USB stick's, or fetch one from the page every week";
        return Check::warning("backup", "the box makes none by itself", advice)
            .zh("主机没有自动备份：请插上 U 盘并设好 backup.folder，或每周在这一页下载一份");
    };
    if let Some(trouble) = &state.trouble {
        let since = minute(trouble.since);
        return Check::fault("backup", format!("none since {since}; {last}"), trouble.problem.clone())
            .zh(format!("{since} 起备份没有成功，请查看 U 盘；{zh}"));
    }
    let most = SignedDuration::from_hours(i64::from(settings.every_hours) * TOO_OLD);
    match &state.last_good {
        Some(good) if now.duration_since(good.at) > most => {
            Check::fault("backup", last, "does the gate run? `systemctl status plategate`")
                .zh(format!("{zh}：太旧了，请查看主机（systemctl status plategate）"))
        }
        Some(good) if !good.encrypted => {
            Check::warning("backup", last, "make a key (`plategate backup key`) and set backup.recipients")
                .zh(format!("{zh}：捡到 U 盘的人都能读，请生成密钥（plategate backup key）并设好 backup.recipients"))
        }
        Some(good) if good.left_out.is_some() => {
            Check::warning("backup", last, "a restored box would lack it: put it right, or keep it elsewhere")
                .zh(format!("{zh}：恢复出来会缺这一项，请处理好，或另存一份"))
        }
        Some(_) => Check::ok("backup", last).zh(zh),
        None => Check::ok("backup", format!("{last}; the running gate makes one into {}", folder.display()))
            .zh(format!("{zh}，运行中会备份到 {}", folder.display())),
    }
}

fn minute(at: Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;
    use crate::config;
    use crate::store::rounds::{Good, Trouble};

    #[test]
    fn an_old_a_missing_and_an_open_backup_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-11-26T03:00:00Z".parse().unwrap();
        let mut config = Config::default();
        config.data.folder = folder.path().to_path_buf();
        let told = |config: &Config| look(config, now);
        assert_eq!(told(&config).status, Status::Warning);
        config.backup = config::Backup { folder: Some("/media/stick".into()), ..Default::default() };
        assert_eq!(told(&config).status, Status::Ok);
        let good = |hours: i64, encrypted| Good {
            at: now - SignedDuration::from_hours(hours),
            file: "/media/stick/x.tar.zst.age".into(),
            bytes: 5 << 20,
            records: 300,
            pictures: 20,
            encrypted,
            left_out: (!encrypted).then(|| "camera.password_file (a secret)".into()),
        };
        let trouble = Trouble { since: now, tried: now, problem: "/media/stick: is not there".into() };
        for (state, status, part) in [
            (State { last_good: Some(good(20, true)), trouble: None }, Status::Ok, "5.0 MB, encrypted"),
            (
                State { last_good: Some(good(20, false)), trouble: None },
                Status::Warning,
                "NOT encrypted, without camera.pass",
            ),
            (State { last_good: Some(good(80, true)), trouble: None }, Status::Fault, "x.tar.zst.age"),
            (State { last_good: Some(good(20, true)), trouble: Some(trouble) }, Status::Fault, "none since"),
        ] {
            std::fs::write(folder.path().join("backup.json"), serde_json::to_vec(&state).unwrap()).unwrap();
            let check = told(&config);
            assert!(check.status == status && check.detail.contains(part), "{check:?}");
        }
    }
}
