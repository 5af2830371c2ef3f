//! How one car stands with the book, on any day.
//!
//! In: what the book holds of the car (its share, its terms, its exemptions) and the tariffs. Out: a [`Stand`], with the
//! dates that a neighbour would ask for. The gate reads its one word, [`Standing`].

use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::entry::Tariff;
use super::money::Fen;

/// How a car stands with the compound, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Everything that is due is paid.
    Paid,
    /// Need not pay.
    Exempt,
    /// Something is due, but within its days of grace.
    Grace,
    /// In arrears.
    Unpaid,
    /// Blocked by the stewards.
    Blocked,
}

/// How a car stands, with its dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stand {
    /// In one word.
    pub standing: Standing,
    /// Since when it is in arrears, or in grace, if that is known.
    pub since: Option<Date>,
    /// The last day of what is paid, of the grace or of the exemption; none if it does not end.
    pub until: Option<Date>,
    /// The number of the vote that exempts it.
    pub vote: Option<u64>,
}

impl Stand {
    /// Without any date.
    pub fn plain(standing: Standing) -> Stand {
        Stand { standing, since: None, until: None, vote: None }
    }
}

/// The share of one car where no campaign says otherwise: 100 yuan.
pub const SHARE: Fen = Fen::yuan(100);

/// What is due for one car and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dues {
    /// What is asked of it once, over all campaigns.
    pub share: Fen,
    /// What was put in for it.
    pub paid: Fen,
    /// When the share was asked for, if the book says so.
    pub asked: Option<Date>,
    /// The paid terms, both days included, in order.
    pub terms: Vec<(Date, Date)>,
    /// The exemptions.
    pub exemptions: Vec<Exempted>,
    /// The yearly fees, in the order of their first days.
    pub tariffs: Arc<[Tariff]>,
}

/// An exemption of one car.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exempted {
    /// The first day.
    pub from: Date,
    /// The last day, if it ends.
    pub until: Option<Date>,
    /// The number of the vote.
    pub vote: Option<u64>,
}

/// Of a car that the book has nothing about, before any campaign: the usual share, nothing paid.
impl Default for Dues {
    fn default() -> Dues {
        let none = Arc::from([]);
        Dues { share: SHARE, paid: Fen::ZERO, asked: None, terms: Vec::new(), exemptions: Vec::new(), tariffs: none }
    }
}

impl Dues {
    /// Of a car that owes nothing.
    pub fn settled() -> Dues {
        Dues { paid: SHARE, ..Dues::default() }
    }

    /// Of a car that need not pay, for good.
    pub fn exempt() -> Dues {
        let always = Exempted { from: Date::MIN, until: None, vote: None };
        Dues { exemptions: vec![always], ..Dues::default() }
    }

    /// How it stands on that day. Looks only at memory and makes nothing new: the lane asks it for each frame.
    pub fn on(&self, today: Date) -> Stand {
        let covers = |e: &&Exempted| e.from <= today && e.until.is_none_or(|last| today <= last);
        // Of several exemptions the one that lasts longest is told.
        if let Some(e) = self.exemptions.iter().filter(covers).max_by_key(|e| e.until.unwrap_or(Date::MAX)) {
            return Stand { until: e.until, vote: e.vote, ..Stand::plain(Standing::Exempt) };
        }
        if self.paid < self.share {
            return Stand { since: self.asked, ..Stand::plain(Standing::Unpaid) };
        }
        let Some(tariff) = in_force(&self.tariffs, today).filter(|t| t.yearly > Fen::ZERO) else {
            return Stand::plain(Standing::Paid);
        };
        if let Some(until) = self.paid_until(today) {
            return Stand { until: Some(until), ..Stand::plain(Standing::Paid) };
        }
        // In arrears since the day after its last term, or since there has been a fee at all.
        let ended = self.terms.iter().filter(|(_, until)| *until < today).map(|(_, until)| *until).max();
        let due = ended.and_then(|d| d.tomorrow().ok()).into_iter().chain(self.charged_since(today)).max();
        let grace = due.and_then(|d| d.checked_add(i64::from(tariff.grace_days).days()).ok()?.yesterday().ok());
        if grace.is_some_and(|last| today <= last) {
            return Stand { since: due, until: grace, ..Stand::plain(Standing::Grace) };
        }
        Stand { since: due, ..Stand::plain(Standing::Unpaid) }
    }

    /// The last day of the unbroken run of terms that covers this day.
    pub fn paid_until(&self, day: Date) -> Option<Date> {
        let mut until = None;
        for &(from, last) in &self.terms {
            match until {
                None if from <= day && day <= last => until = Some(last),
                Some(end) if from <= end || end.tomorrow().is_ok_and(|next| from == next) => {
                    until = Some(end.max(last))
                }
                _ => {}
            }
        }
        until
    }

    /// The first day of the next term to pay for: the day after what is paid; after a gap, the day from which it is owed;
    /// today where nothing was ever paid.
    pub fn next_term(&self, today: Date) -> Date {
        match (self.paid_until(today), self.on(today)) {
            (Some(until), _) => until.tomorrow().unwrap_or(until),
            (None, Stand { since: Some(since), .. }) if !self.terms.is_empty() => since,
            _ => today,
        }
    }

