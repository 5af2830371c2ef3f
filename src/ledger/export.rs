//! The book in a file: lines of JSON that prove themselves, or a workbook for people.
//!
//! Each line of the first is one entry with its hash, in canonical bytes; it is checked like the book itself.

use rust_xlsxwriter::{Format, FormatAlign, FormatBorder, Workbook, Worksheet, XlsxError};

use super::book::Book;
use super::hash::canonical;
use super::money::Fen;
use super::statement::{Line, Statement};
use super::verify::{self, Fault, Record};
use super::words;

/// The book as lines of JSON.
pub fn lines(book: &Book) -> Vec<u8> {
    let mut out = Vec::new();
    for sealed in book.entries() {
        out.extend(canonical(&serde_json::to_value(&**sealed).expect("an entry is plain data")));
        out.push(b'\n');
    }
    out
}

/// Reads and checks such lines.
pub fn read_lines(bytes: &[u8]) -> (Book, Option<Fault>) {
    let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.iter().all(u8::is_ascii_whitespace));
    let record = |(n, line): (usize, &[u8])| {
        let record = serde_json::from_slice::<Record>(line).map_err(|_| "it is no line of a book");
        // The number is the entry's own where it can be read, so that a missing line is called missing.
        let own = record.as_ref().ok().and_then(|r| r.entry.get("number")?.as_u64());
        (own.unwrap_or(n as u64 + 1), record)
    };
    verify::read(lines.enumerate().map(record), None)
}

/// The whole book as rows of text, the header first: for CSV and for people.
pub fn rows(book: &Book) -> Vec<Vec<String>> {
    let header = ["编号", "日期", "记账时间", "记账人", "类别", "内容", "金额(元)", "分录", "备注", "更正于", "哈希"];
    let row = |sealed: &std::sync::Arc<super::Sealed>| {
        let entry = &sealed.entry;
        let postings: Vec<String> = entry.postings.iter().map(|p| format!("{} {}", p.account, p.fen)).collect();
        vec![
            entry.number.to_string(),
            entry.day.to_string(),
            entry.at.to_string(),
            entry.by.clone(),
            words::kind_zh(&entry.what).to_owned(),
            words::about(book, entry, words::account_zh),
            entry.amount().to_string(),
            postings.join("; "),
            entry.note.clone(),
            book.undone_by(entry.number).map(|n| format!("#{n}")).unwrap_or_default(),
            sealed.hash.to_string(),
        ]
    };
    std::iter::once(header.map(str::to_owned).to_vec()).chain(book.entries().iter().map(row)).collect()
}

/// A statement as an Excel workbook: a sheet with the sums, a sheet with each entry.
pub fn statement_xlsx(statement: &Statement) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    sums(workbook.add_worksheet(), statement)?;
    entries(workbook.add_worksheet(), statement)?;
    workbook.save_to_buffer()
}

/// How cells look.
struct Looks {
    title: Format,
    head: Format,
    money: Format,
    total: Format,
    total_money: Format,
}

impl Looks {
    fn new() -> Looks {
        let money = Format::new().set_num_format("#,##0.00;[Red]-#,##0.00").set_align(FormatAlign::Right);
        let total = Format::new().set_bold().set_border_top(FormatBorder::Thin);
        Looks {
            title: Format::new().set_bold().set_font_size(16),
            head: Format::new().set_bold().set_background_color("#EDEDED").set_border_bottom(FormatBorder::Thin),
            total_money: money.clone().set_bold().set_border_top(FormatBorder::Thin),
            money,
            total,
        }
    }
}

/// Excel counts in floating point; whole fen below 2^53 come out exact to the fen.
fn yuan(fen: Fen) -> f64 {
    fen.fen() as f64 / 100.0
}

