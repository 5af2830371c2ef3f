//! A record as bytes: a version, a checksum, JSON. Readable in ten years, and damage is noticed.

use serde::Serialize;
use serde::de::DeserializeOwned;

const VERSION: u8 = 1;
/// Version and CRC-32 (IEEE 802.3) of what follows.
const HEAD: usize = 5;

/// A record as bytes.
pub(crate) fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    // Our records are plain structures: serde_json fails on maps with odd keys and failing Serialize only.
    seal(&serde_json::to_vec(record).expect("a record is plain data"))
}

/// A record that is JSON already.
pub(super) fn seal(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + json.len());
    out.push(VERSION);
    out.extend(crc32fast::hash(json).to_le_bytes());
    out.extend(json);
    out
}

/// A record from bytes; the error says what is wrong.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, &'static str> {
    let (&version, rest) = bytes.split_first().ok_or("it is empty")?;
    if version != VERSION {
        return Err("it is of another version");
    }
    let (sum, json) = rest.split_first_chunk::<4>().ok_or("it is cut short")?;
    if crc32fast::hash(json) != u32::from_le_bytes(*sum) {
        return Err("its checksum is wrong");
    }
    serde_json::from_slice(json).map_err(|_| "its fields are not the expected ones")
}

/// The JSON of a record that is whole.
pub(super) fn json(bytes: &[u8]) -> Option<&str> {
    decode::<serde::de::IgnoredAny>(bytes).ok()?;
    std::str::from_utf8(&bytes[HEAD..]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out(text in "\\PC{0,40}", number: u64) {
            let bytes = encode(&(&text, number));
            prop_assert_eq!(decode::<(String, u64)>(&bytes).unwrap(), (text, number));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode::<(String, u64)>(&bytes);
        }

        #[test]
        fn a_flipped_bit_is_noticed(bit in 0usize..1000) {
            let mut bytes = encode(&("苏F12345", 7u64));
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode::<(String, u64)>(&bytes).is_err());
        }
    }
}
