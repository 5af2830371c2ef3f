//! The register as a table: from and to CSV and Excel.
//!
//! Every bad row is reported, with its number and the reason; nothing is changed here, only told.

use std::collections::HashMap;

use jiff::civil::Date;

use super::{Change, Household, Reason, Standing, Vehicle, table};
use crate::ledger::{Dues, Fen};
use crate::plate::Plate;
use crate::text;

/// A row that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {row}: {reason}")]
pub struct RowError {
    /// As a spreadsheet numbers it; the header is row 1.
    pub row: usize,
    /// What is wrong, and what was expected.
    pub reason: Reason,
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Import {
    /// The changes of the good rows.
    pub changes: Vec<Change>,
    /// Cars among them.
    pub vehicles: usize,
    /// What it says about money, a line a car; [`super::opening`] compares it with the book.
    pub told: Vec<Told>,
    /// The bad rows.
    pub errors: Vec<RowError>,
}

/// What a row says about money; `None` where it says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// As a spreadsheet numbers it.
    pub row: usize,
    /// The car.
    pub plate: Plate,
    /// Its household's key.
    pub household: String,
    /// What was put in for it.
    pub paid: Option<Fen>,
    /// Need it not pay?
    pub exempt: Option<bool>,
}

/// A column: its header in an export, and the other names it goes by.
struct Column {
    header: &'static str,
    names: &'static [&'static str],
}

const COLUMNS: [Column; 10] = [
    Column { header: "车牌", names: &["plate", "车牌号", "车牌号码", "号牌"] },
    Column { header: "楼栋", names: &["building", "楼号", "栋", "幢"] },
    Column { header: "房号", names: &["unit", "室", "房间", "单元房号"] },
    Column { header: "户主", names: &["name", "姓名", "联系人"] },
    Column { header: "电话", names: &["phone", "手机", "联系电话"] },
    Column { header: "已缴(元)", names: &["paid_yuan", "paid", "已缴", "已缴（元）", "缴费", "金额"] },
    Column { header: "免缴", names: &["exempt"] },
    Column { header: "停用", names: &["blocked"] },
    Column { header: "宽限至", names: &["grace_until"] },
    Column { header: "备注", names: &["note", "remark"] },
];
const PAID_UNTIL: &str = "缴费至";
const PLATE: usize = 0;
const BUILDING: usize = 1;
const UNIT: usize = 2;
const NAME: usize = 3;
const PHONE: usize = 4;
const PAID: usize = 5;
const EXEMPT: usize = 6;
const BLOCKED: usize = 7;
const GRACE: usize = 8;
const NOTE: usize = 9;

/// Reads a CSV or Excel file. `Err` if it is no table, or if its header lacks a column that is needed.
pub fn import(bytes: &[u8]) -> Result<Import, Reason> {
    let rows = table::read(bytes)?;
    let mut rows = rows.into_iter().filter(|(_, cells)| cells.iter().any(|c| !c.trim().is_empty()));
    let (_, header) = rows.next().ok_or_else(|| Reason::new("这个文件是空的", "the file is empty"))?;
    let places = places(&header)?;
    let mut import = Import::default();
    let mut seen: HashMap<Plate, usize> = HashMap::new();
    for (row, cells) in rows {
        let cell = |column: usize| places[column].and_then(|at| cells.get(at)).map_or("", |c| c.trim());
        match one(&cell) {
            Ok((household, vehicle, paid, exempt)) => match seen.get(&vehicle.plate) {
                Some(first) => {
                    let plate = vehicle.plate;
                    let reason = Reason::new(
                        format!("{plate} 已在第 {first} 行，请删去一行"),
                        format!("{plate} is already in row {first}: take one of them out"),
                    );
                    import.errors.push(RowError { row, reason });
                }
                None => {
                    seen.insert(vehicle.plate, row);
                    import.vehicles += 1;
                    let (plate, household_key) = (vehicle.plate, vehicle.household.clone());
                    import.told.push(Told { row, plate, household: household_key, paid, exempt });
                    import.changes.push(Change::Household(household));
                    import.changes.push(Change::Vehicle(vehicle));
                }
            },
            Err(reasons) => import.errors.push(RowError { row, reason: Reason::all(&reasons) }),
        }
    }
    Ok(import)
}

/// Where each column is; plate, building and unit must be there.
fn places(header: &[String]) -> Result<[Option<usize>; 10], Reason> {
    let mut places = [None; 10];
    for (at, name) in header.iter().enumerate() {
        let name = name.trim().to_lowercase();
        let column = COLUMNS.iter().position(|c| c.header == name || c.names.contains(&name.as_str()));
        let Some(column) = column.filter(|_| !name.is_empty()) else { continue };
        if places[column].replace(at).is_some() {
            let header = COLUMNS[column].header;
            return Err(Reason::new(
                format!("“{header}”这一列出现了两次，请删去一列"),
                format!("the column {header} is there twice: take one out"),
            ));
        }
    }
    for needed in [PLATE, BUILDING, UNIT] {
        if places[needed].is_none() {
            let Column { header, names } = &COLUMNS[needed];
            let names = names.join(", ");
            return Err(Reason::new(
                format!("第一行没有“{header}”这一列（也可写作 {names}）"),
                format!("the first row has no column {header} ({names})"),
            ));
        }
    }
    Ok(places)
}

