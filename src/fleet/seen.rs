//! Which numbered things were seen already: one bit each, for a window of the newest numbers of every sender.
//!
//! In: a sender and a number. Out: is it new? Numbers older than the window count as seen, so that nothing is shown twice and
//! memory has a bound.

use std::collections::{BTreeMap, HashMap};

/// Numbers in a block, and blocks that are remembered of a sender: half a million numbers in 64 KiB.
const BLOCK: u64 = 1024;
const MOST_BLOCKS: usize = 512;

/// The numbers that were seen of each sender.
#[derive(Debug, Default)]
pub struct Seen {
    senders: HashMap<(u16, u32), BTreeMap<u64, [u64; 16]>>,
}

impl Seen {
    /// Marks a number as seen. `true` if it had not been.
    pub fn is_new(&mut self, sender: (u16, u32), number: u64) -> bool {
        let blocks = self.senders.entry(sender).or_default();
        let block = number / BLOCK;
        if blocks.len() >= MOST_BLOCKS && !blocks.contains_key(&block) {
            if blocks.first_key_value().is_some_and(|(oldest, _)| block < *oldest) {
                return false;
            }
            blocks.pop_first();
        }
        let bits = blocks.entry(block).or_default();
        let (word, bit) = ((number % BLOCK / 64) as usize, 1u64 << (number % 64));
        let new = bits[word] & bit == 0;
        bits[word] |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn it_tells_as_a_set_does(numbers in proptest::collection::vec((1u16..3, 0u64..3000), 0..300)) {
            let (mut seen, mut set) = (Seen::default(), HashSet::new());
            for (sender, number) in numbers {
                prop_assert_eq!(seen.is_new((sender, 0), number), set.insert((sender, number)));
            }
        }
    }

    #[test]
    fn memory_has_a_bound_and_what_is_too_old_is_not_shown_again() {
        let mut seen = Seen::default();
        for number in (0..2_000_000).step_by(700) {
            assert!(seen.is_new((1, 0), number));
        }
        assert_eq!(seen.senders[&(1, 0)].len(), MOST_BLOCKS);
        assert!(!seen.is_new((1, 0), 0) && seen.is_new((1, 1), 0), "another epoch begins anew");
    }
}
