//! Why a table or a row of it was not taken: in Chinese for the page, in English for the page and the command line.

use std::fmt;

use crate::text::one_line;

/// A sentence that says what is wrong and what to do, in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

impl Reason {
    /// Of both, each in one line: a cell that is quoted may hold several.
    pub fn new(zh: impl AsRef<str>, en: impl AsRef<str>) -> Reason {
        Reason { zh: one_line(zh.as_ref()), en: one_line(en.as_ref()) }
    }

    /// Several of them in one.
    pub(super) fn all(reasons: &[Reason]) -> Reason {
        let join = |of: fn(&Reason) -> &str, with: &str| reasons.iter().map(of).collect::<Vec<_>>().join(with);
        Reason { zh: join(|r| &r.zh, "；"), en: join(|r| &r.en, "; ") }
    }
}

/// In English, as the command line says it.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.en)
    }
}

impl std::error::Error for Reason {}
