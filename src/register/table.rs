//! Tables as stewards have them: CSV in whatever encoding and separator Excel wrote, and XLSX.
//!
//! In: the bytes of a file. Out: rows of text, each with the number that Excel shows for it.

use std::io::Cursor;

use calamine::{Data, Reader};

use super::Reason;

/// A row's number in the file (the header is row 1) and its cells.
pub(super) type Row = (usize, Vec<String>);

/// More rows than this are no register.
const MOST_ROWS: usize = 100_000;

/// Reads the bytes of a CSV or XLSX file; which of them is told by the content.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Row>, Reason> {
    let rows = if bytes.starts_with(b"PK\x03\x04") { read_xlsx(bytes)? } else { read_csv(bytes)? };
    let too_many =
        || Reason::new(format!("超过 {MOST_ROWS} 行，请分成几个文件"), format!("more than {MOST_ROWS} rows: split it"));
    if rows.len() > MOST_ROWS { Err(too_many()) } else { Ok(rows) }
}

fn read_xlsx(bytes: &[u8]) -> Result<Vec<Row>, Reason> {
    // The archive is a stranger's: a reader that panics on it must not take us along.
    let broken = |why: &dyn std::fmt::Display| {
        Reason::new(
            "不是能读的 Excel 文件，请另存为 .xlsx 或 CSV",
            format!("not an Excel file that can be read: {why}"),
        )
    };
    let read = || -> Result<Vec<Row>, Reason> {
        let mut book = calamine::Xlsx::new(Cursor::new(bytes)).map_err(|e| broken(&e))?;
        let range = book.worksheet_range_at(0).ok_or_else(|| broken(&"it has no sheet"))?.map_err(|e| broken(&e))?;
        let first = range.start().map_or(0, |(row, _)| row as usize);
        let rows = range.rows().enumerate().take(MOST_ROWS + 1);
        Ok(rows.map(|(n, cells)| (first + n + 1, cells.iter().map(cell).collect())).collect())
    };
    std::panic::catch_unwind(read).unwrap_or_else(|_| Err(broken(&"its content makes no sense")))
}

fn cell(data: &Data) -> String {
    match data {
        // Excel keeps 100 as 100.0.
        Data::Float(v) if v.fract() == 0.0 && v.abs() < 1e15 => format!("{v:.0}"),
        Data::DateTime(at) => {
            let (year, month, day, ..) = at.to_ymd_hms_milli();
            format!("{year:04}-{month:02}-{day:02}")
        }
        Data::Empty | Data::Error(_) => String::new(),
        other => other.to_string(),
    }
}

fn read_csv(bytes: &[u8]) -> Result<Vec<Row>, Reason> {
    let text = decode(bytes)?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator(&text))
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let (mut counted, mut line) = (0, 1);
    for record in reader.records() {
        let record =
            record.map_err(|e| Reason::new("不是能读的 CSV 文件", format!("not a CSV file that can be read: {e}")))?;
        // The reader gives where it began to look; the record begins after the empty lines that it passed over.
        let from = record.position().map_or(0, |p| p.byte() as usize);
        let empty = text.as_bytes()[from..].iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        line += text.as_bytes()[counted..from + empty].iter().filter(|b| **b == b'\n').count();
        counted = from + empty;
        rows.push((line, record.iter().map(undefuse).collect()));
        if rows.len() > MOST_ROWS {
            break;
        }
    }
    Ok(rows)
}

/// UTF-8 with or without a byte order mark, UTF-16 with one, otherwise GB 18030 (which contains GBK and GB 2312).
fn decode(bytes: &[u8]) -> Result<String, Reason> {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
        return Ok(encoding.decode_without_bom_handling(&bytes[mark..]).0.into_owned());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.to_owned());
    }
    let (text, broken) = encoding_rs::GB18030.decode_without_bom_handling(bytes);
    if broken || text.contains('\0') {
        return Err(Reason::new(
            "不是文本表格，请另存为 CSV 或 Excel 工作簿（.xlsx）",
            "neither UTF-8 nor GBK text: save it as CSV or as Excel workbook (.xlsx)",
        ));
    }
    Ok(text.into_owned())
}