    /// The first day of the unbroken time of fees that reaches to this day.
    fn charged_since(&self, day: Date) -> Option<Date> {
        let so_far = self.tariffs.iter().take_while(|t| t.from <= day);
        so_far.fold(None, |since, t| if t.yearly > Fen::ZERO { since.or(Some(t.from)) } else { None })
    }
}

/// The tariff of that day.
pub fn in_force(tariffs: &[Tariff], day: Date) -> Option<&Tariff> {
    tariffs.iter().take_while(|t| t.from <= day).last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn tariff(from: Date, yuan: i64) -> Tariff {
        Tariff { from, yearly: Fen::yuan(yuan), grace_days: 30, vote: None }
    }

    fn dues(terms: &[(Date, Date)]) -> Dues {
        let tariffs = Arc::from([tariff(date(2026, 1, 1), 60)]);
        Dues { terms: terms.to_vec(), tariffs, ..Dues::settled() }
    }

    fn told(dues: &Dues, day: Date) -> (Standing, Option<Date>, Option<Date>) {
        let stand = dues.on(day);
        (stand.standing, stand.since, stand.until)
    }

    #[test]
    fn a_share_is_paid_or_not() {
        let day = date(2026, 11, 25);
        assert_eq!(told(&Dues::settled(), day), (Standing::Paid, None, None));
        let asked = Some(date(2026, 3, 1));
        let short = Dues { paid: Fen::of(9_999), asked, ..Dues::default() };
        assert_eq!(told(&short, day), (Standing::Unpaid, asked, None));
    }

    #[test]
    fn a_fee_is_paid_runs_out_has_its_grace_and_is_owed() {
        let dues = dues(&[(date(2026, 2, 1), date(2027, 1, 31)), (date(2027, 2, 1), date(2027, 3, 31))]);
        // Before its first term: in the grace of the tariff's beginning.
        assert_eq!(told(&dues, date(2026, 1, 30)), (Standing::Grace, Some(date(2026, 1, 1)), Some(date(2026, 1, 30))));
        assert_eq!(told(&dues, date(2026, 1, 31)), (Standing::Unpaid, Some(date(2026, 1, 1)), None));
        // Two terms without a gap are one.
        assert_eq!(told(&dues, date(2026, 2, 1)), (Standing::Paid, None, Some(date(2027, 3, 31))));
        assert_eq!(told(&dues, date(2027, 3, 31)), (Standing::Paid, None, Some(date(2027, 3, 31))));
        let due = Some(date(2027, 4, 1));
        assert_eq!(told(&dues, date(2027, 4, 1)), (Standing::Grace, due, Some(date(2027, 4, 30))));
        assert_eq!(told(&dues, date(2027, 4, 30)), (Standing::Grace, due, Some(date(2027, 4, 30))));
        assert_eq!(told(&dues, date(2027, 5, 1)), (Standing::Unpaid, due, None));
    }

    #[test]
    fn fees_that_were_ended_are_not_owed_and_begin_anew() {
        let tariffs =
            Arc::from([tariff(date(2024, 1, 1), 60), tariff(date(2025, 1, 1), 0), tariff(date(2026, 1, 1), 60)]);
        let dues = Dues { tariffs, ..Dues::settled() };
        assert_eq!(dues.on(date(2023, 12, 31)).standing, Standing::Paid);
        assert_eq!(dues.on(date(2024, 6, 1)).standing, Standing::Unpaid);
        assert_eq!(dues.on(date(2025, 6, 1)).standing, Standing::Paid);
        assert_eq!(told(&dues, date(2026, 6, 1)), (Standing::Unpaid, Some(date(2026, 1, 1)), None));
    }

    #[test]
    fn an_exemption_goes_before_everything_and_ends() {
        let exempted = Exempted { from: date(2026, 5, 1), until: Some(date(2026, 5, 31)), vote: Some(7) };
        let dues = Dues { exemptions: vec![exempted], ..Dues::default() };
        assert_eq!(dues.on(date(2026, 4, 30)).standing, Standing::Unpaid);
        let stand = dues.on(date(2026, 5, 31));
        assert_eq!((stand.standing, stand.until, stand.vote), (Standing::Exempt, exempted.until, Some(7)));
        assert_eq!(dues.on(date(2026, 6, 1)).standing, Standing::Unpaid);
    }

    proptest! {
        /// Paid exactly on the days of a term, whatever the terms are.
        #[test]
        fn a_day_is_paid_if_a_term_covers_it(spans in proptest::collection::vec((0i64..900, 0i64..400), 0..6), at in 0i64..1400) {
            let start = date(2026, 1, 1);
            let day = |n: i64| start.checked_add(n.days()).unwrap();
            let mut terms: Vec<(Date, Date)> = spans.iter().map(|(from, n)| (day(*from), day(from + n))).collect();
            terms.sort();
            let (dues, today) = (dues(&terms), day(at));
            let covered = terms.iter().any(|(from, until)| *from <= today && today <= *until);
            let stand = dues.on(today);
            prop_assert_eq!(stand.standing == Standing::Paid, covered);
            prop_assert!(stand.until.is_none_or(|until| until >= today));
            prop_assert!(stand.since.is_none_or(|since| since <= today));
        }
    }
}
