//! Entries and accounts in words, Chinese and English, for statements, pages and the command line.

use super::account::{Account, Purpose};
use super::book::Book;
use super::entry::{Entry, What, Who};

/// What kind of entry, in Chinese.
pub fn kind_zh(what: &What) -> &'static str {
    match what {
        What::Campaign(_) => "众筹项目",
        What::Tariff(_) => "年费标准",
        What::Vote(_) => "投票",
        What::Exemption(_) => "免缴",
        What::Opening { .. } => "建账前",
        What::Contribution { .. } => "众筹款",
        What::Fee { .. } => "停车年费",
        What::Spending { .. } => "支出",
        What::Refund { .. } => "退款",
        What::Transfer { to: Account::Bank, .. } => "存入银行",
        What::Transfer { .. } => "从银行取出",
        What::Offer { .. } => "移交（待确认）",
        What::Confirm { .. } => "移交（已确认）",
        What::Withdrawal { .. } => "移交撤回",
        What::Count { .. } => "盘点",
        What::Correction { .. } => "更正",
        What::NewPlate { .. } => "换车牌",
    }
}

/// What kind of entry, in English.
pub fn kind(what: &What) -> &'static str {
    match what {
        What::Campaign(_) => "campaign",
        What::Tariff(_) => "yearly fee set",
        What::Vote(_) => "vote",
        What::Exemption(_) => "exemption",
        What::Opening { .. } => "from before the book",
        What::Contribution { .. } => "contribution",
        What::Fee { .. } => "parking fee",
        What::Spending { .. } => "spending",
        What::Refund { .. } => "refund",
        What::Transfer { to: Account::Bank, .. } => "to the bank",
        What::Transfer { .. } => "from the bank",
        What::Offer { .. } => "cash offered",
        What::Confirm { .. } => "cash handed over",
        What::Withdrawal { .. } => "offer withdrawn",
        What::Count { .. } => "count",
        What::Correction { .. } => "correction",
        What::NewPlate { .. } => "new plate",
    }
}

/// An account, in Chinese.
pub fn account_zh(account: &Account) -> String {
    match account {
        Account::Bank => "银行账户".into(),
        Account::Cash(name) => format!("{name} 手中现金"),
        Account::Campaign(name) if name == "barrier" => "众筹款".into(),
        Account::Campaign(name) => format!("众筹款 {name}"),
        Account::Fees => "停车年费".into(),
        Account::Spent(purpose) => purpose_zh(*purpose).into(),
        Account::Refunds => "退款".into(),
        Account::Differences => "盘点差额".into(),
        Account::Opening => "建账前".into(),
    }
}

/// An account, in English.
pub fn account(account: &Account) -> String {
    match account {
        Account::Bank => "bank".into(),
        Account::Cash(name) => format!("cash with {name}"),
        Account::Campaign(name) => format!("contributions ({name})"),
        Account::Fees => "parking fees".into(),
        Account::Spent(purpose) => purpose_en(*purpose).into(),
        Account::Refunds => "refunds".into(),
        Account::Differences => "differences of counts".into(),
        Account::Opening => "before the book".into(),
    }
}

/// A purpose, in Chinese.
pub fn purpose_zh(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Barrier => "道闸",
        Purpose::Camera => "摄像头和控制盒",
        Purpose::Upkeep => "维护",
        Purpose::Other => "其他",
    }
}

/// A purpose, in English.
pub fn purpose_en(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Barrier => "barrier",
        Purpose::Camera => "camera and box",
        Purpose::Upkeep => "upkeep",
        Purpose::Other => "other",
    }
}

/// What an entry is about, for those who keep the book: plates, households and names are in it. `account` names accounts in
/// the reader's language: [`account_zh`] or [`account`](fn@account).
pub fn about(book: &Book, entry: &Entry, account: fn(&Account) -> String) -> String {
    let of = |number: &u64| {
        let told = book.entry(*number).map(|e| format!(" {}", about(book, &e.entry, account))).unwrap_or_default();
        format!("#{number}{told}")
    };
    let car = |plate: &Option<crate::plate::Plate>, household: &str| match plate {
        Some(plate) => format!("{household} {plate}"),
        None => household.to_owned(),
    };
    match &entry.what {
        What::Campaign(c) => c.title.clone(),
        What::Tariff(t) => format!("{} / {}", t.yearly, t.from),
        What::Vote(v) => format!("{} ({}:{} / {})", v.question, v.yes, v.no, v.of),
        What::Exemption(e) => match &e.who {
            Who::Plate(plate) => format!("{plate} {}", e.reason),
            Who::Household(household) => format!("{household} {}", e.reason),
        },
        What::Opening { account: at, plate, household, .. } => match household {
            Some(household) => car(plate, household),
            None => account(at),
        },
        What::Contribution { plate, household, .. } => car(plate, household),
        What::Fee { plate, household, from, until, .. } => format!("{household} {plate} {from}..{until}"),
        What::Spending { title, payee, .. } if payee.is_empty() => title.clone(),
        What::Spending { title, payee, .. } => format!("{title} ({payee})"),
        What::Refund { of: n, reason, .. } | What::Correction { of: n, reason } => format!("{} {reason}", of(n)),
        What::Transfer { from, to, .. } => format!("{} → {}", account(from), account(to)),
        What::Offer { from, to, amount } => format!("{from} → {to} {amount}"),
        What::Confirm { offer } | What::Withdrawal { offer } => of(offer),
        What::Count { held, counted } => format!("{} {counted}", account(held)),
        What::NewPlate { old, new } => format!("{old} → {new}"),
    }
}
