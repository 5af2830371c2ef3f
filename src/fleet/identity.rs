//! Who this box is: its compound, its gate, its key, and the compound's word for it.
//!
//! Kept in `fleet/box.json` of the data folder, which nobody but plategate's own user may read. The founder's box also holds
//! the compound's key, with which it vouches for the others; no other box has it, and no box's own key ever leaves it.

use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use nkeys::KeyPair;
use serde::{Deserialize, Serialize};

use crate::register::Member;
use crate::store::{StoreError, write_whole};

/// Who this box is.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The compound's name in subjects.
    pub compound: String,
    /// This gate's.
    pub gate: String,
    /// The box's number; 1 founded the fleet.
    pub number: u16,
    /// The brokers: `tls://broker.example:4222`.
    pub servers: Vec<String>,
    /// The certificate of the authority that signed the brokers', PEM; the system's authorities where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// The compound's public key.
    pub compound_key: String,
    /// What the compound says of this box.
    pub voucher: String,
    /// This box's secret key.
    seed: String,
    /// The compound's secret key: at the founder's box only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compound_seed: Option<String>,
}

// The keys stay out of every log.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("compound", &self.compound)
            .field("gate", &self.gate)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// Why this box is nobody.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Others may read it.
    #[error("{0}: other users may read this box's keys: chmod 600 it")]
    Open(PathBuf),
    /// Damaged.
    #[error("{path}: {problem}: bring it back from where it was kept, or leave the fleet and join anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A broker that would be spoken to in the clear.
    #[error("{0}: a broker beyond this machine is spoken to with TLS only: tls://HOST:4222")]
    Clear(String),
}

/// Where a data folder keeps it.
pub fn path(data: &Path) -> PathBuf {
    data.join("fleet/box.json")
}

impl Identity {
    /// Founds a fleet: this box is number 1 and vouches for the others.
    pub fn found(
        compound: &str,
        gate: &str,
        servers: Vec<String>,
        authority: Option<String>,
    ) -> Result<Identity, String> {
        let compound_pair = KeyPair::new_account();
        let seed = |pair: &KeyPair| pair.seed().map_err(|error| error.to_string());
        let own = KeyPair::new_user();
        let mut identity = Identity {
            compound: compound.to_owned(),
            gate: gate.to_owned(),
            number: 1,
            servers,
            authority,
            compound_key: compound_pair.public_key(),
            voucher: String::new(),
            seed: seed(&own)?,
            compound_seed: Some(seed(&compound_pair)?),
        };
        identity.voucher = identity.vouch(1, gate, &own.public_key(), false)?.voucher;
        Ok(identity)
    }

    /// A box that the compound has vouched for.
    pub fn joined(member: Member, like: Joined, seed: String) -> Identity {
        Identity {
            compound: like.compound,
            gate: member.gate,
            number: member.number,
            servers: like.servers,
            authority: like.authority,
            compound_key: like.compound_key,
            voucher: member.voucher,
            seed,
            compound_seed: None,
        }
    }

    /// Reads it; none where this box belongs to no fleet.
    pub fn load(data: &Path) -> Result<Option<Identity>, IdentityError> {
        let path = path(data);
        let Some(text) = read_closed(&path)? else { return Ok(None) };
        let damaged = |problem: String| IdentityError::Damaged { path: path.clone(), problem };
        let identity: Identity = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        identity.pair().map_err(damaged)?;
        identity.check_servers()?;
        Ok(Some(identity))
    }

    /// Writes it, for this user's eyes only.
    pub fn save(&self, data: &Path) -> Result<(), IdentityError> {
        let path = path(data);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| IdentityError::Damaged { path: path.clone(), problem: error.to_string() })?;
        Ok(write_closed(&path, &text)?)
    }

    /// Is every broker beyond this machine spoken to with TLS?
    pub fn check_servers(&self) -> Result<(), IdentityError> {
        check_servers(&self.servers)
    }

    /// This box's public key.
    pub fn public_key(&self) -> String {
        self.pair().map(|pair| pair.public_key()).unwrap_or_default()
    }

    /// This box's secret key, for the broker's challenge.
    pub(super) fn seed(&self) -> &str {
        &self.seed
    }

    fn pair(&self) -> Result<KeyPair, String> {
        KeyPair::from_seed(&self.seed).map_err(|error| format!("the box's key is none: {error}"))
    }

    /// Signs with this box's key; base 64.
    pub fn sign(&self, bytes: &[u8]) -> Result<String, String> {
        self.pair()?.sign(bytes).map(|signature| BASE64.encode(signature)).map_err(|error| error.to_string())
    }

    /// May this box vouch for others?
    pub fn is_founder(&self) -> bool {
        self.compound_seed.is_some()
    }

    /// Says in the compound's name that a box belongs to it, or does not any more.
    pub fn vouch(&self, number: u16, gate: &str, key: &str, out: bool) -> Result<Member, String> {
        let seed = self.compound_seed.as_ref().ok_or("only the box that founded the fleet can do this: do it there")?;
        let pair = KeyPair::from_seed(seed).map_err(|error| format!("the compound's key is none: {error}"))?;
        let said = statement(&self.compound, number, gate, key, out);
        let signature = pair.sign(said.as_bytes()).map_err(|error| error.to_string())?;
        let (gate, key, voucher) = (gate.to_owned(), key.to_owned(), BASE64.encode(signature));
        Ok(Member { number, gate, key, voucher, out })
    }

    /// What the others know of this box.
    pub fn member(&self) -> Member {
        Member {
            number: self.number,
            gate: self.gate.clone(),
            key: self.public_key(),
            voucher: self.voucher.clone(),
            out: false,
        }
    }

    /// Did the compound say this of a box?
    pub fn vouched(&self, member: &Member) -> bool {
        vouched(&self.compound, &self.compound_key, member)
    }
}

