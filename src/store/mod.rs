//! sled: opening it safely, trees, codecs, backup and restore.
//!
//! In: typed records. Out: the same, after any power cut. This room must not know what a rule means.
