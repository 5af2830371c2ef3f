//! Who may use the page: people with their roles, passwords and second factors, tokens for programs, and the audit log.
//!
//! In: names, passwords and codes as they were typed. Out: a [`User`] who is who they say, or one reason why not. Everything
//! is kept through [`store`](crate::store). This room knows nothing of HTTP.

pub mod audit;
pub mod code;
pub mod invitations;
mod password;
mod residents;
mod role;
mod second;
pub mod tokens;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::store::{Batch, Store, StoreError, Tree};
pub use audit::Audit;
pub use invitations::Invitations;
pub use password::{LONGEST_PASSWORD, SHORTEST_PASSWORD};
pub use role::Role;
pub use second::Enrolment;
pub use tokens::Tokens;

/// A person who may sign in.
#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    /// The name they sign in with, the key.
    pub name: String,
    /// What they may do.
    pub roles: BTreeSet<Role>,
    /// The password's argon2id hash, in the PHC string format.
    password: String,
    /// The secret of the second factor in base 32, if one was set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    second: Option<String>,
    /// May not sign in any more. People are never deleted: the records name them.
    #[serde(default)]
    pub disabled: bool,
    /// The household of a resident, such as `2-301`; nobody else has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub household: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Changes with the password, the roles and the second factor: every session made before then ends.
    stamp: String,
}

impl User {
    /// Has one of these roles?
    pub fn is_any(&self, roles: &[Role]) -> bool {
        roles.iter().any(|r| self.roles.contains(r))
    }

    /// A resident, who sees and does what is their household's and nothing else?
    pub fn is_resident(&self) -> bool {
        self.roles.contains(&Role::Resident)
    }

    /// Is a second factor asked for?
    pub fn has_second(&self) -> bool {
        self.second.is_some()
    }

    /// What a session was made under.
    pub fn stamp(&self) -> &str {
        &self.stamp
    }
}

// The hash and the secret stay out of every log.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("roles", &self.roles).finish_non_exhaustive()
    }
}

/// Why something about people was refused.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Somebody is called so.
    #[error("there is a user of this name")]
    Taken,
    /// A name that cannot be.
    #[error("a name has 1 to 32 letters, digits or - _ . and no spaces")]
    Name,
    /// Too short, too long, or the name.
    #[error("a password has 8 to 128 characters and is not the name")]
    Password,
    /// No role, or an auditor with another one.
    #[error("give at least one role; an auditor has no other")]
    Roles,
    /// A resident made without an invitation, or given another role.
    #[error("a resident is invited on the household's page, and has no other role")]
    Resident,
    /// A code that is not known, was used or is over.
    #[error("this invitation is not known, was used already, or its time is over: ask a steward for a new one")]
    Invitation,
    /// Nobody is called so.
    #[error("there is no user of this name")]
    Unknown,
    /// Nobody would be left to let others in.
    #[error("this is the last maintainer who may sign in: make another one first")]
    LastMaintainer,
    /// The six digits of the second factor do not fit.
    #[error("the six digits do not fit: look at the clock of the telephone, and type the newest ones")]
    Second,
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AccountError {
    /// In Chinese.
    pub fn zh(&self) -> &'static str {
        match self {
            AccountError::Taken => "已有同名用户",
            AccountError::Name => "名字为 1 到 32 个字，可用汉字、字母、数字和 - _ .，不含空格",
            AccountError::Password => "密码为 8 到 128 个字符，且不能与名字相同",
            AccountError::Roles => "至少选一个角色；监督不能兼任其他角色",
            AccountError::Resident => "住户要在住户页面邀请，不能兼任其他角色",
            AccountError::Invitation => "邀请码不对、已用过或已过期，请向管家再要一个",
            AccountError::Unknown => "没有这个用户",
            AccountError::LastMaintainer => "这是最后一位可以登录的维护人员，请先另设一位",
            AccountError::Second => "六位数字不对，请核对手机时间并输入最新的一组",
            AccountError::Store(_) => "无法保存，请查看磁盘",
        }
    }
}

/// The people, their tokens and what they did.
pub struct Accounts {
    store: Arc<Store>,
    users: Tree,
    /// Tokens for programs.
    pub tokens: Tokens,
    /// What households were invited with and have not used yet.
    pub invitations: Invitations,
    /// What was done.
    pub audit: Audit,
    /// The time step of the last second factor used by each, so that none serves twice.
    used_steps: Mutex<HashMap<String, u64>>,
    /// Held while an invitation is used.
    joining: Mutex<()>,
}