/// Writes a file that only this user may read; it is never open to others, not for a moment.
pub(super) fn write_closed(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let disk = |error| StoreError::disk(path, error);
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(disk)?;
    // `write_whole` fills this very file and renames it.
    let part = path.with_extension("part");
    let _ = std::fs::remove_file(&part);
    drop(std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(disk)?);
    write_whole(path, bytes)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(disk)
}

/// Reads a file that only this user may read; none where there is none.
pub(super) fn read_closed(path: &Path) -> Result<Option<String>, IdentityError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::disk(path, error).into()),
    };
    let mode = std::fs::metadata(path).map_err(|e| StoreError::disk(path, e))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(IdentityError::Open(path.to_owned()));
    }
    Ok(Some(text))
}

/// What a box that joins is told of the compound.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Joined {
    /// See [`Identity::compound`].
    pub compound: String,
    /// See [`Identity::servers`].
    pub servers: Vec<String>,
    /// See [`Identity::authority`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// See [`Identity::compound_key`].
    pub compound_key: String,
}

/// Is every broker beyond this machine spoken to with TLS?
pub fn check_servers(servers: &[String]) -> Result<(), IdentityError> {
    match servers.iter().find(|url| !url.starts_with("tls://") && !is_here(url)) {
        Some(url) => Err(IdentityError::Clear(url.clone())),
        None => Ok(()),
    }
}

/// Does this URL, or address with its port, lead to this machine?
pub fn is_here(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn statement(compound: &str, number: u16, gate: &str, key: &str, out: bool) -> String {
    format!("plategate box\n{compound}\n{number}\n{gate}\n{key}\n{}", if out { "out" } else { "in" })
}

/// Did the compound with this key say this of a box?
pub fn vouched(compound: &str, compound_key: &str, member: &Member) -> bool {
    let said = statement(compound, member.number, &member.gate, &member.key, member.out);
    verify(compound_key, said.as_bytes(), &member.voucher)
}

/// Is this the signature of these bytes by this key?
pub fn verify(key: &str, bytes: &[u8], signature: &str) -> bool {
    let (Ok(pair), Ok(signature)) = (KeyPair::from_public_key(key), BASE64.decode(signature)) else { return false };
    signature.len() == 64 && pair.verify(bytes, &signature).is_ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn founder() -> Identity {
        Identity::found("garden", "main", vec!["nats://127.0.0.1:4222".into()], None).unwrap()
    }

    /// A box that the founder has let in.
    pub(crate) fn joined(founder: &Identity, number: u16, gate: &str) -> Identity {
        let pair = KeyPair::new_user();
        let member = founder.vouch(number, gate, &pair.public_key(), false).unwrap();
        let like = Joined {
            compound: founder.compound.clone(),
            servers: founder.servers.clone(),
            authority: None,
            compound_key: founder.compound_key.clone(),
        };
        Identity::joined(member, like, pair.seed().unwrap())
    }

    #[test]
    fn it_is_kept_closed_and_an_open_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Identity::load(folder.path()).unwrap().is_none());
        let founder = founder();
        founder.save(folder.path()).unwrap();
        let again = Identity::load(folder.path()).unwrap().unwrap();
        assert_eq!((again.public_key(), again.is_founder()), (founder.public_key(), true));
        let mode = std::fs::metadata(path(folder.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(path(folder.path()), std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Identity::load(folder.path()), Err(IdentityError::Open(_))));
        assert!(!format!("{founder:?}").contains(founder.seed()));
    }

    #[test]
    fn only_the_compound_vouches_and_nothing_of_it_can_be_changed() {
        let founder = founder();
        let north = joined(&founder, 2, "north");
        assert!(founder.vouched(&north.member()) && north.vouched(&founder.member()));
        assert!(north.vouch(3, "x", &north.public_key(), false).is_err());
        for forged in [
            Member { number: 3, ..north.member() },
            Member { gate: "south".into(), ..north.member() },
            Member { key: founder.public_key(), ..north.member() },
            Member { out: true, ..north.member() },
            Member { voucher: "AAAA".into(), ..north.member() },
        ] {
            assert!(!founder.vouched(&forged), "{forged:?}");
        }
    }

    #[test]
    fn a_broker_beyond_this_machine_needs_tls() {
        for (url, good) in [
            ("nats://127.0.0.1:4222", true),
            ("localhost:4222", true),
            ("tls://broker.example:4222", true),
            ("nats://broker.example:4222", false),
            ("nats://[::1]:4222", true),
            ("10.0.0.1:4222", false),
            // A name may be anybody's.
            ("nats://127.0.0.1.broker.example:4222", false),
            ("nats://localhost.broker.example:4222", false),
        ] {
            assert_eq!(check_servers(&[url.to_owned()]).is_ok(), good, "{url}");
        }
    }
}
