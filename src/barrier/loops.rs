//! The loops in the ground: who is there, which way he goes, and whether the loops were seen to work.

use std::time::Duration;

use super::contact::At;
use super::wires::{Direction, Input, Level, Levels};

/// A car that left the presence loop so long ago still counts as having come from there.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// Was this loop seen to work since "open" was last pressed?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Proof {
    #[default]
    None,
    /// It was active.
    Seen,
    /// It was active and then clear: a car came and went.
    Worked,
}

/// What the loops tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Loops {
    proofs: [Proof; 2],
    /// Since when no loop has been anything but clear.
    clear_since: Option<At>,
    /// When a car last left the presence loop.
    left_presence: Option<At>,
    /// The way of the car under the arm, or of the last one.
    direction: Option<Direction>,
}

const LOOPS: [Input; 2] = [Input::Presence, Input::Passage];

impl Loops {
    /// "Open" was pressed: what was proven before says nothing about this car.
    pub(super) fn begin(&mut self, levels: &Levels) {
        for (proof, input) in self.proofs.iter_mut().zip(LOOPS) {
            *proof = if levels.get(input).is_active() { Proof::Seen } else { Proof::None };
        }
    }

    /// One of the loops has changed; `levels` are the new ones. Says whether a car went through, and which way.
    pub(super) fn changed(&mut self, now: At, input: Input, old: Level, levels: &Levels) -> Option<Option<Direction>> {
        let level = levels.get(input);
        let index = usize::from(input == Input::Passage);
        self.proofs[index] = match (self.proofs[index], level) {
            (Proof::None, Level::Active) => Proof::Seen,
            (Proof::Seen, Level::Clear) if old.is_active() => Proof::Worked,
            (proof, Level::Active | Level::Clear) => proof,
            // What was broken in between has to be seen to work again.
            _ => Proof::None,
        };
        self.clear_since = all_clear(levels).then_some(now);
        if input == Input::Presence && old.is_active() && level.is_clear() {
            self.left_presence = Some(now);
        }
        if input == Input::Passage && level.is_active() {
            self.direction = self.way(now, levels);
        }
        // Without a loop under the arm, a car that has left the presence loop is the best guess there is.
        let counting = if levels.get(Input::Passage).is_known() { Input::Passage } else { Input::Presence };
        let went = input == counting && old.is_active() && level.is_clear();
        let way = if counting == Input::Passage { self.direction } else { None };
        went.then_some(way)
    }

    fn way(&self, now: At, levels: &Levels) -> Option<Direction> {
        match levels.get(Input::Presence) {
            Level::Active => Some(Direction::In),
            Level::Clear if self.left_presence.is_some_and(|at| now.saturating_sub(at) < ON_ITS_WAY) => {
                Some(Direction::In)
            }
            Level::Clear => Some(Direction::Out),
            Level::NotWired | Level::Unknown | Level::Broken => None,
        }
    }

    /// The way of the car under the arm, or of the last one.
    pub(super) fn direction(&self) -> Option<Direction> {
        self.direction
    }

    /// Is there at least one presence input, and is every one clear since `time` or longer, and was every one seen to work
    /// since "open" was last pressed? Anything else forbids to close.
    pub(super) fn allow_closing(&self, now: At, time: Duration, levels: &Levels) -> bool {
        let wired = LOOPS.into_iter().zip(self.proofs).filter(|(input, _)| levels.get(*input).is_wired());
        let mut any = false;
        for (input, proof) in wired {
            any = true;
            if !levels.get(input).is_clear() || proof != Proof::Worked {
                return false;
            }
        }
        any && self.clear_since.is_some_and(|since| now.saturating_sub(since) >= time)
    }

    #[cfg(test)]
    pub(super) fn rebase(&mut self, now: At, clear_for: Duration, rebase: &impl Fn(At) -> At) {
        self.left_presence = self.left_presence.filter(|&at| now.saturating_sub(at) < ON_ITS_WAY).map(rebase);
        self.clear_since = self.clear_since.map(|at| rebase(at.max(now.saturating_sub(clear_for))));
    }
}

