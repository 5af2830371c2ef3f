//! The demo compound's book: thirteen months of a crowdfunded gate, told in entries.
//!
//! Votes, 93 shares of 100 yuan and what some gave beyond, a barrier, a camera, upkeep, yearly fees, two refunds, cash that
//! stewards handed over and the treasurer took to the bank, counts, and one mistake that was put right.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::demo::DOCTOR;
use super::{Dues, Vehicle};
use crate::ledger::rules::paid_term;
use crate::ledger::{Account, Campaign, Draft, Exemption, Fen, Purpose, Tariff, Vote, What, Who};

/// The steward of each building, who takes its money, and the treasurer.
pub const STEWARDS: [&str; 3] = ["王芳", "李强", "陈静"];
/// Whom cash is handed over to.
pub const TREASURER: &str = "赵敏";

const BARRIER: &str = "barrier";
const YEARLY: Fen = Fen::yuan(30);

/// The book as it is being written.
struct Story {
    today: Date,
    drafts: Vec<Draft>,
}

impl Story {
    fn day(&self, ago: i64) -> Date {
        self.today.checked_sub(ago.days()).unwrap_or(self.today)
    }

    /// Writes an entry so many days ago; gives its number.
    fn write(&mut self, ago: i64, by: &str, what: What) -> u64 {
        let day = self.day(ago);
        let ten = day.to_datetime(Time::constant(10, 0, 0, 0)).to_zoned(TimeZone::system()).map(|z| z.timestamp());
        let at = ten.unwrap_or(Timestamp::UNIX_EPOCH);
        self.drafts.push(Draft { at, ..Draft::now(by, what) }.on(day));
        self.drafts.len() as u64
    }

    fn vote(&mut self, ago: i64, question: &str, yes: u32, no: u32) -> u64 {
        let vote = Vote { held: self.day(ago), question: question.into(), yes, no, of: 96 };
        self.write(ago, TREASURER, What::Vote(vote))
    }

    fn spend(&mut self, ago: i64, purpose: Purpose, title: &str, amount: Fen, out_of: Account) {
        let (title, payee) = (title.into(), String::new());
        self.write(ago, TREASURER, What::Spending { purpose, title, payee, amount, out_of, receipt: None });
    }

    /// All that a steward holds goes to the treasurer, and from there to the bank, but for what small things cost.
    fn hand_over(&mut self, ago: i64, from: &str, amount: Fen) {
        if amount == Fen::ZERO {
            return;
        }
        let offer = self.write(ago, from, What::Offer { from: from.into(), to: TREASURER.into(), amount });
        self.write(ago, TREASURER, What::Confirm { offer });
    }

    fn bank(&mut self, ago: i64, amount: Fen) {
        let (from, to) = (Account::Cash(TREASURER.into()), Account::Bank);
        self.write(ago, TREASURER, What::Transfer { from, to, amount, receipt: None });
    }

    /// What somebody holds by now.
    fn held(&self, name: &str) -> Fen {
        let account = Account::Cash(name.into());
        self.drafts.iter().fold(Fen::ZERO, |sum, draft| match &draft.what {
            What::Contribution { amount, into, .. } | What::Fee { amount, into, .. } if *into == account => {
                sum + *amount
            }
            What::Spending { amount, out_of, .. } | What::Refund { amount, out_of, .. } if *out_of == account => {
                sum - *amount
            }
            What::Transfer { amount, from, .. } if *from == account => sum - *amount,
            What::Correction { of, .. } => match &self.drafts[*of as usize - 1].what {
                What::Contribution { amount, into, .. } if *into == account => sum - *amount,
                _ => sum,
            },
            What::Confirm { offer } => match &self.drafts[*offer as usize - 1].what {
                What::Offer { to, amount, .. } if to == name => sum + *amount,
                What::Offer { from, amount, .. } if from == name => sum - *amount,
                _ => sum,
            },
            What::Count { held, counted } if *held == account => *counted,
            _ => sum,
        })
    }
}

