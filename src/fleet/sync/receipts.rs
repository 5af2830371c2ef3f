//! The photographs of receipts: the book's entries name them, and each box copies those that it has not from another gate.
//!
//! Asked and answered in parts, since the broker takes no message of more than a megabyte. A part is a mark and so many bytes; a
//! refusal is a sentence in JSON, which begins otherwise. The last part is shorter than the others.

use std::time::Duration;

use async_nats::Client;

use super::{Ends, Link, LinkError, PATIENCE};
use crate::fleet::command::{Act, Command};
use crate::fleet::home::Home;
use crate::fleet::wire;
use crate::ledger::Hash;

/// How often it is looked for what is missing.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// Bytes of a part.
const PART: usize = 512 << 10;
/// No receipt is larger.
const LARGEST: usize = 16 << 20;
/// What a part begins with.
const MARK: u8 = 0;

/// One part, as it is answered.
pub(crate) fn part(jpeg: &[u8], from: usize) -> Vec<u8> {
    let rest = jpeg.get(from..).unwrap_or_default();
    let mut part = vec![MARK];
    part.extend(&rest[..rest.len().min(PART)]);
    part
}

/// Copies what is missing.
pub(super) async fn fetch<H: Home>(link: &Link<H>, client: &Client) -> Ends {
    loop {
        for hash in link.at_home(|home| home.missing_receipts()).await? {
            for gate in link.at_home(|home| home.holders()).await? {
                let Some(jpeg) = whole(link, client, &gate, hash).await? else { continue };
                if link.at_home(move |home| home.keep_receipt(&hash, &jpeg)).await?? {
                    break;
                }
                link.status.refuse(&format!("a receipt's photograph of {gate} that is another one"));
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A receipt's photograph, as that gate has it; none where it does not answer, or has none.
async fn whole<H: Home>(link: &Link<H>, client: &Client, gate: &str, hash: Hash) -> Result<Option<Vec<u8>>, LinkError> {
    let mut jpeg = Vec::new();
    while jpeg.len() < LARGEST {
        let act = Act::Receipt { hash, from: jpeg.len() };
        let command = Command::new(&link.identity, gate, act, "plategate", "");
        let signed = command.sign(&link.identity).map_err(|error| LinkError::new("a question for a receipt", error))?;
        let asked = client.request(wire::pictures(link.compound(), gate), signed.into());
        let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, asked).await else { return Ok(None) };
        let Some((&MARK, part)) = answer.payload.split_first() else { return Ok(None) };
        jpeg.extend(part);
        if part.len() < PART {
            return Ok(Some(jpeg));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_make_the_whole_and_the_last_is_shorter() {
        for length in [0, 1, PART, PART + 1, 2 * PART] {
            let jpeg: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let mut got: Vec<u8> = Vec::new();
            loop {
                let part = part(&jpeg, got.len());
                assert_eq!(part[0], MARK);
                got.extend(&part[1..]);
                if part.len() - 1 < PART {
                    break;
                }
            }
            assert_eq!(got, jpeg);
        }
        assert_eq!(part(&[1, 2], 99), [MARK]);
    }
}
