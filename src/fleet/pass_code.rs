//! The visitor's square code: a pass that proves itself, at a gate that has never heard of it.
//!
//! In: a pass, at the box that gives it. Out: a text that fits a square code; at the other end the pass, or why it is none. It
//! carries the giving box's key with the compound's word for it, and that box's signature. A gate that was cut off before the
//! pass was given, or before that box even joined, can judge it by the compound's key alone; what it cannot know is whether the
//! pass was taken back since, or used elsewhere (`docs/fleet.md` says what then happens).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;

use super::identity::{Identity, verify, vouched};
use crate::register::{Member, Pass};

/// What a code begins with.
pub const PREFIX: &str = "PG1.";
/// No code is longer.
const LONGEST: usize = 1024;
const SIGNATURE: usize = 64;

/// Why a code is no pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Not a code.
    #[error("this is no pass code: scan the whole square")]
    Unreadable,
    /// Of another compound, or made by nobody.
    #[error("this pass code was not given by a box of this compound")]
    Nobody,
    /// Altered.
    #[error("this pass code was altered")]
    Altered,
    /// The giving box was shut out.
    #[error("this pass code was given by a box that was shut out")]
    ShutOut,
}

impl CodeError {
    /// In Chinese.
    pub fn zh(self) -> &'static str {
        match self {
            CodeError::Unreadable => "这不是通行码，请扫完整的二维码",
            CodeError::Nobody => "这个通行码不是本小区发的",
            CodeError::Altered => "这个通行码被改过",
            CodeError::ShutOut => "发这个通行码的主机已被停用",
        }
    }
}

