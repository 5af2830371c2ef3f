//! Secrets that lie in files or in the environment: read when they are needed, never shown, never logged.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A secret is at least so long, bytes: shorter ones are guessed.
pub const SHORTEST: usize = 16;

/// Why a secret cannot be used. It says what to do and never holds the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(String);

/// One or two secrets, the first one first: two while one is exchanged for another.
#[derive(Clone)]
pub struct Secrets(Vec<Vec<u8>>);

impl Secrets {
    /// Each line of the file that is not empty.
    pub fn of_file(path: &Path) -> Result<Secrets, SecretError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            SecretError(format!("{}: {error}: make it, such as `openssl rand -hex 32`", path.display()))
        })?;
        Secrets::of_text(&text).map_err(|error| SecretError(format!("{}: {error}", path.display())))
    }

    /// Of an environment variable.
    pub fn of_environment(name: &str) -> Result<Secrets, SecretError> {
        let text = std::env::var(name)
            .map_err(|_| SecretError(format!("the environment variable {name} is not set: set it, or use a file")))?;
        Secrets::of_text(&text).map_err(|error| SecretError(format!("{name}: {error}")))
    }

    fn of_text(text: &str) -> Result<Secrets, SecretError> {
        let lines: Vec<Vec<u8>> =
            text.lines().map(str::trim).filter(|l| !l.is_empty()).map(|l| l.as_bytes().to_vec()).collect();
        if lines.is_empty() || lines.len() > 2 || lines.iter().any(|line| line.len() < SHORTEST) {
            let wanted = format!("expected one secret of at least {SHORTEST} characters, or two, a line each");
            return Err(SecretError(wanted));
        }
        Ok(Secrets(lines))
    }

    /// HMAC-SHA256 of the text with each secret, hexadecimal.
    pub fn sign(&self, text: &[u8]) -> Vec<String> {
        self.0.iter().map(|secret| hex(&mac(secret, text).finalize().into_bytes())).collect()
    }

    /// Was the text signed with one of them? Takes as long for a near miss as for a far one.
    pub fn fits(&self, text: &[u8], signature: &str) -> bool {
        let Some(bytes) = unhex(signature) else { return false };
        self.0.iter().any(|secret| mac(secret, text).verify_slice(&bytes).is_ok())
    }
}

/// May everybody on this machine read the file? A reason for a warning.
pub fn is_open_to_all(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o004 != 0)
}

fn mac(secret: &[u8], text: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length will do");
    mac.update(text);
    mac
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn signatures_are_those_of_the_standard() {
        // RFC 4231, test case 6: a key longer than a block.
        let secrets = Secrets(vec![vec![0xaa; 131]]);
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let want = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        assert_eq!(secrets.sign(text), [want]);
        assert!(secrets.fits(text, want) && !secrets.fits(b"other", want));
    }

    #[test]
    fn a_secret_is_read_or_the_reason_is_told_without_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Secrets::of_file(&file)
        };
        assert_eq!(read("  0123456789abcdef\n").unwrap().sign(b"x").len(), 1);
        let two = read("0123456789abcdef\n\nfedcba9876543210\n").unwrap();
        let old = read("fedcba9876543210").unwrap();
        assert!(two.fits(b"x", &old.sign(b"x")[0]) && two.sign(b"x")[1] == old.sign(b"x")[0]);
        for text in ["", "hunter2", "0123456789abcdef\nhunter2"] {
            let error = read(text).err().unwrap().to_string();
            assert!(error.contains("at least 16") && !error.contains("hunter2"), "{error}");
        }
        assert!(Secrets::of_file(&folder.path().join("none")).err().unwrap().to_string().contains("openssl"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(!is_open_to_all(&file));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(is_open_to_all(&file));
    }

    proptest! {
        #[test]
        fn no_other_text_fits(text in "\\PC{0,80}") {
            let secrets = Secrets(vec![b"0123456789abcdef".to_vec()]);
            prop_assert!(!secrets.fits(b"something", &text));
        }
    }
}
