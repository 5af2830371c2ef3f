//! The pages in a real browser, at a telephone's and at a desk's width. Screenshots go to `target/screenshots`.
//!
//! Needs Chromium and its driver (`scripts/setup test` installs them); without them it says so and does nothing.

mod access;
mod board;
#[path = "../fleet/compound.rs"]
mod compound;
mod driver;
mod empty;
mod first_day;
mod gates;
mod keyboard;
mod paper;
mod script_off;
mod secure;
#[path = "../support/mod.rs"]
mod support;