/// Is every presence input that is wired known to be clear?
pub(super) fn all_clear(levels: &Levels) -> bool {
    LOOPS.into_iter().map(|input| levels.get(input)).all(|level| !level.is_wired() || level.is_clear())
}

/// Is a car under the arm, or, where only the presence loop is known, on that?
pub(super) fn occupied(levels: &Levels) -> bool {
    match levels.get(Input::Passage).known() {
        Some(active) => active,
        None => levels.get(Input::Presence).is_active(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> (Loops, Levels) {
        let mut levels = Levels::wired(LOOPS);
        let mut loops = Loops::default();
        for input in LOOPS {
            assert_eq!(set(&mut loops, &mut levels, 0, input, Level::Clear), None);
        }
        (loops, levels)
    }

    fn set(loops: &mut Loops, levels: &mut Levels, s: u64, input: Input, level: Level) -> Option<Option<Direction>> {
        let old = levels.get(input);
        levels.set(input, level);
        loops.changed(Duration::from_secs(s), input, old, levels)
    }

    #[test]
    fn the_order_of_the_loops_tells_the_way() {
        let (mut l, mut levels) = both();
        set(&mut l, &mut levels, 10, Input::Presence, Level::Active);
        set(&mut l, &mut levels, 12, Input::Passage, Level::Active);
        set(&mut l, &mut levels, 13, Input::Presence, Level::Clear);
        assert_eq!(set(&mut l, &mut levels, 14, Input::Passage, Level::Clear), Some(Some(Direction::In)));

        set(&mut l, &mut levels, 40, Input::Passage, Level::Active);
        set(&mut l, &mut levels, 41, Input::Presence, Level::Active);
        assert_eq!(set(&mut l, &mut levels, 42, Input::Passage, Level::Clear), Some(Some(Direction::Out)));

        // Short loops: a car may be on none of them for a moment.
        set(&mut l, &mut levels, 43, Input::Presence, Level::Clear);
        set(&mut l, &mut levels, 60, Input::Presence, Level::Active);
        set(&mut l, &mut levels, 61, Input::Presence, Level::Clear);
        set(&mut l, &mut levels, 62, Input::Passage, Level::Active);
        assert_eq!(l.direction(), Some(Direction::In));
    }

    #[test]
    fn closing_wants_every_loop_clear_and_proven_since_the_press() {
        let allowed =
            |l: &Loops, levels: &Levels, s| l.allow_closing(Duration::from_secs(s), Duration::from_secs(3), levels);
        let (mut l, mut levels) = both();
        l.begin(&levels);
        assert!(!allowed(&l, &levels, 100), "nobody was seen yet");
        set(&mut l, &mut levels, 10, Input::Presence, Level::Active);
        set(&mut l, &mut levels, 11, Input::Presence, Level::Clear);
        assert!(!allowed(&l, &levels, 100), "the loop under the arm was not seen to work");
        set(&mut l, &mut levels, 12, Input::Passage, Level::Active);
        set(&mut l, &mut levels, 13, Input::Passage, Level::Clear);
        assert!(!allowed(&l, &levels, 15) && allowed(&l, &levels, 16));
        // A wire that broke in between proves nothing.
        set(&mut l, &mut levels, 17, Input::Passage, Level::Broken);
        set(&mut l, &mut levels, 18, Input::Passage, Level::Clear);
        assert!(!allowed(&l, &levels, 100));
        // And the next press asks anew.
        l.begin(&levels);
        assert!(!allowed(&l, &levels, 200));
    }

    #[test]
    fn without_any_loop_nothing_may_be_closed() {
        let loops = Loops::default();
        assert!(!loops.allow_closing(Duration::from_secs(1000), Duration::ZERO, &Levels::default()));
    }
}
