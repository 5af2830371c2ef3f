//! What is amiss with the running gate, and what to do about it: the `doctor` of a gate that cannot be stopped for it.

use jiff::{SignedDuration, Timestamp};

use super::{kept_out, notices};
use crate::camera::{CameraState, Source};
use crate::cli::doctor::{self, Status};
use crate::config::{Output, Strength};
use crate::fleet::status::Connection;
use crate::fleet::webhook;
use crate::telemetry::Computing;
use crate::web::Site;
use crate::web::visit::Visit;

/// One finding.
pub struct Finding {
    /// What was looked at, in the visitor's language.
    pub name: String,
    /// How it is, and if it is not well what to do.
    pub detail: String,
    /// What the system, a library or another machine said of it, in its own words; empty where nothing more is to be said.
    pub technical: String,
    /// In a word.
    pub word: String,
    /// The colour's class.
    pub class: &'static str,
}

/// Looks at everything that can be looked at while the gate runs.
pub fn look(site: &Site, v: &Visit) -> Vec<Finding> {
    let mut findings = vec![camera(site, v), lane(site, v), computing(site, v), arm(site, v)];
    findings.extend(photographs(site, v));
    findings.extend(store(site, v));
    findings.extend(alert(site, v));
    findings.extend(webhooks(site, v));
    findings.extend(broker(site, v));
    findings.extend(gates(site, v));
    for check in doctor::around(&site.gate.config) {
        let name = match check.name.as_str() {
            "disk" => "磁盘",
            "clock" => "时钟",
            "heat" => "温度",
            "backup" => "备份",
            "watchdog" => "看门狗",
            "sign" => "显示屏",
            other => other,
        };
        let advice = check.advice.map(|advice| format!("; {advice}")).unwrap_or_default();
        let (zh, en) = (check.zh.unwrap_or_default(), check.detail + &advice);
        findings.push(finding(v, name, check.status, v.say(&zh, &en).to_owned()));
    }
    findings
}

fn finding(v: &Visit, name: &str, status: Status, detail: String) -> Finding {
    let (word, class) = match status {
        Status::Ok => ("正常", "good"),
        Status::Warning => ("注意", "warn"),
        Status::Fault => ("故障", "bad"),
    };
    Finding { name: v.t(name), detail, technical: String::new(), word: v.t(word), class }
}

impl Finding {
    fn technical(self, words: impl Into<String>) -> Finding {
        Finding { technical: words.into(), ..self }
    }
}

/// Smaller pictures and slower cameras are told of: GA/T 1742-2020 asks for this size.
const SMALLEST: [usize; 2] = [1280, 720];
const SLOWEST_FPS: f64 = 5.0;

fn camera(site: &Site, v: &Visit) -> Finding {
    let source = match &site.gate.config.camera.source {
        Source::Rendered => v.t("演示画面"),
        _ => site.gate.watcher.describe().to_owned(),
    };
    let mut technical = String::new();
    let (status, detail) = match site.gate.watcher.state() {
        CameraState::Live { width, height } => {
            let fps = site.gate.watcher.fps().unwrap_or_default();
            let told = v.f("{}，{}×{}，每秒 {} 帧", &[&source, &width, &height, &format!("{fps:.0}")]);
            if width < SMALLEST[0] || height < SMALLEST[1] {
                (Status::Warning, v.f1("{}：画面太小，请在摄像头自己的网页里设为 1920×1080", told))
            } else if fps < SLOWEST_FPS {
                (Status::Warning, v.f1("{}：帧数太低，请查看摄像头的设置和网络", told))
            } else {
                (Status::Ok, told)
            }
        }
        CameraState::Opening => (Status::Warning, v.f1("{}：正在打开", source)),
        CameraState::Ended => (Status::Warning, v.f1("{}：画面已结束", source)),
        CameraState::Lost { reason, since, attempts } => {
            technical = reason;
            let since = v.short_time(&since);
            let told = "{}：{} 起断开，已重试 {} 次。请查看电源和网线，再看摄像头自己的网页";
            (Status::Fault, v.f(told, &[&source, &since, &attempts]))
        }
    };
    finding(v, "摄像头", status, detail).technical(technical)
}