/// The entries, oldest first.
pub(super) fn story(vehicles: &[Vehicle], today: Date) -> Vec<Draft> {
    let mut story = Story { today, drafts: Vec::new() };
    begin(&mut story);
    collect(&mut story, vehicles);
    build(&mut story);
    keep_up(&mut story, vehicles);
    story.drafts
}

fn begin(story: &mut Story) {
    story.vote(402, "每车出资100元，众筹安装道闸", 81, 4);
    let title = "众筹道闸".to_owned();
    let campaign = Campaign { name: BARRIER.into(), title, goal: Fen::yuan(10_000), share: Fen::yuan(100) };
    story.write(401, TREASURER, What::Campaign(campaign));
}

/// Ninety-three shares in a month, to the steward of the building; every seventh household gives more.
fn collect(story: &mut Story, vehicles: &[Vehicle]) {
    let joined = vehicles.iter().filter(|v| v.dues == Dues::settled());
    for (n, vehicle) in joined.enumerate() {
        let ago = 400 - n as i64 / 3;
        let amount = if n % 7 == 3 { Fen::yuan(200) } else { Fen::yuan(100) };
        give(story, ago, vehicle, amount);
    }
    // One gave twice by mistake and got it back; one entry was for the wrong amount and was put right.
    let twice = give(story, 368, &vehicles[5], Fen::yuan(100));
    let (amount, out_of) = (Fen::yuan(100), cash_of(&vehicles[5]));
    let by = steward_of(&vehicles[5]);
    story.write(367, by, What::Refund { of: twice, amount, out_of, reason: "重复缴费，退回".into() });
    let wrong = give(story, 366, &vehicles[40], Fen::yuan(50));
    let by = steward_of(&vehicles[40]);
    story.write(366, by, What::Correction { of: wrong, reason: "记错了，没有收到这笔".into() });
    for name in STEWARDS {
        story.hand_over(365, name, story.held(name));
    }
    story.bank(364, story.held(TREASURER) - Fen::yuan(500));
}

fn give(story: &mut Story, ago: i64, vehicle: &Vehicle, amount: Fen) -> u64 {
    let (plate, household, into) = (Some(vehicle.plate), vehicle.household.clone(), cash_of(vehicle));
    let what = What::Contribution { campaign: BARRIER.into(), plate, household, amount, into };
    story.write(ago, steward_of(vehicle), what)
}

fn build(story: &mut Story) {
    story.spend(358, Purpose::Barrier, "道闸机一套，含安装", Fen::yuan(5_680), Account::Bank);
    story.spend(352, Purpose::Camera, "摄像头和补光灯", Fen::yuan(1_260), Account::Bank);
    story.spend(351, Purpose::Camera, "控制盒", Fen::yuan(899), Account::Bank);
    story.spend(350, Purpose::Upkeep, "水泥、线管、电缆", Fen::of(18_650), Account::Cash(TREASURER.into()));
    let vote = story.vote(345, "每车每年30元维护费，到期后宽限30天", 68, 12);
    let tariff = Tariff { from: story.day(400), yearly: YEARLY, grace_days: 30, vote: Some(vote) };
    story.write(345, TREASURER, What::Tariff(tariff));
}

/// The doctor's exemption, fees, small costs every month, counts, and what has come in these days.
fn keep_up(story: &mut Story, vehicles: &[Vehicle]) {
    let vote = story.vote(344, "社区医生的车免缴", 74, 3);
    let (who, from) = (Who::Plate(vehicles[DOCTOR].plate), story.day(344));
    let reason = "上门看诊".into();
    story.write(343, TREASURER, What::Exemption(Exemption { who, from, until: None, vote: Some(vote), reason }));
    let joined = vehicles.iter().filter(|v| v.dues == Dues::settled());
    for (n, vehicle) in joined.enumerate() {
        // Most terms run out in the coming months, some in two weeks, a few have just done so.
        let began = match n {
            n if n % 31 == 7 => 385,
            n if n % 9 == 4 => 350,
            n => 320 - 20 * (n as i64 % 5),
        };
        fee(story, 340 - n as i64 / 3, began, vehicle);
    }
    for name in STEWARDS {
        story.hand_over(305, name, story.held(name));
    }
    story.bank(304, story.held(TREASURER) - Fen::yuan(400));
    for month in (1..=9).rev() {
        let cash = || Account::Cash(TREASURER.into());
        story.spend(month * 30 + 3, Purpose::Upkeep, "电费和流量卡", Fen::of(2_680), cash());
        if month % 4 == 0 {
            story.spend(month * 30 + 2, Purpose::Upkeep, "更换杆头反光条", Fen::yuan(35), cash());
        }
        // Once five yuan were missing, and the book says so.
        let short = if month == 5 { Fen::yuan(5) } else { Fen::ZERO };
        let counted = story.held(TREASURER) - short;
        story.write(month * 30, TREASURER, What::Count { held: cash(), counted });
    }
    these_days(story, vehicles);
}

