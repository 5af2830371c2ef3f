//! What a page or a program looks for, from the fields of a form that may be left empty.

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, de};

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

/// The number before which a list goes on; one that no list reaches is refused.
pub fn before<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let number = Option::<u64>::deserialize(from)?;
    if number.is_none_or(|n| i64::try_from(n).is_ok()) { Ok(number) } else { Err(de::Error::custom("too large")) }
}

/// How many are wanted: at least one, at most `MOST`.
pub fn count<'de, D: Deserializer<'de>, const MOST: usize>(from: D) -> Result<Option<usize>, D::Error> {
    let count = Option::<usize>::deserialize(from)?;
    if count.is_none_or(|n| (1..=MOST).contains(&n)) {
        Ok(count)
    } else {
        Err(de::Error::custom("too few or too many"))
    }
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

    #[test]
    fn a_list_is_asked_for_in_sensible_pieces() {
        #[derive(Deserialize)]
        struct Window {
            #[serde(default, deserialize_with = "before")]
            before: Option<u64>,
            #[serde(default, deserialize_with = "count::<_, 200>")]
            count: Option<usize>,
        }
        let window = |text: &str| serde_html_form::from_str::<Window>(text).map(|w| (w.before, w.count)).ok();
        assert_eq!(window(""), Some((None, None)));
        assert_eq!(window("before=7&count=200"), Some((Some(7), Some(200))));
        for text in ["count=0", "count=201", "before=9223372036854775808", "before=-1", "count=x"] {
            assert_eq!(window(text), None, "{text}");
        }
    }
}