type Row = (Household, Vehicle, Option<Fen>, Option<bool>);

/// One row, or everything that is wrong with it.
fn one<'a>(cell: &impl Fn(usize) -> &'a str) -> Result<Row, Vec<Reason>> {
    let mut wrong = Vec::new();
    let plate = keep(cell(PLATE).parse::<Plate>().map_err(|e| Reason::new(e.zh(), e.to_string())), &mut wrong);
    let building = keep(building(cell(BUILDING)), &mut wrong);
    let unit = keep(unit(cell(UNIT)), &mut wrong);
    let paid = keep(paid(cell(PAID)), &mut wrong);
    let exempt = keep(yes_or_no(cell(EXEMPT), COLUMNS[EXEMPT].header), &mut wrong);
    let said_exempt = !cell(EXEMPT).is_empty();
    let blocked = keep(yes_or_no(cell(BLOCKED), COLUMNS[BLOCKED].header), &mut wrong);
    let grace = keep(date(cell(GRACE)), &mut wrong);
    let (Some(plate), Some(building), Some(unit), Some(paid), Some(exempt), Some(blocked), Some(grace_until)) =
        (plate, building, unit, paid, exempt, blocked, grace)
    else {
        return Err(wrong);
    };
    let phone = Some(cell(PHONE)).filter(|p| !p.is_empty()).map(str::to_owned);
    let household = Household { building, unit, name: cell(NAME).to_owned(), phone };
    let note = cell(NOTE).to_owned();
    let vehicle = Vehicle { plate, household: household.key(), blocked, grace_until, note, dues: Dues::default() };
    Ok((household, vehicle, paid, Some(exempt).filter(|_| said_exempt)))
}

/// The value, or its error put with the others.
fn keep<T>(result: Result<T, Reason>, wrong: &mut Vec<Reason>) -> Option<T> {
    result.map_err(|reason| wrong.push(reason)).ok()
}

/// `2`, `2号楼`, `2栋`, `２幢`.
fn building(text: &str) -> Result<u16, Reason> {
    let narrow = narrow(text);
    let digits = narrow.trim_end_matches(['号', '楼', '栋', '幢', '座', '#']);
    match digits.trim().parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(Reason::new(
            format!("楼栋“{text}”：应为从 1 开始的数字，如 2"),
            format!("building '{text}': a number from 1 is expected"),
        )),
    }
}

/// A flat, such as `301`, `301室`, `1-301`.
fn unit(text: &str) -> Result<String, Reason> {
    let unit = narrow(text).trim_end_matches(['室', '号']).trim().to_owned();
    let fits = !unit.is_empty() && unit.chars().count() <= 16 && !unit.chars().any(char::is_control);
    let wrong = || {
        let en = format!("unit '{text}': a flat's number is expected, such as 301");
        Reason::new(format!("房号“{text}”：应如 301，不超过 16 个字"), en)
    };
    if fits { Ok(unit) } else { Err(wrong()) }
}

/// An amount, or nothing said.
fn paid(text: &str) -> Result<Option<Fen>, Reason> {
    let wrong = |e: crate::ledger::money::NotMoney| {
        Reason::new(format!("已缴“{text}”：应为金额，如 100 或 99.50"), format!("paid {e}"))
    };
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(wrong) }
}

fn yes_or_no(text: &str, column: &str) -> Result<bool, Reason> {
    match text.to_lowercase().as_str() {
        "" | "否" | "no" | "n" | "0" | "false" => Ok(false),
        "是" | "yes" | "y" | "1" | "true" | "√" | "✓" => Ok(true),
        _ => Err(Reason::new(
            format!("{column}“{text}”：应填 是 或 否"),
            format!("{column} '{text}': 是 or 否 is expected"),
        )),
    }
}

fn date(text: &str) -> Result<Option<Date>, Reason> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || {
        let en = format!("date '{text}': a day such as 2026-12-31 is expected");
        Reason::new(format!("日期“{text}”：应如 2026-12-31"), en)
    };
    let plain = narrow(text).replace(['/', '.', '年', '月'], "-").replace('日', "");
    let parts: Vec<&str> = plain.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return Err(wrong()) };
    let number = |t: &str| t.trim().parse::<i16>().map_err(|_| wrong());
    let narrow8 = |v: i16| i8::try_from(v).map_err(|_| wrong());
    Date::new(number(year)?, narrow8(number(month)?)?, narrow8(number(day)?)?).map(Some).map_err(|_| wrong())
}

/// Full-width digits and signs as ASCII.
fn narrow(text: &str) -> String {
    text.chars().map(text::narrow).collect::<String>().trim().to_owned()
}

