//! The decision: readings in, at most one pulse and a record out.
//!
//! `track` → [`matching`] (which car of the register?) → [`policy`] (may it come in now?) → the barrier, all called in
//! order by the lane loop ([`lane`]). This room knows nothing of HTTP, files or pins.

mod account;
pub mod event;
pub mod inside;
pub mod lane;
#[cfg(test)]
mod lane_tests;
pub mod liveness;
pub mod matching;
pub mod mode;
pub mod policy;
mod recent;
pub mod strangers;
pub mod viewfinder;