/// The code of a pass that this box gives.
pub fn issue(identity: &Identity, pass: &Pass) -> Result<String, String> {
    let member = identity.member();
    let voucher = STANDARD.decode(&member.voucher).map_err(|error| error.to_string())?;
    let seconds = |at: Timestamp| u32::try_from(at.as_second()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = vec![1u8];
    bytes.extend(pass.id.to_be_bytes());
    bytes.extend(seconds(pass.from));
    bytes.extend(seconds(pass.to));
    bytes.extend(u16::try_from(pass.entries.unwrap_or(0)).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend(member.number.to_be_bytes());
    for text in [&pass.plate.to_string(), &pass.household, &member.gate, &member.key] {
        let length = u8::try_from(text.len()).map_err(|_| "a text of the pass is too long".to_owned())?;
        bytes.push(length);
        bytes.extend(text.as_bytes());
    }
    bytes.extend(voucher);
    let signature = identity.sign(&signed(&identity.compound, &bytes))?;
    bytes.extend(STANDARD.decode(signature).map_err(|error| error.to_string())?);
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Passes of one compound are none in another.
fn signed(compound: &str, bytes: &[u8]) -> Vec<u8> {
    [format!("plategate pass\n{compound}\n").as_bytes(), bytes].concat()
}

/// The pass of a code, if it is one. `members` are the boxes that are known here: one that was shut out gives no passes.
pub fn check(identity: &Identity, members: &[Member], code: &str) -> Result<Pass, CodeError> {
    let text = code.trim().strip_prefix(PREFIX).filter(|text| text.len() <= LONGEST).ok_or(CodeError::Unreadable)?;
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CodeError::Unreadable)?;
    let (body, signature) =
        bytes.split_at_checked(bytes.len().saturating_sub(SIGNATURE)).ok_or(CodeError::Unreadable)?;
    let (pass, member) = read(body).ok_or(CodeError::Unreadable)?;
    if !vouched(&identity.compound, &identity.compound_key, &member) {
        return Err(CodeError::Nobody);
    }
    if !verify(&member.key, &signed(&identity.compound, body), &STANDARD.encode(signature)) {
        return Err(CodeError::Altered);
    }
    if members.iter().any(|m| m.out && (m.number == member.number || m.key == member.key)) {
        return Err(CodeError::ShutOut);
    }
    Ok(pass)
}

/// The pass and the box that gave it, from bytes.
fn read(bytes: &[u8]) -> Option<(Pass, Member)> {
    let mut rest = bytes;
    let mut take = |n: usize| {
        let (taken, left) = rest.split_at_checked(n)?;
        rest = left;
        Some(taken)
    };
    if take(1)? != [1] {
        return None;
    }
    let id = u64::from_be_bytes(take(8)?.try_into().ok()?);
    let mut moment = || Timestamp::from_second(u32::from_be_bytes(take(4)?.try_into().ok()?).into()).ok();
    let (from, to) = (moment()?, moment()?);
    let entries = u16::from_be_bytes(take(2)?.try_into().ok()?);
    let number = u16::from_be_bytes(take(2)?.try_into().ok()?);
    let mut text = || {
        let length = usize::from(take(1)?[0]);
        String::from_utf8(take(length)?.to_vec()).ok()
    };
    let (plate, household, gate, key) = (text()?.parse().ok()?, text()?, text()?, text()?);
    let voucher = STANDARD.encode(take(SIGNATURE)?);
    if !rest.is_empty() {
        return None;
    }
    let entries = Some(u32::from(entries)).filter(|n| *n > 0);
    let given_by = format!("通行码 {gate}");
    let pass = Pass { id, plate, from, to, entries, used: 0, household, note: String::new(), given_by };
    Some((pass, Member { number, gate, key, voucher, out: false }))
}

/// The bytes of a code; none of what is none. For [`crate::fuzzing`], as the next.
pub(crate) fn bytes_of(code: &str) -> Vec<u8> {
    code.strip_prefix(PREFIX).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).unwrap_or_default()
}

/// Reads bytes as if they were signed.
pub(crate) fn fuzz(bytes: &[u8]) {
    let _ = (read(bytes), bytes.split_at_checked(bytes.len().saturating_sub(SIGNATURE)).map(|(body, _)| read(body)));
}

#[cfg(test)]
mod tests {
    use super::super::identity::tests::{founder, joined};
    use super::*;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    fn pass() -> Pass {
        let from = Timestamp::from_second(1_780_000_000).unwrap();
        Pass {
            id: 2 << 32 | 5,
            plate: "皖A6P42Z".parse().unwrap(),
            from,
            to: from + SignedDuration::from_hours(24),
            entries: Some(2),
            used: 0,
            household: "2-301".into(),
            note: String::new(),
            given_by: "通行码 north".into(),
        }
    }

    #[test]
    fn a_gate_that_never_heard_of_pass_and_box_can_judge_it() {
        let main = founder();
        let north = joined(&main, 2, "north");
        let code = issue(&north, &pass()).unwrap();
        assert!(code.len() < 400, "{}: it has to fit a square that telephones read", code.len());
        assert_eq!(check(&main, &[], &code), Ok(pass()));
        assert_eq!(check(&founder(), &[], &code), Err(CodeError::Nobody), "another compound");
        let out = main.vouch(2, "north", &north.public_key(), true).unwrap();
        assert_eq!(check(&main, &[out], &code), Err(CodeError::ShutOut));
        assert_eq!(check(&main, &[], "123456"), Err(CodeError::Unreadable));
    }

    #[test]
    fn a_box_that_the_compound_did_not_let_in_gives_no_passes() {
        let (main, other) = (founder(), founder());
        let stranger = joined(&other, 2, "north");
        assert_eq!(check(&main, &[], &issue(&stranger, &pass()).unwrap()), Err(CodeError::Nobody));
    }

    proptest! {
        #[test]
        fn no_changed_bit_is_accepted_and_no_text_panics(at in 0usize..4000, text in "\\PC{0,80}") {
            let main = founder();
            let code = issue(&main, &pass()).unwrap();
            let mut bytes = URL_SAFE_NO_PAD.decode(&code[PREFIX.len()..]).unwrap();
            let bit = at % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let changed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
            let other = format!("{PREFIX}{text}");
            prop_assert!(check(&main, &[], &changed).is_err());
            prop_assert!(check(&main, &[], &other).is_err());
        }
    }
}
