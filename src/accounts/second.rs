//! The second factor: six digits from a telephone, by the clock (RFC 6238).

use jiff::Timestamp;
use totp_rs::{Builder, Secret, Totp};

/// A secret on its way to a telephone, or back from the record.
pub struct Enrolment {
    secret: String,
    totp: Totp,
}

impl Enrolment {
    /// A new secret.
    pub fn new(name: &str) -> Enrolment {
        let secret = Secret::generate().to_base32();
        // A secret that was just made is long enough, and names are checked where people are added.
        Enrolment::of(name, &secret).expect("a generated secret makes a second factor")
    }

    /// Of a secret in base 32; `None` if it is none.
    pub fn of(name: &str, secret: &str) -> Option<Enrolment> {
        let parsed = Secret::try_from_base32(secret).ok()?;
        let totp =
            Builder::new().with_secret(parsed).with_account_name(name).with_issuer(Some("plategate")).build().ok()?;
        Some(Enrolment { secret: secret.to_owned(), totp })
    }

    /// The secret in base 32, for typing.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The address that a telephone reads from the square code.
    pub fn url(&self) -> String {
        self.totp.to_url().unwrap_or_default()
    }

    /// The time step that these digits stand for, if they are right now (one step of 30 s either way is allowed).
    pub(super) fn check(&self, digits: &str) -> Option<u64> {
        let digits: String = digits.chars().filter(|c| !c.is_whitespace()).collect();
        let now = u64::try_from(Timestamp::now().as_second()).ok()?;
        self.totp.check(&digits, now)
    }

    /// The digits of this moment.
    #[cfg(test)]
    pub(super) fn now(&self) -> String {
        self.totp.generate(Timestamp::now().as_second() as u64).to_string()
    }
}
