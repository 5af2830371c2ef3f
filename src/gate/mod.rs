//! The decision: readings in, at most one pulse and a record out.
//!
//! `track` → [`matching`] (which car of the register?) → [`policy`] (may it come in now?) → the barrier, all called in
//! order by the lane loop ([`lane`]). This room knows nothing of HTTP, files or pins.

pub mod event;
pub mod lane;
#[cfg(test)]
mod lane_tests;
pub mod matching;
pub mod mode;
pub mod policy;
pub mod strangers;
pub mod viewfinder;
