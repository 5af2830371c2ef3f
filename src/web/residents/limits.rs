//! How far a household may go by itself: so many passes at a time and a month, none of them long, none for a car that is
//! registered, lest passes take the place of dues.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use super::is_open;
use crate::config;
use crate::plate::Plate;
use crate::register::Pass;
use crate::store::StoreError;
use crate::web::Site;
use crate::web::refusal::Refusal;

/// A pass as a resident asks for it.
pub struct Asked<'a> {
    /// The household.
    pub household: &'a str,
    /// The visitor's plate.
    pub plate: Plate,
    /// From then on.
    pub from: Timestamp,
    /// Until then.
    pub to: Timestamp,
    /// So many times; without end where none is set.
    pub entries: Option<u32>,
}

/// A month, for counting.
const MONTH: SignedDuration = SignedDuration::from_hours(24 * 30);

/// May a resident give this pass? Asked with the register's lock held, so that nobody slips in another one meanwhile.
pub fn check(site: &Site, asked: &Asked<'_>) -> Result<(), Refusal> {
    let may = &site.gate.config.residents;
    if site.gate.register.snapshot().get(&asked.plate).is_some() {
        return Err(Refusal::bad(
            format!("{} 已登记在本小区，不用通行证。没有放行请找管家", asked.plate),
            format!("{} is registered here and needs no pass: ask a steward why it is not let in", asked.plate),
        ));
    }
    fits(may, asked, Timestamp::now())?;
    let passes = site.gate.register.passes()?;
    let (at_a_time, in_a_month) = given(site, asked.household, &passes)?;
    if at_a_time >= may.passes {
        return Err(Refusal::bad(
            format!("每户最多同时有 {} 张有效通行证：请先收回一张，或请管家发", may.passes),
            format!("a household has at most {} passes at a time: take one back, or ask a steward", may.passes),
        ));
    }
    if in_a_month >= may.passes_a_month {
        return Err(Refusal::bad(
            format!("每户 30 天内最多自己发 {} 张通行证，请找管家", may.passes_a_month),
            format!("a household gives at most {} passes in 30 days: ask a steward", may.passes_a_month),
        ));
    }
    Ok(())
}

/// Is it short enough, soon enough, and for few enough entries?
fn fits(may: &config::Residents, asked: &Asked<'_>, now: Timestamp) -> Result<(), Refusal> {
    let longest = SignedDuration::from_hours(24 * i64::from(may.pass_days));
    if asked.to.duration_since(asked.from) > longest {
        return Err(Refusal::bad(
            format!("通行证最长 {} 天，更久请找管家", may.pass_days),
            format!("a pass lasts at most {} days: ask a steward for a longer one", may.pass_days),
        ));
    }
    if asked.from.duration_since(now) > MONTH {
        return Err(Refusal::bad("只能提前 30 天发", "a pass begins within 30 days"));
    }
    if asked.entries.is_none_or(|n| n > may.pass_entries) {
        return Err(Refusal::bad(
            format!("可进次数应为 1 到 {}", may.pass_entries),
            format!("entries: 1 to {} are expected", may.pass_entries),
        ));
    }
    Ok(())
}

/// How many more passes the household may give now.
pub fn left(site: &Site, household: &str, passes: &[Pass]) -> Result<u32, StoreError> {
    let may = &site.gate.config.residents;
    let (at_a_time, in_a_month) = given(site, household, passes)?;
    Ok(may.passes.saturating_sub(at_a_time).min(may.passes_a_month.saturating_sub(in_a_month)))
}

/// The household's passes that are open, and those that its residents gave within a month.
fn given(site: &Site, household: &str, passes: &[Pass]) -> Result<(u32, u32), StoreError> {
    let residents: HashSet<String> =
        site.accounts.residents(household)?.into_iter().map(|resident| resident.name).collect();
    let now = Timestamp::now();
    let of_it = || passes.iter().filter(|p| p.household == household);
    let lately = |p: &&Pass| residents.contains(&p.given_by) && now.duration_since(p.from) < MONTH;
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Ok((count(of_it().filter(|p| is_open(p, now)).count()), count(of_it().filter(lately).count())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resident_s_pass_is_short_soon_and_counted() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let hours = SignedDuration::from_hours;
        let may = config::Residents { pass_days: 2, pass_entries: 3, ..config::Residents::default() };
        let case = |begins: i64, lasts: i64, entries| {
            let (from, plate) = (now + hours(begins), "皖A6P42Z".parse().unwrap());
            fits(&may, &Asked { household: "2-301", plate, from, to: from + hours(lasts), entries }, now).is_ok()
        };
        assert!(case(0, 48, Some(1)) && case(24 * 30, 1, Some(3)) && case(-1, 2, Some(2)));
        assert!(!case(0, 49, Some(1)), "too long");
        assert!(!case(24 * 31, 1, Some(1)), "too far ahead");
        assert!(!case(0, 1, Some(4)) && !case(0, 1, None), "too often");
    }
}
