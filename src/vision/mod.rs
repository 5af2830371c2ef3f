//! Reading plates: a picture in, [`Reading`]s out.
//!
//! detector (where are plates, from a small copy) → rectifier (exact corners at full resolution, the plate laid flat) →
//! reader (a probability per slot and character). This room knows nothing of registers and barriers.

pub mod reading;
pub mod track;

pub use reading::{Reading, SlotProbabilities};
