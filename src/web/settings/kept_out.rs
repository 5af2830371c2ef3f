//! Does the check for photographs keep neighbours out? Where the camera sees a car only when it stands already, or the lane is
//! dark, it would, one after the other: the stewards are told before the neighbours tell them.

use crate::gate::event::{Outcome, Rule};

/// Arrivals looked back at.
pub const LOOKED_BACK: usize = 100;
/// With fewer than this nothing is said: somebody may have tried with a telephone.
const SEVERAL: usize = 3;
/// One in so many of those who may come in is too many; of photographs held up there are hardly any.
const ONE_IN: usize = 10;

/// How many registered plates the check kept out, of how many that may come in, if that is too many.
pub fn too_many(arrivals: impl Iterator<Item = (Outcome, Rule)>) -> Option<(usize, usize)> {
    let (mut kept_out, mut all) = (0, 0);
    for (outcome, rule) in arrivals {
        let is_kept_out = rule == Rule::Photograph;
        let may = matches!(rule, Rule::Paid | Rule::Exempt | Rule::Grace | Rule::UnpaidOpen | Rule::Pass);
        kept_out += usize::from(is_kept_out);
        all += usize::from(is_kept_out || (may && outcome == Outcome::Opened));
    }
    (kept_out >= SEVERAL && kept_out * ONE_IN >= all).then_some((kept_out, all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(photographs: usize, opened: usize, strangers: usize) -> Option<(usize, usize)> {
        let photographs = std::iter::repeat_n((Outcome::Refused, Rule::Photograph), photographs);
        let opened = std::iter::repeat_n((Outcome::Opened, Rule::Paid), opened);
        let strangers = std::iter::repeat_n((Outcome::Refused, Rule::Stranger), strangers);
        too_many(photographs.chain(opened).chain(strangers))
    }

    #[test]
    fn one_telephone_is_no_reason_and_a_lane_full_of_neighbours_is() {
        assert_eq!(told(0, 0, 0), None);
        assert_eq!(told(2, 5, 90), None, "somebody tried twice");
        assert_eq!(told(3, 40, 0), None, "three in 43 are as rare as tricks");
        assert_eq!(told(3, 27, 60), Some((3, 30)), "strangers do not count");
        assert_eq!(told(12, 0, 0), Some((12, 12)), "nobody comes in");
    }

    proptest! {
        #[test]
        fn one_more_that_came_in_never_raises_the_alarm(photographs in 0usize..60, opened in 0usize..60) {
            if told(photographs, opened, 0).is_none() {
                prop_assert_eq!(told(photographs, opened + 1, 0), None);
            }
        }
    }
}
