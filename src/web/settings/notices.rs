//! The barrier's notices: everything that happened there, in words, and what to do about it.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use serde::Deserialize;

use crate::barrier::{By, Input, Note, Reason};
use crate::store::notes;
use crate::web::Site;
use crate::web::asked::{self, given};
use crate::web::refusal::{Answer, Refusal, page};
use crate::web::visit::{Reader, Signed, Visit};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/settings/notices", get(list))
}

/// What is looked for, as forms and programs write it.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Find {
    /// Of this day, such as 2026-11-25.
    #[serde(default)]
    pub day: Option<String>,
    /// `alerts` (what somebody should look at), or one kind such as `did_not_open`.
    #[serde(default)]
    pub kind: Option<String>,
    /// Older than this number.
    #[serde(default)]
    pub before: Option<u64>,
}

impl Find {
    /// The query, or what is wrong with it.
    pub fn parse(&self) -> Result<notes::Query, Refusal> {
        let day = asked::day(&self.day)?;
        let kind = given(&self.kind).map(str::to_owned);
        let alerts = kind.as_deref() == Some("alerts");
        let kind = kind.filter(|_| !alerts);
        if kind.as_ref().is_some_and(|kind| Note::KINDS.iter().all(|(known, _)| known != kind)) {
            return Err(Refusal::bad("没有这种提醒", "kind: alerts, or a kind such as did_not_open, is expected"));
        }
        Ok(notes::Query { kind, alerts, day, before: self.before })
    }
}

/// A note in words: what happened, what to do about it (nothing where all is well), in Chinese and in English.
pub struct Words {
    /// What happened, in Chinese.
    pub zh: String,
    /// The same in English.
    pub en: String,
    /// What to do, in Chinese and English; none where nothing is to be done.
    pub advice: Option<(&'static str, &'static str)>,
}

/// The words for a note.
pub fn words(note: Note) -> Words {
    let (zh, en) = what(note);
    let input = match note {
        Note::WireBroken { input } | Note::WireMended { input } => Some(input_words(input)),
        _ => None,
    };
    let with =
        |text: &str, input: Option<&str>| input.map_or_else(|| text.to_owned(), |input| format!("{text}：{input}"));
    Words {
        zh: with(zh, input.map(|(zh, _)| zh)),
        en: with(en, input.map(|(_, en)| en)).replace('：', ": "),
        advice: advice(note),
    }
}

fn what(note: Note) -> (&'static str, &'static str) {
    use crate::barrier::{Direction, Hold};
    match note {
        Note::Pressed => ("按了抬杆", "\"open\" was pressed"),
        Note::PressFailed => ("要求抬杆，继电器没有动作", "asked to open, and the relay did not move"),
        Note::DidNotOpen => ("要求抬杆后没有抬起", "asked to open, and the arm did not go up"),
        Note::HeldTooLong => ("杆抬着太久没有落下", "the arm has been up for very long"),
        Note::Tailgated => ("有车尾随进入", "a car came in on another's press"),
        Note::Passed { direction: Some(Direction::In) } => ("有车驶入", "a car went in"),
        Note::Passed { direction: Some(Direction::Out) } => ("有车驶出", "a car went out"),
        Note::Passed { direction: None } => ("有车通过", "a car went through"),
        Note::HoldBegan { hold: Hold::Fire } => ("消防报警，杆保持抬起", "the fire alarm holds the arm up"),
        Note::HoldBegan { hold: Hold::Power } => ("即将断电，杆保持抬起", "failing power holds the arm up"),
        Note::HoldBegan { hold: Hold::Mode } => ("按设定常开，杆保持抬起", "the mode holds the arm up"),
        Note::HoldEnded { hold: Hold::Fire } => ("消防报警解除", "the fire alarm no longer holds the arm up"),
        Note::HoldEnded { hold: Hold::Power } => ("供电恢复", "power no longer holds the arm up"),
        Note::HoldEnded { hold: Hold::Mode } => ("常开结束", "the mode no longer holds the arm up"),
        Note::PushButton => ("有人按了出门按钮", "the push button was pressed"),
        Note::WireBroken { .. } => ("有一路输入读不到", "an input cannot be read"),
        Note::WireMended { .. } => ("输入恢复", "an input can be read again"),
        Note::SwitchesContradict => ("两个限位开关同时有信号", "both end switches are active at once"),
        Note::Closing => ("按了落杆", "\"close\" was pressed"),
        Note::ClosingStopped => ("落杆时有车，已重新抬起", "a car came while the arm went down: it was opened again"),
    }
}

