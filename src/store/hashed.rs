//! A mark by which a car is known again after its number was forgotten: a keyed hash of its plate (HMAC-SHA256, 64 bits).
//!
//! The key is the box's own and lies beside the store. Without it the marks say nothing; with it, all plates there are can be
//! tried out in minutes, so it goes into encrypted backups only.

use std::io::Write;
use std::path::Path;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{StoreError, sync_folder};

/// The key's file in the data folder.
pub(crate) const KEY_FILE: &str = "strangers.key";
const KEY_BYTES: usize = 32;

/// Makes marks.
pub struct Hasher {
    key: [u8; KEY_BYTES],
}

impl Hasher {
    /// Takes the key in the data folder; makes one if there is none. One that is damaged is kept aside: no mark made with it
    /// is known again.
    pub fn open(folder: &Path) -> Result<Hasher, StoreError> {
        let path = folder.join(KEY_FILE);
        match std::fs::read(&path) {
            Ok(bytes) => match bytes.try_into() {
                Ok(key) => return Ok(Hasher { key }),
                Err(_) => {
                    let kept = super::mend::aside(folder, &path)?;
                    tracing::error!(file = %kept.display(), "the key for forgotten plates was damaged; a new one is made");
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::disk(&path, error)),
        }
        let key: [u8; KEY_BYTES] = rand::random();
        keep_key(&path, &key)?;
        Ok(Hasher { key })
    }

    /// The mark of a plate: sixteen hexadecimal digits.
    pub fn mark(&self, plate: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length is a key");
        mac.update(plate.as_bytes());
        mac.finalize().into_bytes()[..8].iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// Writes a key so that only its owner can read it.
pub(super) fn keep_key(path: &Path, key: &[u8]) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    let part = path.with_extension("part");
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(key)?;
        file.sync_all()?;
        std::fs::rename(&part, path)?;
        sync_folder(path.parent().unwrap_or(Path::new(".")))
    };
    write().map_err(|e| StoreError::disk(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_known_again_with_this_key_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mark = Hasher::open(folder.path()).unwrap().mark("苏F12345");
        assert_eq!(mark, Hasher::open(folder.path()).unwrap().mark("苏F12345"));
        assert_ne!(mark, Hasher::open(folder.path()).unwrap().mark("苏F12346"));
        assert!(mark.len() == 16 && mark.bytes().all(|b| b.is_ascii_hexdigit()), "{mark}");
        let other = tempfile::tempdir().unwrap();
        assert_ne!(mark, Hasher::open(other.path()).unwrap().mark("苏F12345"));
    }

    #[test]
    fn the_key_is_for_its_owner_and_a_damaged_one_is_put_aside() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY_FILE);
        Hasher::open(folder.path()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "short").unwrap();
        Hasher::open(folder.path()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 32);
        assert_eq!(std::fs::read_dir(folder.path().join("set-aside")).unwrap().count(), 1);
    }
}
