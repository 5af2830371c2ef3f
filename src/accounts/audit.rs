//! The audit log: who did what, when, about what, from where. Lines are added; nothing here takes one away or alters it.
//!
//! A stranger's plate must go after a while, and these lines stay for good: so no plate gets in with what somebody typed. What
//! the box itself calls something is kept as it is ([`Audit::add_of`]): a car of the register, a number, a mark.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plate;
use crate::store::{Batch, Store, StoreError, Tree};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Counts up from 1.
    #[serde(default)]
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// Who: a user's name, `-` for somebody not signed in.
    pub who: String,
    /// What, in a few Chinese words, which the page translates: `开闸`, `登录`, `查看照片`.
    pub what: String,
    /// About what: a car of the register, a household, an arrival's number, a reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The address it came from; none for the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<std::net::IpAddr>,
}

/// The log.
pub struct Audit {
    store: Arc<Store>,
    tree: Tree,
    next: AtomicU64,
}

/// Longer texts are cut: the log is no place to fill the disk from.
const LONGEST: usize = 200;

impl Audit {
    pub(super) fn open(store: Arc<Store>) -> Result<Audit, StoreError> {
        let tree = store.tree("audit")?;
        let next = AtomicU64::new(tree.last_number()? + 1);
        Ok(Audit { store, tree, next })
    }

    /// Adds a line, without what looks like a plate in `about`. When this returns it is on the disk.
    pub fn add(&self, who: &str, what: &str, about: &str, from: Option<std::net::IpAddr>) -> Result<(), StoreError> {
        self.add_of(who, what, "", about, from)
    }

    /// The same about something with a name of its own, `of`, which stays as it is: a car of the register, a household, a number.
    pub fn add_of(
        &self,
        who: &str,
        what: &str,
        of: &str,
        about: &str,
        from: Option<std::net::IpAddr>,
    ) -> Result<(), StoreError> {
        let about = format!("{of}{}", plate::strike(about));
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let cut = |text: &str| text.chars().take(LONGEST).collect::<String>();
        let line = Line { id, at: Timestamp::now(), who: cut(who), what: cut(what), about: cut(&about), from };
        let mut batch = Batch::default();
        batch.put(&self.tree, id.to_be_bytes(), &line);
        self.store.write(batch)
    }

    /// The newest lines before the number `before` (or all), newest first.
    pub fn newest(&self, count: usize, before: Option<u64>) -> Result<Vec<Line>, StoreError> {
        self.tree.before(&before.unwrap_or(u64::MAX).to_be_bytes()).take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_in_order_and_go_on_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..2u64 {
            let audit = Audit::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
            audit.add("王阿姨", "开闸", "快递", Some([127, 0, 0, 1].into())).unwrap();
            audit.add("-", "登录失败", &"x".repeat(5000), None).unwrap();
            let lines = audit.newest(10, None).unwrap();
            assert_eq!(lines.iter().map(|l| l.id).max(), Some(2 * round + 2));
            assert!(lines[0].about.len() == 200 && lines[1].who == "王阿姨");
            assert_eq!(audit.newest(1, Some(2)).unwrap()[0].id, 1);
        }
    }

    #[test]
    fn a_plate_that_somebody_typed_does_not_get_in_and_a_registered_car_does() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        audit.add("王阿姨", "手动开闸", "访客 皖a·6p42z 找301", None).unwrap();
        audit.add_of("王阿姨", "换车牌", "苏F8K291 → 苏FD12345", " #7", None).unwrap();
        audit.add_of("王阿姨", "修改冲突，未采用", "苏F8K291", " note = 常停皖A6P42Z旁", None).unwrap();
        let about: Vec<String> = audit.newest(3, None).unwrap().into_iter().map(|line| line.about).collect();
        assert_eq!(about, ["苏F8K291 note = 常停［车牌］旁", "苏F8K291 → 苏FD12345 #7", "访客 ［车牌］ 找301"]);
    }
}