/// Two neighbours without a car give something; the steward offers it to the treasurer, who has yet to confirm.
fn these_days(story: &mut Story, vehicles: &[Vehicle]) {
    let (by, into) = (STEWARDS[0], Account::Cash(STEWARDS[0].into()));
    for (ago, household) in [(6, "1-101"), (4, "1-203")] {
        let (campaign, household, amount) = (BARRIER.into(), household.into(), Fen::yuan(50));
        story.write(ago, by, What::Contribution { campaign, plate: None, household, amount, into: into.clone() });
    }
    // One whose term has just run out pays again.
    if let Some(vehicle) = vehicles.iter().filter(|v| v.dues == Dues::settled()).nth(7) {
        fee(story, 3, 20, vehicle);
    }
    story.write(1, by, What::Offer { from: by.into(), to: TREASURER.into(), amount: Fen::yuan(100) });
}

/// A year's fee, entered so many days ago for a term that began `began` days ago.
fn fee(story: &mut Story, ago: i64, began: i64, vehicle: &Vehicle) {
    let (from, household, into) = (story.day(began), vehicle.household.clone(), cash_of(vehicle));
    let until = paid_term(from, YEARLY, YEARLY).unwrap_or(from);
    let what = What::Fee { plate: vehicle.plate, household, from, until, amount: YEARLY, into };
    story.write(ago, steward_of(vehicle), what);
}

fn steward_of(vehicle: &Vehicle) -> &'static str {
    let building: usize = vehicle.household.split_once('-').and_then(|(b, _)| b.parse().ok()).unwrap_or(1);
    STEWARDS[(building - 1) % STEWARDS.len()]
}

fn cash_of(vehicle: &Vehicle) -> Account {
    Account::Cash(steward_of(vehicle).into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::register::{Register, Standing, demo};
    use crate::store::Store;

    #[test]
    fn the_story_is_as_told() {
        let folder = tempfile::tempdir().unwrap();
        let register = Register::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        demo::load(&register).unwrap();
        let (book, snapshot, today) = (register.ledger().book(), register.snapshot(), crate::register::today());
        assert_eq!(book.raised(BARRIER), Fen::yuan(10_700));
        let count = |standing| snapshot.vehicles().iter().filter(|v| v.standing(today) == standing).count();
        let counted = [Standing::Paid, Standing::Grace, Standing::Exempt, Standing::Unpaid].map(count);
        assert_eq!(counted, [91, 2, 1, 9]);
        assert!(book.balance(&Account::Bank) > Fen::yuan(2_000));
        assert_eq!(book.balance(&Account::Differences), Fen::yuan(5));
        assert_eq!(book.offers().len(), 1);
        let paid = |plate: &str| snapshot.get(&plate.parse().unwrap()).unwrap().standing(today);
        assert_eq!(
            [demo::PAID, demo::PAID_GREEN, demo::UNPAID].map(paid),
            [Standing::Paid, Standing::Paid, Standing::Unpaid]
        );
        // The same again on another day, whatever the day.
        for day in [jiff::civil::date(2028, 2, 29), jiff::civil::date(2027, 1, 1)] {
            let folder = tempfile::tempdir().unwrap();
            let register = Register::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
            register.enter(&story(&demo::compound().1, day)).unwrap();
        }
    }
}
