//! Named collections of records, and the one way to change them: a [`Batch`] that is kept whole or not at all.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Store, StoreError, decode, encode};

/// A key and its record, or what is wrong with it.
type Checked<T> = (Vec<u8>, Result<T, &'static str>);

/// A named collection of records of one type. It is read here, and changed by [`super::Store::write`] alone.
#[derive(Clone)]
pub(crate) struct Tree {
    pub(super) name: &'static str,
    pub(super) inner: sled::Tree,
}

impl Tree {
    /// Every record that is whole, in the order of the keys; damaged ones are logged and passed over.
    pub(crate) fn all<T: DeserializeOwned>(&self) -> Result<Vec<T>, StoreError> {
        self.whole(self.inner.iter()).collect()
    }

    /// The first records that are whole, in the order of the keys, at most so many.
    pub(crate) fn first<T: DeserializeOwned>(&self, most: usize) -> Result<Vec<T>, StoreError> {
        self.whole(self.inner.iter()).take(most).collect()
    }

    /// The records whose keys begin so.
    pub(crate) fn with_prefix<T: DeserializeOwned>(&self, prefix: &[u8]) -> Result<Vec<T>, StoreError> {
        self.whole(self.inner.scan_prefix(prefix)).collect()
    }

    /// The last of those before the key, the last first.
    pub(crate) fn before<T: DeserializeOwned>(&self, key: &[u8]) -> impl Iterator<Item = Result<T, StoreError>> {
        self.whole(self.inner.range(..key).rev())
    }

    /// Those after the number `after`, in order, for records that are kept by their numbers.
    pub(crate) fn since<T: DeserializeOwned>(&self, after: u64) -> impl Iterator<Item = Result<T, StoreError>> {
        self.whole(self.inner.range(after.saturating_add(1).to_be_bytes()..))
    }

    /// Deletes the oldest records that are due, up to the first that is not; damaged ones go with them. Gives how many went.
    pub(super) fn forget_oldest<T: DeserializeOwned>(
        &self,
        store: &Store,
        due: impl Fn(&T) -> bool,
    ) -> Result<usize, StoreError> {
        store.guarded(|| {
            let mut gone = 0;
            for item in self.inner.iter() {
                let (key, value) = item?;
                if decode(&value).is_ok_and(|record| !due(&record)) {
                    break;
                }
                self.inner.remove(key)?;
                gone += 1;
            }
            if gone > 0 {
                store.commit()?;
            }
            Ok(gone)
        })
    }

    fn whole<T: DeserializeOwned>(
        &self,
        items: impl Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>>,
    ) -> impl Iterator<Item = Result<T, StoreError>> {
        items.filter_map(|item| match item {
            Err(error) => Some(Err(error.into())),
            Ok((key, value)) => match decode(&value) {
                Ok(record) => Some(Ok(record)),
                Err(problem) => {
                    tracing::error!("{}", self.damaged(&key, problem));
                    None
                }
            },
        })
    }

    /// Every record with its key; for a damaged one, what is wrong with it.
    pub(crate) fn checked<T: DeserializeOwned>(&self) -> impl Iterator<Item = Result<Checked<T>, StoreError>> {
        self.inner.iter().map(|item| item.map(|(key, value)| (key.to_vec(), decode(&value))).map_err(StoreError::from))
    }

    /// One record, or what is wrong with it.
    pub(crate) fn get_checked<T: DeserializeOwned>(
        &self,
        key: &[u8],
    ) -> Result<Option<Result<T, &'static str>>, StoreError> {
        Ok(self.inner.get(key)?.map(|value| decode(&value)))
    }

    /// One record.
    pub(crate) fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.inner.get(key)?.map(|value| decode(&value).map_err(|problem| self.damaged(key, problem))).transpose()
    }

    /// The last of the numbers that the records are kept by (big-endian, so that they are in order); 0 if there is none.
    pub(crate) fn last_number(&self) -> Result<u64, StoreError> {
        Ok(self.inner.last()?.and_then(|(key, _)| key.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.inner.len()
    }

    /// Is there none?
    pub(crate) fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    fn damaged(&self, key: &[u8], problem: &'static str) -> StoreError {
        StoreError::Record { tree: self.name.to_owned(), key: String::from_utf8_lossy(key).into_owned(), problem }
    }
}

/// One record put or taken out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Write {
    pub tree: String,
    pub key: Vec<u8>,
    /// As [`encode`] makes it; none: taken out.
    pub value: Option<Vec<u8>>,
}

/// Changes to any number of trees that are made together or not at all.
#[derive(Default)]
pub(crate) struct Batch {
    pub(super) writes: Vec<Write>,
}

impl Batch {
    /// Puts a record in the place of the one with this key, if there is one.
    pub(crate) fn put<T: Serialize>(&mut self, tree: &Tree, key: impl AsRef<[u8]>, record: &T) {
        self.add(tree.name, key.as_ref(), Some(encode(record)));
    }

    /// Takes a record out.
    pub(crate) fn remove(&mut self, tree: &Tree, key: impl AsRef<[u8]>) {
        self.add(tree.name, key.as_ref(), None);
    }

    /// Is there nothing to do?
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    pub(super) fn add(&mut self, tree: &str, key: &[u8], value: Option<Vec<u8>>) {
        self.writes.push(Write { tree: tree.to_owned(), key: key.to_vec(), value });
    }
}
