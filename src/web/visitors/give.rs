//! Giving, taking over and taking back passes, for the pages of stewards and residents and for programs.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::fleet::pass_code;
use crate::plate::{Plate, PlateError};
use crate::register::{self, Change, Pass};
use crate::web::Site;
use crate::web::refusal::Refusal;
use crate::web::residents::limits::{self, Asked};
use crate::web::visit::{Steward, Visit};

/// A pass as a form or a program asks for it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Wanted {
    /// The visitor's plate.
    #[serde(default)]
    pub plate: String,
    /// The household that is visited.
    #[serde(default)]
    pub household: String,
    /// From then on, such as `2026-11-25T18:00`, at the gate's clock; empty for now.
    #[serde(default)]
    pub from: String,
    /// Until then; empty for a day.
    #[serde(default)]
    pub to: String,
    /// So many times; empty for any number.
    #[serde(default)]
    pub entries: String,
    /// A remark.
    #[serde(default)]
    pub note: String,
}

impl Wanted {
    /// What a blank form begins with: a day from now on, one entry.
    pub(in crate::web) fn fill(&mut self) {
        let now = Timestamp::now().to_zoned(TimeZone::system());
        let minute = |z: &jiff::Zoned| z.strftime("%Y-%m-%dT%H:%M").to_string();
        if self.from.is_empty() {
            self.from = minute(&now);
        }
        if self.to.is_empty() {
            self.to = minute(&(&now + SignedDuration::from_hours(24)));
        }
        if self.entries.is_empty() {
            self.entries = "1".into();
        }
    }
}

/// A pass that lasts longer is a resident's.
const LONGEST_DAYS: i64 = 92;

/// Gives the pass, with a line of the audit log. `Err` says in both languages what cannot be.
pub fn give_pass(site: &Site, v: &Visit, wanted: &Wanted) -> Result<Pass, Refusal> {
    let plate: Plate = wanted.plate.parse().map_err(|e: PlateError| Refusal::bad(e.zh(), e.to_string()))?;
    let typed = || wanted.household.trim().chars().map(crate::text::narrow).collect::<String>();
    // A resident's visitors are visitors of their household, whatever was sent.
    let household = v.household().map_or_else(typed, str::to_owned);
    if site.gate.register.household(&household)?.is_none() {
        return Err(Refusal::bad(
            "没有这一户，应如 2-301",
            "household: one of the compound is expected, such as 2-301",
        ));
    }
    let now = Timestamp::now();
    let from = moment(&wanted.from)?.unwrap_or(now);
    let a_day = SignedDuration::from_hours(24);
    let to = moment(&wanted.to)?.or(from.checked_add(a_day).ok()).unwrap_or(from);
    if to <= from || to < now || to.duration_since(from) > SignedDuration::from_hours(24 * LONGEST_DAYS) {
        return Err(Refusal::bad(
            "结束时间要在开始之后，且不超过 92 天",
            "to: after from, not yet over, and at most 92 days later",
        ));
    }
    let entries = match wanted.entries.trim() {
        "" => None,
        text => Some(
            text.parse()
                .ok()
                .filter(|n| (1..=999).contains(n))
                .ok_or_else(|| Refusal::bad("次数应为 1 到 999，或留空", "entries: 1 to 999, or nothing"))?,
        ),
    };
    let note: String = wanted.note.trim().chars().take(100).collect();
    let given_by = v.name().to_owned();
    let pass = {
        let _changing = site.register_lock.lock();
        if v.household().is_some() {
            limits::check(site, &Asked { household: &household, plate, from, to, entries })?;
        }
        let id = site.gate.register.next_pass()?;
        let pass = Pass { id, plate, from, to, entries, used: 0, household, note, given_by };
        let digits = register::Digits { id, digits: site.digits.free()? };
        site.gate.register.apply(v.name(), &[Change::Pass(pass.clone()), Change::Digits(digits)])?;
        pass
    };
    site.accounts.audit.add_of(v.name(), "发访客通行证", &in_log(&pass), "", Some(v.from))?;
    Ok(pass)
}

/// A pass in the audit log, which is kept for good: by its number, so that the visitor's plate goes with the pass.
fn in_log(pass: &Pass) -> String {
    format!("#{} {}", pass.id, pass.household)
}

/// Takes over a pass whose signed code a visitor shows: one that this gate may never have heard of. Gives its number.
pub(in crate::web) fn present(site: &Site, v: &Visit, code: &str) -> Result<u64, Refusal> {
    if !v.may::<Steward>() {
        return Err(Refusal::Forbidden);
    }
    let fleet = site.gate.fleet.as_ref().ok_or(Refusal::NotFound)?;
    let members = site.gate.register.members()?;
    let pass = pass_code::check(&fleet.identity, &members, code)
        .map_err(|error| Refusal::bad(error.zh(), error.to_string()))?;
    let _changing = site.register_lock.lock();
    site.accounts.audit.add_of(v.name(), "扫到通行码", &in_log(&pass), "", Some(v.from))?;
    if !site.gate.register.present(&pass, v.name())? {
        return Err(Refusal::bad("这个通行证已被收回", "this pass was taken back"));
    }
    Ok(pass.id)
}

/// Takes a pass back; `false` if there is none.
pub fn take_pass_back(site: &Site, v: &Visit, id: u64) -> Result<bool, Refusal> {
    let _changing = site.register_lock.lock();
    let own = |p: &Pass| v.household().is_none_or(|own| own == p.household);
    let found = site.gate.register.pass(id)?.filter(own);
    let Some(pass) = found else { return Ok(false) };
    // One that let somebody in counts for a household's month: it ends, and stays.
    let ends = v.household().is_some() && pass.used > 0;
    let change = if ends { Change::Pass(Pass { to: Timestamp::now(), ..pass.clone() }) } else { Change::TakeBack(id) };
    site.gate.register.apply(v.name(), &[change])?;
    site.digits.keep_only(&site.gate.register.passes()?)?;
    site.accounts.audit.add_of(v.name(), "收回通行证", &in_log(&pass), "", Some(v.from))?;
    Ok(true)
}

/// A time as browsers send it (`2026-11-25T18:00`), on the gate's clock, or a moment with its zone.
fn moment(text: &str) -> Result<Option<Timestamp>, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let local = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::system()).ok().map(|z| z.timestamp());
    let moment = text.parse::<Timestamp>().ok().or_else(local);
    moment
        .map(Some)
        .ok_or_else(|| Refusal::bad("时间应如 2026-11-25T18:00", "a time such as 2026-11-25T18:00 is expected"))
}
