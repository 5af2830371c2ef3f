//! What a page or a program looks for, from the fields of a form that may be left empty.

use jiff::civil::Date;

use super::refusal::Refusal;

/// What was written into a field; none where it was left empty.
pub fn given(field: &Option<String>) -> Option<&str> {
    field.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

/// The day in a field.
pub fn day(field: &Option<String>) -> Result<Option<Date>, Refusal> {
    let day = given(field).map(str::parse).transpose();
    day.map_err(|_| Refusal::bad("日期应如 2026-11-25", "day: a day such as 2026-11-25 is expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_field_asks_for_nothing_and_a_wrong_day_is_refused() {
        let field = |text: &str| Some(text.to_owned());
        assert_eq!((given(&None), given(&field("  ")), given(&field(" a "))), (None, None, Some("a")));
        assert!(day(&field("")).unwrap().is_none() && day(&field("2026-11-25")).unwrap().is_some());
        assert!(day(&field("25.11.2026")).is_err());
    }
}
