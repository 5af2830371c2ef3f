//! Secrets made by chance: long ones for programs, short ones for people to type.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

/// 256 bits that fit into an address or a header.
pub fn secret() -> String {
    let mut bytes = [0u8; 32];
    // Without randomness from the system nothing here is safe: better to stop.
    OsRng.try_fill_bytes(&mut bytes).expect("the system gives random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Letters and digits that are not taken for one another.
const CLEAR: &[u8] = b"23456789abcdefghjkmnpqrstuvwxyz";

/// Four groups of four for typing, such as `k3fp-9xwz-…`: about 79 bits.
pub fn for_people() -> String {
    let mut rng = OsRng.unwrap_err();
    let group = |rng: &mut rand::rand_core::UnwrapErr<OsRng>| -> String {
        (0..4).map(|_| CLEAR[rng.random_range(0..CLEAR.len())] as char).collect()
    };
    (0..4).map(|_| group(&mut rng)).collect::<Vec<_>>().join("-")
}

/// Six digits.
pub fn six_digits() -> String {
    format!("{:06}", OsRng.unwrap_err().random_range(0..1_000_000))
}

/// Under what a secret is kept: its SHA-256, in hexadecimal. Enough for a secret that nobody can guess.
pub fn fingerprint(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// Are they the same? Takes the same time wherever they differ.
pub fn same(a: &str, b: &str) -> bool {
    Sha256::digest(a.as_bytes()) == Sha256::digest(b.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_never_the_same() {
        let (a, b) = (secret(), secret());
        assert!(a != b && a.len() == 43);
        let (a, b) = (for_people(), for_people());
        assert!(a != b && a.len() == 19 && a.split('-').all(|g| g.len() == 4), "{a}");
        assert!(six_digits().len() == 6 && six_digits().chars().all(|c| c.is_ascii_digit()));
        assert!(same("a", "a") && !same("a", "b"));
    }
}
