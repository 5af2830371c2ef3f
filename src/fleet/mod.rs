//! The box and the world around it: other gates of the compound, and the houses' own engines.
//!
//! In: events and changes that are already on this box's disk. Out: the same, to whoever the stewards named; changes that
//! other boxes made. Must not know: the lane's frames, how a plate is read, HTML. Nothing here is ever waited for by the
//! lane: with nobody configured no connection is tried, and with everybody gone the gate goes on alone.

pub mod happening;
pub mod lookout;
pub mod mqtt;
pub mod secret;
pub mod webhook;