fn lane(site: &Site, v: &Visit) -> Finding {
    let telemetry = &site.gate.telemetry;
    let age = telemetry.newest_frame_age();
    let (status, detail) = if !telemetry.lane_is_alive() {
        (Status::Fault, v.t("识别停止了：请重启主机（systemctl restart plategate）"))
    } else {
        match age {
            Some(age) if age.as_secs() < 5 => {
                let ms = age.as_millis();
                (Status::Ok, v.f2("已看 {} 帧，最新一帧在 {} 毫秒前", telemetry.frames(), ms))
            }
            Some(age) => (Status::Warning, v.f1("{} 秒没有新画面：请查看摄像头", age.as_secs())),
            None => (Status::Warning, v.t("还没有画面")),
        }
    };
    finding(v, "识别", status, detail)
}

/// Neighbours that are taken for photographs of their plates.
fn photographs(site: &Site, v: &Visit) -> Option<Finding> {
    if site.gate.config.photo_check.strength != Strength::Refuse {
        return None;
    }
    let newest = site.gate.events.newest(kept_out::LOOKED_BACK, None).ok()?;
    let (kept_out, all) = kept_out::too_many(newest.iter().map(|event| (event.outcome, event.rule)))?;
    let zh = "最近 {} 次有权进入的来车中，{} 次因疑似车牌照片未放行。若是邻居的车：请照亮车道、让摄像头拍到驶近的过程或接入地感，否则把 photo_check.strength 设为 watch";
    Some(finding(v, "照片检查", Status::Warning, v.f2(zh, all, kept_out)))
}

/// What had to be put right when the store was opened, and whether the disk's share is enough.
fn store(site: &Site, v: &Visit) -> Option<Finding> {
    if site.gate.store.is_broken() {
        let detail = v.t("存储出错，不再接受修改；放行不受影响。请下载备份、更换存储卡，再重启主机");
        return Some(finding(v, "数据", Status::Fault, detail));
    }
    let told = site.gate.store.told();
    if !told.is_empty() {
        let detail = v.f1("启动时修复过 {} 处数据，请下载备份并检查存储卡", told.len());
        return Some(finding(v, "数据", Status::Warning, detail).technical(told.join("; ")));
    }
    let thinned = site.forgetting.last()?.thinned;
    if thinned.still_short {
        return Some(finding(v, "数据", Status::Fault, v.t("磁盘被照片以外的东西占满，旧照片已清理，请腾出空间")));
    }
    (thinned.pictures > 0).then(|| {
        let detail = v.f1("空间不够，提前清理了最早的 {} 张照片；记录都在", thinned.pictures);
        finding(v, "数据", Status::Warning, detail)
    })
}

/// What the networks run on: never silently something else than was asked for.
fn computing(site: &Site, v: &Visit) -> Finding {
    let telemetry = &site.gate.telemetry;
    let mut technical = String::new();
    let (status, detail) = match telemetry.computing() {
        Computing::NotYet => (Status::Warning, v.t("识别模型还没有加载")),
        Computing::Building { provider, since } => {
            let seconds = since.elapsed().as_secs();
            (
                Status::Warning,
                v.f2("正在为 {} 生成推理引擎，已 {} 秒；首次可能需要几分钟，其间不识别车牌", provider, seconds),
            )
        }
        Computing::On { provider, instead_of: None } => {
            (Status::Ok, v.f2("{}；静止画面略过 {} 帧", provider, telemetry.still_frames()))
        }
        Computing::On { provider, instead_of: Some(wanted) } => {
            technical = wanted.to_string();
            (Status::Warning, v.f1("用的是 {}：配置的加速器用不了，识别会慢一些，请告诉维护人员", provider))
        }
    };
    finding(v, "计算", status, detail).technical(technical)
}