fn advice(note: Note) -> Option<(&'static str, &'static str)> {
    use crate::barrier::Hold;
    Some(match note {
        Note::PressFailed => (
            "看继电器的电源和接线；主机上运行 plategate doctor",
            "look at the relay's power and wires; run plategate doctor on the box",
        ),
        Note::DidNotOpen => (
            "到现场看道闸：电源、急停、杆是否卡住；再看抬杆接线和限位开关",
            "look at the barrier: power, emergency stop, a stuck arm; then at the wires of \"open\" and of the end switch",
        ),
        Note::HeldTooLong => (
            "看杆下是否有东西、地感是否卡住、是否有人用遥控器设了常开",
            "is something under the arm, a loop stuck, or was it held open by the remote control?",
        ),
        Note::Tailgated => (
            "查看这段时间的来车记录和照片；常发生时请安装商缩短落杆时间",
            "look at the arrivals around that time; if it is often, let the installer make it close sooner",
        ),
        Note::HoldBegan { hold: Hold::Fire } => {
            ("先确认火情；解除报警后自动恢复", "see whether there is a fire; it ends when the alarm is reset")
        }
        Note::HoldBegan { hold: Hold::Power } => {
            ("查看配电箱和电池；来电后自动恢复", "look at the mains and the battery; it ends when the power is back")
        }
        Note::HoldBegan { hold: Hold::Mode } => (
            "不需要常开时，在首页改回“按规则放行”",
            "when it is no longer wanted, set \"by its rules\" on the first page",
        ),
        Note::WireBroken { .. } => (
            "看这一路的接线和端子；主机上运行 plategate doctor --watch 看电平",
            "look at its wire and terminals; plategate doctor --watch on the box shows the levels",
        ),
        Note::SwitchesContradict => (
            "看两个限位开关的接线：是否短路，或常开常闭接反",
            "look at the wires of both end switches: a short, or normally open and closed mixed up",
        ),
        Note::ClosingStopped => (
            "偶尔发生是正常的；常发生时把 barrier.close_after_ms 调大",
            "now and then is normal; if it is often, make barrier.close_after_ms longer",
        ),
        _ => return None,
    })
}

/// An input in words.
pub fn input_words(input: Input) -> (&'static str, &'static str) {
    match input {
        Input::Presence => ("闸前地感", "the loop before the arm"),
        Input::Passage => ("杆下地感或红外", "the loop or light barrier under the arm"),
        Input::ArmUp => ("抬杆限位", "the end switch of the raised arm"),
        Input::ArmDown => ("落杆限位", "the end switch of the lowered arm"),
        Input::Button => ("出门按钮", "the push button"),
        Input::Fire => ("消防触点", "the fire alarm's contact"),
        Input::Power => ("供电告警", "the power supply's warning"),
    }
}

/// Who asked for it.
fn by(reason: &Reason, v: &Visit) -> String {
    match &reason.by {
        By::Person(name) => name.clone(),
        By::Car => v.t("放行车辆"),
        By::Service => v.t("急救、消防或警车"),
        By::Button => v.t("出门按钮"),
        By::Itself => v.t("道闸程序"),
    }
}

/// A note in one line of the list.
struct Row {
    at: String,
    what: String,
    class: &'static str,
    advice: String,
    by: String,
}

impl Row {
    fn new(entry: &notes::Entry, v: &Visit) -> Row {
        let words = words(entry.noted.note);
        Row {
            at: v.time(&entry.noted.at),
            what: v.say(&words.zh, &words.en).to_owned(),
            class: if entry.noted.note.is_alert() { "warn" } else { "" },
            advice: words.advice.map(|(zh, en)| v.say(zh, en).to_owned()).unwrap_or_default(),
            by: entry.noted.reason.as_ref().map(|reason| by(reason, v)).unwrap_or_default(),
        }
    }
}

