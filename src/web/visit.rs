//! One request's visitor: who they are, their language, where from; and who may use a handler.
//!
//! A page can only be rendered with a [`Visit`], and a handler gets one by saying who may: [`Signed<Reader>`],
//! [`Signed<Steward>`], … or [`Guest`] for the few pages without sign-in.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Site;
use super::refusal::Refusal;
use crate::accounts::{Role, User};

/// The page's languages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// Chinese, the default.
    #[default]
    Zh,
    /// English.
    En,
}

impl Lang {
    /// `zh` or `en`.
    pub fn code(self) -> &'static str {
        match self {
            Lang::Zh => "zh",
            Lang::En => "en",
        }
    }

    /// Of its code.
    pub fn of(code: &str) -> Option<Lang> {
        [Lang::Zh, Lang::En].into_iter().find(|l| l.code() == code)
    }
}

/// Who is asking.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The person; none before sign-in.
    pub who: Option<User>,
    /// In what language.
    pub lang: Lang,
    /// The token that every form of this session carries; empty for programs and before sign-in.
    pub csrf: String,
    /// A program with a token, not a person with a session.
    pub is_program: bool,
    /// From where.
    pub from: IpAddr,
    /// How the browser calls the box, such as `https://gate.local:8460`: for addresses that are sent to others.
    pub base: String,
    /// The path asked for.
    pub path: String,
    /// What to say once, after something was done.
    pub notice: Option<String>,
}

impl Visit {
    /// A text of the page in the visitor's language; its Chinese form is the key.
    pub fn t(&self, zh: &str) -> String {
        rust_i18n::t!(zh, locale = self.lang.code()).into_owned()
    }

    /// The same with `{}` replaced by the values, one after another.
    pub fn f(&self, zh: &str, values: &[&dyn std::fmt::Display]) -> String {
        let text = self.t(zh);
        let mut out = String::with_capacity(text.len() + 16);
        let mut values = values.iter();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("{}") {
            out.push_str(before);
            out.push_str(&values.next().map(ToString::to_string).unwrap_or_default());
            rest = after;
        }
        out + rest
    }

    /// The same with one value; for templates.
    pub fn f1(&self, zh: &str, value: impl std::fmt::Display) -> String {
        self.f(zh, &[&value])
    }

    /// The same with two values; for templates.
    pub fn f2(&self, zh: &str, first: impl std::fmt::Display, second: impl std::fmt::Display) -> String {
        self.f(zh, &[&first, &second])
    }

    /// One of two texts.
    pub fn say<'a>(&self, zh: &'a str, en: &'a str) -> &'a str {
        match self.lang {
            Lang::Zh => zh,
            Lang::En => en,
        }
    }

    /// The visitor's name, `-` before sign-in.
    pub fn name(&self) -> &str {
        self.who.as_ref().map_or("-", |u| &u.name)
    }

    /// Has one of the rights?
    pub fn may<R: Right>(&self) -> bool {
        self.who.as_ref().is_some_and(|u| u.is_any(R::ROLES))
    }

    /// Where they begin.
    pub fn home(&self) -> &'static str {
        if self.household().is_some() { "/home" } else { "/" }
    }

    /// A resident's household; none for everybody else.
    pub fn household(&self) -> Option<&str> {
        self.who.as_ref().filter(|u| u.is_resident()).map(|u| u.household.as_deref().unwrap_or_default())
    }

    /// One of those who run the gate; for templates.
    pub fn is_staff(&self) -> bool {
        self.may::<Reader>()
    }

    /// May change the register and open by hand; for templates.
    pub fn is_steward(&self) -> bool {
        self.may::<Steward>()
    }

    /// May change the box's settings; for templates.
    pub fn is_maintainer(&self) -> bool {
        self.may::<Maintainer>()
    }

    /// May read the audit log; for templates.
    pub fn is_inspector(&self) -> bool {
        self.may::<Inspector>()
    }

    /// May take money; for templates.
    pub fn is_cashier(&self) -> bool {
        self.may::<Cashier>()
    }

    /// Is the page under this address the one that is shown?
    pub fn is_at(&self, area: &str) -> bool {
        // A household's page belongs to the cars.
        let area = if area == "/cars" && self.path.starts_with("/households") { "/households" } else { area };
        self.path == area || (area != "/" && self.path.strip_prefix(area).is_some_and(|rest| rest.starts_with('/')))
    }

    /// A moment, as a clock on the wall shows it.
    pub fn time(&self, at: &Timestamp) -> String {
        at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// A moment without year and seconds.
    pub fn short_time(&self, at: &Timestamp) -> String {
        at.to_zoned(TimeZone::system()).strftime("%m-%d %H:%M").to_string()
    }
}