fn sums(sheet: &mut Worksheet, s: &Statement) -> Result<(), XlsxError> {
    let looks = Looks::new();
    sheet.set_name("汇总 Summary")?;
    sheet.set_column_width(0, 34)?;
    for column in 1..=4 {
        sheet.set_column_width(column, 16)?;
    }
    sheet.write_string_with_format(0, 0, format!("阳光账本 {}", s.period), &looks.title)?;
    sheet.write_string(1, 0, format!("{} – {}", s.period.from, s.period.until))?;
    let mut at = 3;
    header(sheet, at, &["资金 Money", "期初 Before", "收入 In", "付出 Out", "期末 After"], &looks)?;
    for place in &s.places {
        at += 1;
        sheet.write_string(at, 0, words::account_zh(&place.account))?;
        for (column, fen) in [place.before, place.received, place.given, place.after].into_iter().enumerate() {
            sheet.write_number_with_format(at, column as u16 + 1, yuan(fen), &looks.money)?;
        }
    }
    at += 1;
    sheet.write_string_with_format(at, 0, "合计 Total", &looks.total)?;
    for (column, fen) in [(1, s.before()), (4, s.after())] {
        sheet.write_number_with_format(at, column, yuan(fen), &looks.total_money)?;
    }
    at += 2;
    at = block(sheet, at, "收入 Income", &s.income, s.income(), &looks)?;
    at = block(sheet, at, "支出 Spending", &s.spent, s.spent(), &looks)?;
    header(sheet, at, &["其他 Other", "元 Yuan"], &looks)?;
    for (name, fen) in [
        ("退款 Refunds", s.refunds),
        ("盘点短缺 Missing at counts", s.differences),
        ("建账前 Before the book", s.opening),
    ] {
        at += 1;
        sheet.write_string(at, 0, name)?;
        sheet.write_number_with_format(at, 1, yuan(fen), &looks.money)?;
    }
    let (number, hash) = s.head;
    sheet.write_string(at + 2, 0, format!("账本至第 {number} 笔，哈希 {hash}"))?;
    sheet.set_landscape().set_paper_size(9).set_print_fit_to_pages(1, 0);
    Ok(())
}

fn header(sheet: &mut Worksheet, row: u32, names: &[&str], looks: &Looks) -> Result<(), XlsxError> {
    for (column, name) in names.iter().enumerate() {
        sheet.write_string_with_format(row, column as u16, *name, &looks.head)?;
    }
    Ok(())
}

/// A heading, its lines and their sum; gives the next free row.
fn block(
    sheet: &mut Worksheet,
    at: u32,
    name: &str,
    lines: &[Line],
    sum: Fen,
    looks: &Looks,
) -> Result<u32, XlsxError> {
    header(sheet, at, &[name, "元 Yuan"], looks)?;
    let mut at = at;
    for line in lines {
        at += 1;
        sheet.write_string(at, 0, words::account_zh(&line.account))?;
        sheet.write_number_with_format(at, 1, yuan(line.amount), &looks.money)?;
    }
    at += 1;
    sheet.write_string_with_format(at, 0, "合计 Total", &looks.total)?;
    sheet.write_number_with_format(at, 1, yuan(sum), &looks.total_money)?;
    Ok(at + 2)
}

fn entries(sheet: &mut Worksheet, s: &Statement) -> Result<(), XlsxError> {
    let looks = Looks::new();
    sheet.set_name("明细 Entries")?;
    for (column, width) in [(0, 8), (1, 12), (2, 16), (3, 48), (4, 14), (5, 28), (6, 12), (7, 10)] {
        sheet.set_column_width(column, width)?;
    }
    header(sheet, 0, &["编号", "日期", "类别", "内容", "收支(元)", "账户", "记账人", "更正于"], &looks)?;
    for (n, row) in s.rows.iter().enumerate() {
        let at = n as u32 + 1;
        let places: Vec<String> = row.places.iter().map(words::account_zh).collect();
        sheet.write_number(at, 0, row.number as f64)?;
        for (column, text) in [
            (1, row.day.to_string()),
            (2, row.kind.to_owned()),
            (3, row.about.clone()),
            (5, places.join("、")),
            (6, row.by.clone()),
        ] {
            sheet.write_string(at, column, text)?;
        }
        sheet.write_number_with_format(at, 4, yuan(row.amount), &looks.money)?;
        if let Some(by) = row.undone_by {
            sheet.write_string(at, 7, format!("#{by}"))?;
        }
    }
    sheet.set_freeze_panes(1, 0)?;
    sheet.set_landscape().set_paper_size(9).set_print_fit_to_pages(1, 0);
    Ok(())
}