#[derive(Template)]
#[template(path = "web/notices.html")]
struct NoticesPage<'a> {
    v: &'a Visit,
    find: &'a Find,
    rows: Vec<Row>,
    kinds: Vec<(&'static str, String)>,
    /// The address of the older ones, if there are any.
    older: Option<String>,
    any: bool,
}

/// Notices on one page.
const SHOWN: usize = 50;

async fn list(State(site): State<Arc<Site>>, v: Signed<Reader>, Query(find): Query<Find>) -> Answer {
    let query = find.parse()?;
    let there = site.clone();
    // A year of notices may have to be gone through.
    let entries = tokio::task::spawn_blocking(move || there.gate.notes.find(&query, SHOWN + 1));
    let entries = entries.await.map_err(|_| Refusal::Broken)??;
    let pairs =
        [("day", &find.day), ("kind", &find.kind)].map(|(name, value)| (name, value.clone().unwrap_or_default()));
    let query = serde_html_form::to_string(pairs).unwrap_or_default();
    let older = (entries.len() > SHOWN).then(|| format!("/settings/notices?{query}&before={}", entries[SHOWN - 1].id));
    let rows = entries.iter().take(SHOWN).map(|entry| Row::new(entry, &v)).collect();
    page(&NoticesPage { v: &v, find: &find, rows, kinds: kinds(&v), older, any: site.gate.notes.newest_number() > 0 })
}

/// What can be chosen: each kind once, in the words of one of its notes.
fn kinds(v: &Visit) -> Vec<(&'static str, String)> {
    let chosen = [
        Note::DidNotOpen,
        Note::PressFailed,
        Note::HeldTooLong,
        Note::Tailgated,
        Note::WireBroken { input: Input::Presence },
        Note::SwitchesContradict,
        Note::ClosingStopped,
        Note::PushButton,
        Note::Pressed,
        Note::Passed { direction: None },
    ];
    let mut all = vec![("alerts", v.t("需要查看的"))];
    all.extend(chosen.map(|note| (note.kind(), v.say(what(note).0, what(note).1).to_owned())));
    all.push(("hold_began", v.t("杆保持抬起")));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::barrier::Hold;

    #[test]
    fn every_alert_says_what_to_do() {
        let alerts = [
            Note::PressFailed,
            Note::DidNotOpen,
            Note::HeldTooLong,
            Note::Tailgated,
            Note::HoldBegan { hold: Hold::Fire },
            Note::HoldBegan { hold: Hold::Power },
            Note::HoldBegan { hold: Hold::Mode },
            Note::WireBroken { input: Input::Fire },
            Note::SwitchesContradict,
            Note::ClosingStopped,
        ];
        for note in alerts {
            assert!(note.is_alert() && words(note).advice.is_some(), "{note:?}");
        }
        for (kind, _) in Note::KINDS.iter().filter(|(_, alert)| *alert) {
            assert!(alerts.iter().any(|note| note.kind() == *kind), "{kind} is not looked at here");
        }
        let broken = words(Note::WireBroken { input: Input::Fire });
        assert!(
            broken.zh.contains("消防触点") && broken.en.ends_with("read: the fire alarm's contact"),
            "{}",
            broken.en
        );
        assert!(words(Note::Pressed).advice.is_none());
    }

    #[test]
    fn what_is_looked_for_is_understood_or_refused() {
        let find =
            |day: &str, kind: &str| Find { day: Some(day.into()), kind: Some(kind.into()), before: None }.parse();
        assert_eq!(find("", "").unwrap(), notes::Query::default());
        assert!(find("", "alerts").unwrap().alerts && find("", "alerts").unwrap().kind.is_none());
        assert_eq!(find("2026-11-25", "did_not_open").unwrap().kind.as_deref(), Some("did_not_open"));
        assert!(find("yesterday", "").is_err() && find("", "everything").is_err());
    }
}