/// A right: the roles that have it.
pub trait Right: Send + Sync + 'static {
    /// The roles.
    const ROLES: &'static [Role];
}

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident: $($role:ident)+;)*) => {
        $($(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Right for $name {
            const ROLES: &'static [Role] = &[$(Role::$role),+];
        })*
    };
}

rights! {
    /// Everybody who may sign in: their own account.
    Anyone: Steward Treasurer Auditor Maintainer Resident;
    /// Residents, for their own household.
    Resident: Resident;
    /// Everybody who runs the gate: looking.
    Reader: Steward Treasurer Auditor Maintainer;
    /// Everybody but auditors: changing what is their own.
    Worker: Steward Treasurer Maintainer;
    /// Changing the register, giving passes, opening by hand.
    Steward: Steward;
    /// Taking money.
    Cashier: Steward Treasurer;
    /// Keeping the book.
    Treasurer: Treasurer;
    /// People, tokens, the lane, backups.
    Maintainer: Maintainer;
    /// Reading what was done, and by whom.
    Inspector: Auditor Maintainer Treasurer;
}

/// A visitor who signed in and has the right `R`.
#[derive(Clone, Debug)]
pub struct Signed<R: Right> {
    visit: Arc<Visit>,
    right: PhantomData<R>,
}

impl<R: Right> Deref for Signed<R> {
    type Target = Visit;

    fn deref(&self) -> &Visit {
        &self.visit
    }
}

impl<R: Right> FromRequestParts<Arc<Site>> for Signed<R> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Site>) -> Result<Self, Refusal> {
        let visit = parts.extensions.get::<Arc<Visit>>().ok_or(Refusal::SignIn)?.clone();
        match &visit.who {
            None => Err(Refusal::SignIn),
            Some(user) if user.is_any(R::ROLES) => Ok(Signed { visit, right: PhantomData }),
            Some(_) => Err(Refusal::Forbidden),
        }
    }
}

/// Anybody at all.
#[derive(Clone, Debug)]
pub struct Guest(Arc<Visit>);

impl Deref for Guest {
    type Target = Visit;

    fn deref(&self) -> &Visit {
        &self.0
    }
}

impl FromRequestParts<Arc<Site>> for Guest {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Site>) -> Result<Self, Refusal> {
        parts.extensions.get::<Arc<Visit>>().cloned().map(Guest).ok_or(Refusal::Forbidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(lang: Lang) -> Visit {
        let from = IpAddr::from([127, 0, 0, 1]);
        let (csrf, base, path) = (String::new(), String::new(), "/cars/new".into());
        Visit { who: None, lang, csrf, is_program: false, from, base, path, notice: None }
    }

    #[test]
    fn a_text_is_said_in_the_visitor_s_language_with_its_values() {
        assert_eq!(visit(Lang::Zh).f2("第 {} / {} 页", 2, 7), "第 2 / 7 页");
        assert_eq!(visit(Lang::En).f2("第 {} / {} 页", 2, 7), "Page 2 of 7");
        assert_eq!(visit(Lang::En).t("没有这样的文字"), "没有这样的文字");
        // A value that looks like a place for another one is left alone.
        assert_eq!(visit(Lang::En).f2("{}，删除 {} 条", "{}", 3), "{}, 3 deleted");
        assert!(visit(Lang::Zh).is_at("/cars") && !visit(Lang::Zh).is_at("/") && !visit(Lang::Zh).is_at("/car"));
    }

    #[test]
    fn every_text_of_the_templates_has_its_english() {
        let english: Vec<String> = walk("locales").iter().map(|(_, text)| text.clone()).collect();
        let has = |key: &str| english.iter().any(|file| file.contains(&format!("\"{key}\" = ")));
        let mut asked = 0;
        for (path, text) in walk("templates/web").into_iter().chain(walk("src/web")) {
            for call in ["v.t(\"", "v.f1(\"", "v.f2(\"", "v.f(\""] {
                for key in text.split(call).skip(1).filter_map(|rest| rest.split('"').next()) {
                    asked += 1;
                    assert!(has(key), "{path}: {key} is not in locales");
                }
            }
        }
        assert!(asked > 200, "{asked}");
    }

    fn walk(folder: &str) -> Vec<(String, String)> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut out = Vec::new();
        for entry in std::fs::read_dir(root).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let inner = format!("{folder}/{name}");
            if entry.path().is_dir() {
                out.extend(walk(&inner));
            } else if [".html", ".rs", ".toml"].iter().any(|e| name.ends_with(e)) && name != "visit.rs" {
                out.push((inner, std::fs::read_to_string(entry.path()).unwrap()));
            }
        }
        out
    }
}