impl Accounts {
    /// Opens them.
    pub fn open(store: Arc<Store>) -> Result<Accounts, StoreError> {
        Ok(Accounts {
            users: store.tree("users")?,
            tokens: Tokens::open(store.clone())?,
            invitations: Invitations::open(store.clone())?,
            audit: Audit::open(store.clone())?,
            used_steps: Mutex::default(),
            joining: Mutex::default(),
            store,
        })
    }

    /// Everybody, by name.
    pub fn users(&self) -> Result<Vec<User>, StoreError> {
        self.users.all()
    }

    /// The one of this name.
    pub fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        self.users.get(name.as_bytes())
    }

    /// Has nobody been let in yet?
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Lets somebody in. The work of hashing takes some tens of milliseconds and 19 MiB.
    pub fn add(&self, name: &str, password: &str, roles: &[Role]) -> Result<User, AccountError> {
        check_roles(roles)?;
        if roles.contains(&Role::Resident) {
            return Err(AccountError::Resident);
        }
        let user = self.new_user(name, password, roles, None)?;
        self.keep(user)
    }

    /// A person as they begin; not kept yet.
    fn new_user(
        &self,
        name: &str,
        password: &str,
        roles: &[Role],
        household: Option<String>,
    ) -> Result<User, AccountError> {
        let name = name.trim();
        check_name(name)?;
        if self.user(name)?.is_some() {
            return Err(AccountError::Taken);
        }
        Ok(User {
            name: name.to_owned(),
            roles: roles.iter().copied().collect(),
            password: password::hash(name, password)?,
            second: None,
            disabled: false,
            household,
            since: Timestamp::now(),
            stamp: code::secret(),
        })
    }

    /// Sets a new password; all sessions of that person end.
    pub fn set_password(&self, name: &str, password: &str) -> Result<User, AccountError> {
        let user = self.user(name)?.ok_or(AccountError::Unknown)?;
        let password = password::hash(name, password)?;
        self.keep(User { password, stamp: code::secret(), ..user })
    }

    /// Sets the roles, and whether the person may sign in; their sessions end.
    pub fn set_roles(&self, name: &str, roles: &[Role], disabled: bool) -> Result<User, AccountError> {
        check_roles(roles)?;
        let user = self.user(name)?.ok_or(AccountError::Unknown)?;
        if user.is_resident() != roles.contains(&Role::Resident) {
            return Err(AccountError::Resident);
        }
        let keeps = |u: &User| !u.disabled && u.roles.contains(&Role::Maintainer);
        let changed = User { roles: roles.iter().copied().collect(), disabled, stamp: code::secret(), ..user.clone() };
        let others = self.users()?.iter().any(|u| u.name != name && keeps(u));
        if keeps(&user) && !keeps(&changed) && !others {
            return Err(AccountError::LastMaintainer);
        }
        self.keep(changed)
    }

    /// Turns the second factor on, once its first six digits were right.
    pub fn set_second(&self, name: &str, enrolment: &Enrolment, digits: &str) -> Result<User, AccountError> {
        let user = self.user(name)?.ok_or(AccountError::Unknown)?;
        let step = enrolment.check(digits).ok_or(AccountError::Second)?;
        self.used_steps.lock().insert(name.to_owned(), step);
        self.keep(User { second: Some(enrolment.secret().to_owned()), stamp: code::secret(), ..user })
    }

    /// Turns the second factor off (a lost telephone); the sessions end.
    pub fn clear_second(&self, name: &str) -> Result<User, AccountError> {
        let user = self.user(name)?.ok_or(AccountError::Unknown)?;
        self.keep(User { second: None, stamp: code::secret(), ..user })
    }

    /// Is this the person? One answer whatever is wrong, after the same work.
    ///
    /// Takes some tens of milliseconds: call it where waiting is allowed, and not for every try of an attacker.
    pub fn sign_in(&self, name: &str, password: &str, digits: &str) -> Result<Option<User>, StoreError> {
        let user = self.user(name.trim())?.filter(|u| !u.disabled);
        let right = password::verify(password, user.as_ref().map(|u| u.password.as_str()));
        let Some(user) = user.filter(|_| right) else { return Ok(None) };
        let Some(secret) = &user.second else { return Ok(Some(user)) };
        let Some(step) = Enrolment::of(&user.name, secret).and_then(|e| e.check(digits)) else { return Ok(None) };
        let mut used = self.used_steps.lock();
        if used.get(&user.name).is_some_and(|&last| step <= last) {
            return Ok(None);
        }
        used.insert(user.name.clone(), step);
        Ok(Some(user))
    }

    fn keep(&self, user: User) -> Result<User, AccountError> {
        let mut batch = Batch::default();
        batch.put(&self.users, &user.name, &user);
        self.store.write(batch)?;
        Ok(user)
    }
}

