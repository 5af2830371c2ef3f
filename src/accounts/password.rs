//! Passwords: argon2id with the crate's recommended costs (OWASP's: 19 MiB, two passes).

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

use super::AccountError;

/// The fewest characters of a password (NIST SP 800-63B).
pub const SHORTEST_PASSWORD: usize = 8;
/// The most; more only make the box work.
pub const LONGEST_PASSWORD: usize = 128;

/// A hash for nobody, so that an unknown name takes as long as a known one.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash("", "not anybody's password").unwrap_or_default());

pub(super) fn hash(name: &str, password: &str) -> Result<String, AccountError> {
    let length = password.chars().count();
    if !(SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&length) || password == name {
        return Err(AccountError::Password);
    }
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|_| AccountError::Password)?;
    Ok(hash.to_string())
}

/// Does the password fit? Without a hash to compare with it does the same work and says no.
pub(super) fn verify(password: &str, hash: Option<&str>) -> bool {
    if password.chars().count() > LONGEST_PASSWORD {
        return false;
    }
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(&NOBODY)) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && hash.is_some()
}