/// The separator that the first line has most of.
fn separator(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    let count = |c: u8| first.bytes().filter(|b| *b == c).count();
    [b',', b';', b'\t'].into_iter().max_by_key(|c| (count(*c), *c == b',')).unwrap_or(b',')
}

/// Writes CSV with a byte order mark, so that Excel takes it for UTF-8, and formulas made harmless.
pub(super) fn write_csv(rows: &[Vec<String>]) -> Vec<u8> {
    let mut out = "\u{feff}".as_bytes().to_vec();
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(&mut out);
    for row in rows {
        // Writing into memory does not fail.
        let _ = writer.write_record(row.iter().map(|cell| defuse(cell)));
    }
    let _ = writer.flush();
    drop(writer);
    out
}

/// Writes an Excel workbook; its cells are text, which Excel never runs.
pub(super) fn write_xlsx(rows: &[Vec<String>]) -> Result<Vec<u8>, String> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (y, row) in rows.iter().enumerate() {
        for (x, cell) in row.iter().enumerate() {
            sheet.write_string(y as u32, x as u16, cell).map_err(|e| e.to_string())?;
        }
    }
    book.save_to_buffer().map_err(|e| e.to_string())
}

/// A cell that Excel would run as a formula is given a leading apostrophe (OWASP, CSV Injection).
fn defuse(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\'']) { format!("'{cell}") } else { cell.to_owned() }
}

fn undefuse(cell: &str) -> String {
    cell.strip_prefix('\'').unwrap_or(cell).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table() -> Vec<Vec<String>> {
        [["车牌", "备注"], ["苏F12345", "=1+1"], ["苏FD12345", "a,\"b\"\nc"]]
            .map(|r| r.map(String::from).to_vec())
            .to_vec()
    }

    fn cells(bytes: &[u8]) -> Vec<Vec<String>> {
        read(bytes).unwrap().into_iter().map(|(_, cells)| cells).collect()
    }

    #[test]
    fn csv_and_excel_come_back_as_they_were() {
        assert_eq!(cells(&write_csv(&table())), table());
        assert_eq!(cells(&write_xlsx(&table()).unwrap()), table());
        let text = String::from_utf8(write_csv(&table())).unwrap();
        assert!(text.starts_with('\u{feff}') && text.contains("'=1+1"));
    }

    #[test]
    fn every_encoding_and_separator_that_excel_writes_is_read() {
        let want = vec![vec!["车牌".to_owned(), "户主".to_owned()], vec!["苏F12345".to_owned(), "王伟".to_owned()]];
        for separator in [",", ";", "\t"] {
            let text = format!("车牌{separator}户主\r\n苏F12345{separator}王伟\r\n");
            let gbk = encoding_rs::GBK.encode(&text).0.into_owned();
            let utf16: Vec<u8> =
                [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
            for bytes in [text.clone().into_bytes(), format!("\u{feff}{text}").into_bytes(), gbk, utf16] {
                assert_eq!(cells(&bytes), want);
            }
        }
    }

    #[test]
    fn rows_have_the_numbers_that_a_spreadsheet_shows() {
        let rows = read("a,b\n\"x\ny\",1\nz,2\n".as_bytes()).unwrap();
        assert_eq!(rows.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 4]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_damaged_workbook_is_read_or_refused(at in 0usize..10_000, value: u8, cut in 0usize..10_000) {
            let mut bytes = write_xlsx(&table()).unwrap();
            let n = bytes.len();
            bytes[at % n] = value;
            bytes.truncate(4 + cut % n);
            let _ = read(&bytes);
        }

        #[test]
        fn any_table_round_trips_through_csv(cells_in in proptest::collection::vec("[^\r\0\u{feff}]{1,8}", 1..12)) {
            let mut table = vec![vec!["plate".to_owned(), "note".to_owned()]];
            table.extend(cells_in.iter().map(|c| vec!["x".to_owned(), c.clone()]));
            prop_assert_eq!(cells(&write_csv(&table)), table);
        }
    }
}
