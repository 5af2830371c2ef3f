//! The hash of an entry, and the bytes that are hashed.
//!
//! An entry's canonical bytes are its JSON with the keys of every object in order, without blanks, numbers whole (the form
//! of RFC 8785 for what occurs here). Its hash is the SHA-256 of those, and each entry carries the hash of the one before,
//! the first one 64 zeros. `docs/ledger.md` shows how to check this without plategate.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The bytes that are hashed: see this module's first lines.
pub fn canonical(value: &Value) -> Vec<u8> {
    // serde_json keeps keys in order by itself, unless some crate turns that off for the whole program.
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let mut pairs: Vec<(&String, &Value)> = map.iter().collect();
                pairs.sort_by_key(|(key, _)| *key);
                Value::Object(pairs.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
            other => other.clone(),
        }
    }
    serde_json::to_vec(&sorted(value)).expect("a value is plain data")
}

/// A SHA-256, written as 64 hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Hash, &'static str> {
        const WRONG: &str = "64 hexadecimal digits 0-9, a-f are expected";
        let digit = |b: u8| match b {
            b'0'..=b'9' => Ok(b - b'0'),
            b'a'..=b'f' => Ok(b - b'a' + 10),
            _ => Err(WRONG),
        };
        let mut hash = [0; 32];
        if text.len() != 64 {
            return Err(WRONG);
        }
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Hash(hash))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_bytes_are_the_documented_ones() {
        let value = serde_json::json!({"b": [{"z": 1, "a": null}], "a": "苏\u{1}\"\n/", "amount": -10_000});
        assert_eq!(
            String::from_utf8(canonical(&value)).unwrap(),
            "{\"a\":\"苏\\u0001\\\"\\n/\",\"amount\":-10000,\"b\":[{\"a\":null,\"z\":1}]}"
        );
        // FIPS 180-4, the hash of three letters.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Hash::of(b"abc").to_string(), abc);
        assert_eq!(abc.parse(), Ok(Hash::of(b"abc")));
    }

    proptest! {
        #[test]
        fn any_text_is_a_hash_that_says_itself_or_is_refused(text in "([0-9a-f]{64}|\\PC{0,70})") {
            if let Ok(hash) = text.parse::<Hash>() {
                prop_assert_eq!(hash.to_string(), text);
            }
        }
    }
}
