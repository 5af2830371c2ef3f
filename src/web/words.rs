//! Outcomes and rules in words, for the page and for a terminal.

use crate::gate::event::{Event, Outcome, PulseReport, Rule};
use crate::plate::Kind;

/// What happened, in one English word.
pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Opened => "opened",
        Outcome::Refused => "refused",
        Outcome::Failed => "FAILED",
        Outcome::Seen => "seen",
    }
}

/// What happened, in Chinese (the page translates), and the class of its colour.
pub fn outcome_words(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Opened => ("已抬杆", "good"),
        Outcome::Refused => ("未放行", "warn"),
        Outcome::Failed => ("抬杆失败", "bad"),
        Outcome::Seen => ("驶离", "dim"),
    }
}

/// Why, in a few English words.
pub fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::Paid => "registered and paid",
        Rule::Exempt => "registered, need not pay",
        Rule::Grace => "registered, in its days of grace",
        Rule::UnpaidOpen => "registered, not paid, let in all the same",
        Rule::Unpaid => "registered, not paid",
        Rule::Blocked => "blocked by the stewards",
        Rule::Service => "fire, rescue or police",
        Rule::Stranger => "a stranger",
        Rule::NearMiss => "nearly a registered plate, but not it",
        Rule::Unreadable => "could not be read well enough",
        Rule::Stale => "the pictures came too late",
        Rule::Pass => "a visitor with a pass",
        Rule::PassEarly => "a visitor's pass, not good yet",
        Rule::PassOver => "a visitor's pass, its time is over",
        Rule::PassUsed => "a visitor's pass, used up",
        Rule::HeldOpen => "the gate is held open for everybody",
        Rule::Closed => "the gate is closed for everybody",
        Rule::Photograph => "it looks like a picture of a plate, not like a car",
        Rule::NothingThere => "no car stands on the presence loop",
        Rule::Leaving => "it drives away",
        Rule::ByHand => "a steward pressed open",
    }
}

/// Why, in a few Chinese words.
pub fn rule_zh(rule: Rule) -> &'static str {
    match rule {
        Rule::Paid => "已登记，已缴费",
        Rule::Exempt => "已登记，免缴",
        Rule::Grace => "已登记，宽限期内",
        Rule::UnpaidOpen => "已登记未缴费，按约定放行",
        Rule::Unpaid => "已登记，未缴费",
        Rule::Blocked => "管家已停用",
        Rule::Service => "消防、救援或警车",
        Rule::Stranger => "未登记车辆",
        Rule::NearMiss => "与登记车牌只差一位，不是同一辆",
        Rule::Unreadable => "车牌看不清",
        Rule::Stale => "画面延迟过大",
        Rule::Pass => "访客，凭通行证放行",
        Rule::PassEarly => "访客通行证未到时间",
        Rule::PassOver => "访客通行证已过期",
        Rule::PassUsed => "访客通行证次数已用完",
        Rule::HeldOpen => "当前时段常开放行",
        Rule::Closed => "当前时段关闭",
        Rule::Photograph => "疑似车牌照片，并非车辆",
        Rule::NothingThere => "地感上没有车",
        Rule::Leaving => "车辆驶离",
        Rule::ByHand => "管家手动开闸",
    }
}

/// A kind of plate, in Chinese.
pub fn kind_zh(kind: Kind) -> &'static str {
    match kind {
        Kind::Blue => "蓝牌",
        Kind::Green => "绿牌",
        Kind::Yellow => "黄牌",
        Kind::Police => "警车",
        Kind::Emergency => "应急救援",
        Kind::Embassy => "使馆",
        Kind::Consulate => "领馆",
        Kind::HongKongMacao => "港澳入出境",
        Kind::Learner => "教练车",
        Kind::Trailer => "挂车",
        Kind::ArmedPolice => "武警",
        Kind::Military => "军车",
    }
}

/// One line for a terminal.
pub fn line(event: &Event) -> String {
    let time = event.at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string();
    let plate = event.plate.map_or_else(|| event.text.clone(), |p| p.to_string());
    let household = match &event.vehicle {
        Some(v) if Some(v.plate) == event.plate => format!(" of {}", v.household),
        Some(v) => format!(" (near {} of {})", v.plate, v.household),
        None => String::new(),
    };
    let pulse = match &event.pulse {
        Some(PulseReport::Pressed { after_ms }) => format!(", relay {after_ms:.0} ms after the frame"),
        Some(PulseReport::JustPressed) => ", the relay had just been pressed".into(),
        Some(PulseReport::Failed { reason }) => format!(", {reason}"),
        None => String::new(),
    };
    format!("{time} {:8} {plate}{household}: {}{pulse}", outcome(event.outcome), rule(event.rule))
}