fn check_name(name: &str) -> Result<(), AccountError> {
    let fits = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let length = name.chars().count();
    if (1..=32).contains(&length) && name.chars().all(fits) { Ok(()) } else { Err(AccountError::Name) }
}

fn check_roles(roles: &[Role]) -> Result<(), AccountError> {
    let kinds: BTreeSet<_> = roles.iter().collect();
    if kinds.contains(&Role::Resident) && kinds.len() > 1 {
        return Err(AccountError::Resident);
    }
    let mixed = kinds.contains(&Role::Auditor) && kinds.len() > 1;
    if kinds.is_empty() || mixed { Err(AccountError::Roles) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &tempfile::TempDir) -> Accounts {
        Accounts::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap()
    }

    #[test]
    fn people_sign_in_with_their_own_password_only_and_are_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        {
            let accounts = open(&folder);
            assert!(accounts.is_empty());
            accounts.add("王阿姨", "correct horse", &[Role::Steward]).unwrap();
            accounts.add("li", "battery staple", &[Role::Auditor]).unwrap();
        }
        let accounts = open(&folder);
        let roles = |name, password| accounts.sign_in(name, password, "").unwrap().map(|u| u.roles);
        assert_eq!(roles("王阿姨", "correct horse"), Some([Role::Steward].into()));
        assert_eq!(roles(" 王阿姨 ", "correct horse"), Some([Role::Steward].into()));
        for (name, password) in [("王阿姨", "battery staple"), ("王阿姨", ""), ("nobody", "correct horse"), ("", "")]
        {
            assert_eq!(roles(name, password), None, "{name} {password}");
        }
        assert!(matches!(accounts.add("li", "another one", &[Role::Steward]), Err(AccountError::Taken)));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = open(&folder);
        for name in ["", "a b", "<b>", "x/../y", &"x".repeat(33)] {
            assert!(matches!(accounts.add(name, "long enough", &[Role::Steward]), Err(AccountError::Name)), "{name}");
        }
        for password in ["", "short", "wangayi99", &"x".repeat(129)] {
            let refused = accounts.add("wangayi99", password, &[Role::Steward]);
            assert!(matches!(refused, Err(AccountError::Password)), "{password}");
        }
        for roles in [&[][..], &[Role::Auditor, Role::Steward][..]] {
            assert!(matches!(accounts.add("x", "long enough", roles), Err(AccountError::Roles)));
        }
        assert!(accounts.is_empty());
    }

    #[test]
    fn a_change_ends_the_sessions_and_the_last_maintainer_stays() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = open(&folder);
        let first = accounts.add("a", "long enough", &[Role::Maintainer, Role::Steward]).unwrap();
        let changed = accounts.set_password("a", "another long one").unwrap();
        assert_ne!(first.stamp(), changed.stamp());
        assert!(accounts.sign_in("a", "long enough", "").unwrap().is_none());
        for (roles, disabled) in [(&[Role::Steward][..], false), (&[Role::Maintainer][..], true)] {
            assert!(matches!(accounts.set_roles("a", roles, disabled), Err(AccountError::LastMaintainer)));
        }
        accounts.add("b", "long enough", &[Role::Maintainer]).unwrap();
        accounts.set_roles("a", &[Role::Steward], true).unwrap();
        assert!(accounts.sign_in("a", "another long one", "").unwrap().is_none(), "disabled");
    }

    #[test]
    fn a_second_factor_is_asked_for_and_serves_once() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = open(&folder);
        accounts.add("a", "long enough", &[Role::Maintainer]).unwrap();
        let enrolment = Enrolment::new("a");
        assert!(matches!(accounts.set_second("a", &enrolment, "12345"), Err(AccountError::Second)));
        let digits = enrolment.now();
        accounts.set_second("a", &enrolment, &digits).unwrap();
        assert!(accounts.sign_in("a", "long enough", "").unwrap().is_none());
        assert!(accounts.sign_in("a", "long enough", &digits).unwrap().is_none(), "these were used to set it up");
        accounts.used_steps.lock().clear();
        assert!(accounts.sign_in("a", "long enough", &digits).unwrap().is_some());
        assert!(accounts.sign_in("a", "long enough", &digits).unwrap().is_none(), "used");
        accounts.clear_second("a").unwrap();
        assert!(accounts.sign_in("a", "long enough", "").unwrap().is_some());
    }

    #[test]
    fn neither_hash_nor_secret_is_ever_printed() {
        let folder = tempfile::tempdir().unwrap();
        let user = open(&folder).add("a", "long enough", &[Role::Maintainer]).unwrap();
        let shown = format!("{user:?}");
        assert!(!shown.contains("argon2") && !shown.contains(user.stamp()), "{shown}");
    }
}