/// The register as rows, the header first, in the order of household and plate. The last column, how long the fee is paid,
/// is for people; an import passes over it.
pub fn export(households: &[Household], vehicles: &[Vehicle]) -> Vec<Vec<String>> {
    let by_key: HashMap<String, &Household> = households.iter().map(|h| (h.key(), h)).collect();
    let mut sorted: Vec<(Option<&Household>, &Vehicle)> =
        vehicles.iter().map(|v| (by_key.get(&v.household).copied(), v)).collect();
    sorted.sort_by_key(|(h, v)| (h.map(|h| (h.building, h.unit.clone())), v.plate));
    let today = super::today();
    let said = |b: bool| if b { "是".to_owned() } else { String::new() };
    let row = |(household, v): (Option<&Household>, &Vehicle)| {
        let (building, unit) = v.household.split_once('-').unwrap_or(("", &v.household));
        vec![
            v.plate.to_string(),
            building.to_owned(),
            unit.to_owned(),
            household.map(|h| h.name.clone()).unwrap_or_default(),
            household.and_then(|h| h.phone.clone()).unwrap_or_default(),
            v.dues.paid.to_string(),
            said(v.dues.on(today).standing == Standing::Exempt),
            said(v.blocked),
            v.grace_until.map(|d| d.to_string()).unwrap_or_default(),
            v.note.clone(),
            v.dues.paid_until(today).map(|d| d.to_string()).unwrap_or_default(),
        ]
    };
    let header = COLUMNS.iter().map(|c| c.header).chain([PAID_UNTIL]).map(str::to_owned).collect();
    std::iter::once(header).chain(sorted.into_iter().map(row)).collect()
}

/// The rows as CSV that Excel opens.
pub fn to_csv(rows: &[Vec<String>]) -> Vec<u8> {
    table::write_csv(rows)
}

/// The rows as an Excel workbook.
pub fn to_xlsx(rows: &[Vec<String>]) -> Result<Vec<u8>, String> {
    table::write_xlsx(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_demo_compound_goes_out_and_comes_back() {
        let (households, vehicles) = super::super::demo::compound();
        let rows = export(&households, &vehicles);
        for bytes in [to_csv(&rows), to_xlsx(&rows).unwrap()] {
            let back = import(&bytes).unwrap();
            assert_eq!((back.vehicles, back.errors.len()), (103, 0));
            for vehicle in &vehicles {
                let plain = vehicle.clone().with(Dues::default());
                assert!(back.changes.contains(&Change::Vehicle(plain)));
                let told = back.told.iter().find(|t| t.plate == vehicle.plate).unwrap();
                assert_eq!(told.paid, Some(vehicle.dues.paid));
            }
        }
    }

    #[test]
    fn every_bad_row_is_reported_with_everything_that_is_wrong() {
        let csv =
            "plate,building,unit,paid\n苏F12345,1,301,100\n苏F1234,0,301,100\n苏I12345,1,,1e3\n\n苏f·12345,2,101,\n";
        let import = import(csv.as_bytes()).unwrap();
        assert_eq!(import.vehicles, 1);
        let told: Vec<String> = import.errors.iter().map(ToString::to_string).collect();
        assert!(told[0].starts_with("row 3: ") && told[0].contains("too short") && told[0].contains("building '0'"));
        assert!(told[1].starts_with("row 4: ") && told[1].contains("letter I") && told[1].contains("paid '1e3'"));
        assert!(told[2].starts_with("row 6: ") && told[2].contains("already in row 2"));
        assert_eq!(told.len(), 3);
        let zh: Vec<&str> = import.errors.iter().map(|e| e.reason.zh.as_str()).collect();
        assert!(zh[0].contains("太短") && zh[0].contains("楼栋“0”"), "{zh:?}");
        assert!(zh[1].contains("字母 I") && zh[1].contains("房号“”") && zh[1].contains("已缴“1e3”"), "{zh:?}");
        assert!(zh[2].contains("已在第 2 行"), "{zh:?}");
    }

    #[test]
    fn a_header_without_plates_is_refused() {
        for (file, zh, en) in [
            ("name,building,unit\nx,1,2\n", "没有“车牌”", "no column 车牌"),
            ("", "空的", "empty"),
            ("车牌,plate,楼栋,房号\n", "两次", "twice"),
        ] {
            let reason = super::import(file.as_bytes()).unwrap_err();
            assert!(reason.zh.contains(zh) && reason.en.contains(en), "{reason:?}");
        }
    }

    #[test]
    fn days_are_read_as_people_write_them() {
        for text in ["2026-12-31", "2026/12/31", "2026.12.31", "2026年12月31日"] {
            assert_eq!(date(text), Ok(Some(jiff::civil::date(2026, 12, 31))), "{text}");
        }
        assert!(date("31.12.2026").is_err() && date("2026-02-30").is_err() && date("tomorrow").is_err());
    }

    proptest! {
        #[test]
        fn any_file_is_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = import(&bytes);
        }

        #[test]
        fn any_cells_are_taken_or_reported(a in "\\PC{0,12}", b in "\\PC{0,6}", c in "\\PC{0,6}", d in "\\PC{0,8}") {
            let rows = vec![
                ["plate", "building", "unit", "paid"].map(String::from).to_vec(),
                vec![a, b, c, d],
            ];
            let import = import(&to_csv(&rows)).unwrap();
            prop_assert!(import.vehicles + import.errors.len() <= 1);
        }
    }
}
