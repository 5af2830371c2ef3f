//! The book's words on the page: refusals in Chinese beside the English of [`crate::ledger::refusal`].

use crate::ledger::words;
use crate::ledger::{Account, Book, BookError, Entry, Purpose, Refusal, What};
use crate::web::visit::{Lang, Visit};

/// What kind of entry, in the visitor's language.
pub fn kind(v: &Visit, what: &What) -> &'static str {
    v.say(words::kind_zh(what), words::kind(what))
}

/// An account, in the visitor's language.
pub fn account(v: &Visit, account: &Account) -> String {
    v.say(&words::account_zh(account), &words::account(account)).to_owned()
}

/// What an entry is about, in the visitor's language.
pub fn about(v: &Visit, book: &Book, entry: &Entry) -> String {
    let account: fn(&Account) -> String = if v.lang == Lang::Zh { words::account_zh } else { words::account };
    words::about(book, entry, account)
}

/// A purpose, in the visitor's language.
pub fn purpose(v: &Visit, purpose: Purpose) -> &'static str {
    v.say(words::purpose_zh(purpose), words::purpose_en(purpose))
}

/// Why nothing was entered, in Chinese and in English.
pub fn book_error(error: &BookError) -> (String, String) {
    let zh = match error {
        BookError::Refused(refusal) => refusal_zh(refusal),
        BookError::Damaged(fault) => {
            format!("账本已损坏（第 {} 笔），不能再记账。请保留数据目录，并用完好的备份恢复", fault.number)
        }
        BookError::Elsewhere { gate } => {
            format!("没有记入：账本在 {gate} 门的主机上，请在那里记账，或先由它移交账本")
        }
        BookError::Store(_) => "没有记入：磁盘写不进去".into(),
        BookError::Unsure { number, .. } => {
            format!("第 {number} 笔可能没有写进磁盘，请先查看账本里有没有，再决定是否重记")
        }
    };
    (zh, error.to_string())
}

fn refusal_zh(refusal: &Refusal) -> String {
    use crate::ledger::Fen;
    match refusal {
        Refusal::Amount => "金额必须大于 0".into(),
        Refusal::Name => "姓名应为 1 到 40 个字".into(),
        Refusal::Text { longest, .. } => format!("文字不能为空，也不能超过 {longest} 个字"),
        Refusal::Household(key) => format!("“{key}”不是房号，应如 2-301"),
        Refusal::Account(_) => "这里不能用这个账户".into(),
        Refusal::Ahead(day) => format!("{day} 还没到：发生之后再记"),
        Refusal::Counted { account, last } => {
            format!("{}已盘点到 {last}：请记在之后的日期，并在备注里说明", words::account_zh(account))
        }
        Refusal::Short { account, has, needed, offered } => {
            let hint = if *offered > Fen::ZERO {
                format!("（其中 {offered} 元正在移交，可先撤回）")
            } else {
                String::new()
            };
            format!("{}只有 {has} 元可用，需要 {needed} 元{hint}", words::account_zh(account))
        }
        Refusal::NoEntry(n) => format!("没有第 {n} 笔"),
        Refusal::Nothing => "它所指的那一笔不在账本里".into(),
        Refusal::Undone { number, by } => format!("第 {number} 笔已由第 {by} 笔更正"),
        Refusal::NotCorrectable(n) => format!("第 {n} 笔不能这样更正：移交请撤回，盘点请重新盘点，规则请重新登记"),
        Refusal::Refunded(n) => format!("第 {n} 笔有过退款：请先更正那笔退款"),
        Refusal::NotRefundable(n) => format!("第 {n} 笔不是收款，不能退款"),
        Refusal::Left { of, left } => format!("第 {of} 笔最多还能退 {left} 元"),
        Refusal::NoCampaign(_) => "没有这个众筹项目".into(),
        Refusal::NoTariff(day) => format!("{day} 没有年费标准：请先在规则里登记"),
        Refusal::Term => "期限不对：结束早于开始，或太长".into(),
        Refusal::TooLong { longest } => format!("这笔钱最多缴到 {longest}"),
        Refusal::Overlap { until } => format!("这段时间已经缴过：已缴至 {until}"),
        Refusal::Vote => "票数不对：表决已举行，有人投票，且不多于总户数".into(),
        Refusal::NotCarried(n) => format!("第 {n} 笔不是已通过的表决"),
        Refusal::NotYours { who } => format!("只有{who}可以这样做"),
        Refusal::Itself => "不能移交给自己".into(),
        Refusal::NoOffer(n) => format!("第 {n} 笔移交已确认或已撤回"),
        Refusal::NewPlate => "账本里没有旧车牌的记录，或新旧车牌相同".into(),
    }
}
