//! What only the holders of certain keys can read (age, X25519).

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret;
use age::stream::StreamWriter;
use age::x25519::Recipient;

use crate::store::StoreError;
use crate::text::one_line;

/// What every encrypted file begins with.
pub(super) const MAGIC: &[u8] = b"age-encryption.org/";

/// A writer that encrypts, or not.
pub(super) enum Sink<W: Write> {
    Plain(W),
    Sealed(Box<StreamWriter<W>>),
}

impl<W: Write> Sink<W> {
    pub(super) fn new(to: W, recipients: &[String]) -> std::io::Result<Sink<W>> {
        if recipients.is_empty() {
            return Ok(Sink::Plain(to));
        }
        let parse = |text: &String| text.parse::<Recipient>().map_err(|why| wrong(format!("the key {text}: {why}")));
        let keys = recipients.iter().map(parse).collect::<std::io::Result<Vec<_>>>()?;
        let encryptor = age::Encryptor::with_recipients(keys.iter().map(|k| k as &dyn age::Recipient))
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Sink::Sealed(Box::new(encryptor.wrap_output(to)?)))
    }

    /// Writes what is left, and gives back where it wrote to.
    pub(super) fn finish(self) -> std::io::Result<W> {
        match self {
            Sink::Plain(to) => Ok(to),
            Sink::Sealed(to) => to.finish(),
        }
    }
}

fn wrong(what: String) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidInput, what)
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Sink::Plain(to) => to.write(bytes),
            Sink::Sealed(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Sink::Plain(to) => to.flush(),
            Sink::Sealed(to) => to.flush(),
        }
    }
}

/// Secret keys that backups are opened with.
#[derive(Default)]
pub struct Keys {
    from: Option<PathBuf>,
    keys: Vec<Box<dyn age::Identity + Send + Sync>>,
}

impl Keys {
    /// The keys in a file that `plategate backup key` or `age-keygen` wrote.
    pub fn read(path: &Path) -> Result<Keys, StoreError> {
        let problem = |problem: String| StoreError::Archive { path: path.to_path_buf(), problem };
        let bytes = std::fs::read(path).map_err(|e| StoreError::disk(path, e))?;
        let none = || problem("has no key: a line that begins with AGE-SECRET-KEY-1 is expected".into());
        // What is wrong in the file may be the key itself: it is not repeated.
        let file = age::IdentityFile::from_buffer(&bytes[..]).map_err(|_| none())?;
        let keys = file.into_identities().map_err(|_| none())?;
        if keys.is_empty() {
            return Err(none());
        }
        Ok(Keys { from: Some(path.to_path_buf()), keys })
    }

    /// What is inside; the error says which key is missing.
    pub(super) fn open<'r>(&self, sealed: impl Read + 'r) -> Result<Box<dyn Read + 'r>, String> {
        let broken = |error: age::DecryptError| format!("is not a whole backup: {}", one_line(&error.to_string()));
        let decryptor = age::Decryptor::new(sealed).map_err(broken)?;
        let Some(from) = &self.from else {
            return Err("is encrypted: give the file with its key, --identity FILE".into());
        };
        let open = decryptor.decrypt(self.keys.iter().map(|key| &**key as &dyn age::Identity));
        match open {
            Ok(reader) => Ok(Box::new(reader)),
            Err(age::DecryptError::NoMatchingKeys) => {
                Err(format!("was encrypted for another key than the one in {}", from.display()))
            }
            Err(error) => Err(broken(error)),
        }
    }
}

/// Makes a key: the secret one goes into a new file that only its owner can read, the public one is given back.
pub fn make_key(path: &Path) -> Result<String, StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    let key = age::x25519::Identity::generate();
    let public = key.to_public().to_string();
    let made = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    let text = format!("# created: {made}\n# public key: {public}\n{}\n", key.to_string().expose_secret());
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    match write() {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let problem = "is there already: a key is never overwritten, backups hang on it".to_owned();
            Err(StoreError::Archive { path: path.to_path_buf(), problem })
        }
        other => other.map(|()| public).map_err(|e| StoreError::disk(path, e)),
    }
}