/// The newest thing of the last day at the barrier that somebody should look at.
fn alert(site: &Site, v: &Visit) -> Option<Finding> {
    const LOOKED_THROUGH: usize = 200;
    let yesterday = Timestamp::now() - SignedDuration::from_hours(24);
    let notes = site.gate.notes.newest(LOOKED_THROUGH, None).unwrap_or_default();
    let noted =
        notes.into_iter().map(|entry| entry.noted).take_while(|n| n.at > yesterday).find(|n| n.note.is_alert())?;
    let words = notices::words(noted.note);
    let (zh, en) = words.advice.unwrap_or_default();
    let what = v.f2("{}：{}", v.say(&words.zh, &words.en), v.say(zh, en));
    Some(finding(v, "道闸提醒", Status::Warning, format!("{} {what}", v.short_time(&noted.at))))
}

/// The receivers that are told what happens.
fn webhooks(site: &Site, v: &Visit) -> Vec<Finding> {
    let look = |receiver: webhook::Status| {
        let waiting = v.f2("{}：待发 {} 条", &receiver.to, receiver.pending);
        let sent = v.f2("已发 {} 条，放弃 {} 条", receiver.sent, receiver.dropped);
        let mut technical = String::new();
        let (status, detail) = match (&receiver.problem, &receiver.failing_since) {
            (Some(problem), Some(since)) => {
                let since = v.f1("{} 起收不到", v.short_time(since));
                let status = if receiver.gone { Status::Fault } else { Status::Warning };
                technical.clone_from(problem);
                (status, [waiting, sent, since].join(v.say("；", "; ")))
            }
            _ => (Status::Ok, [waiting, sent].join(v.say("；", "; "))),
        };
        let name = v.f1("通知 {}", &receiver.name);
        Finding { name, ..finding(v, "通知", status, detail).technical(technical) }
    };
    site.gate.board.all().into_iter().map(look).collect()
}

/// The house's broker, where one is configured.
fn broker(site: &Site, v: &Visit) -> Option<Finding> {
    let link = site.gate.link.status()?;
    let since = v.short_time(&link.since);
    let technical = link.problem.clone().unwrap_or_default();
    let (status, detail) = match (link.connected, &link.problem) {
        (true, _) => (Status::Ok, v.f2("{}，{} 起已连接", &link.broker, since)),
        (false, Some(_)) => (Status::Warning, v.f2("{}，{} 起连不上。道闸照常工作", &link.broker, since)),
        (false, None) => (Status::Ok, v.f1("{}，正在连接", &link.broker)),
    };
    Some(finding(v, "MQTT", status, detail).technical(technical))
}

/// The connection with the other gates, and what was refused over it.
fn gates(site: &Site, v: &Visit) -> Option<Finding> {
    let status = &site.gate.fleet.as_ref()?.status;
    let connection = status.connection();
    let (mut detail, _) = crate::web::gates::connection_words(&connection, v);
    let well = if matches!(connection, Connection::Connected { .. }) { Status::Ok } else { Status::Warning };
    let mut technical = match connection {
        Connection::Connected { .. } => Vec::new(),
        Connection::Connecting { reason, .. } | Connection::Full { reason, .. } | Connection::Lost { reason, .. } => {
            vec![reason]
        }
    };
    if let Some((at, why)) = status.last_refused() {
        detail += &v.f1("；最近拒绝过一条消息（{}）", v.short_time(&at));
        technical.push(why);
    }
    technical.retain(|words| !words.is_empty());
    Some(finding(v, "其他门", well, detail).technical(technical.join("; ")))
}

fn arm(site: &Site, v: &Visit) -> Finding {
    let state = site.gate.barrier.state();
    let output = match site.gate.config.barrier.output {
        Output::Simulated => v.t("模拟道闸"),
        _ => state.arm.to_string(),
    };
    let detail = v.f("{}，抬杆 {} 次，失败 {} 次", &[&output, &state.presses, &state.failures]);
    let (status, detail) = match (&state.last_failure, state.stuck) {
        (_, true) => (Status::Fault, v.f1("{}：继电器没有松开，请到现场查看接线", detail)),
        (Some(failure), _) => {
            let told = "{}；最近一次失败在 {}：请看继电器的电源和接线";
            (Status::Warning, v.f2(told, &detail, v.short_time(&failure.at)))
        }
        (None, _) => (Status::Ok, detail),
    };
    let technical = state.last_failure.as_ref().map(|failure| failure.reason.to_string()).unwrap_or_default();
    finding(v, "道闸", status, detail).technical(technical)
}
