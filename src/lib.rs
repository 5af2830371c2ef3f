//! plategate: a camera at the gate, a register of crowdfunded cars, a relay.
//!
//! # The way of a frame
//!
//! ```text
//! camera ──► detector ──► rectifier ──► reader ──► track ──► match ──► policy ──► barrier
//! (newest     (four        (flat         (a chance   (one car's  (which car   (may it    (one
//!  frame       corners)     plate)        per slot    frames,     of the       come in    pulse)
//!  only)                                  and char)   fused)      register?)   now?)
//!                                                                                │
//!                                                      journal ◄── event ◄───────┘
//! ```
//!
//! Follow it in this order: [`camera`] → [`vision`] → [`gate`] → [`barrier`], with [`register`] read by the gate's match
//! and [`store`] written after the pulse. [`gate::lane`] calls every stage, in order, in one function: start reading there.
//!
//! Rules of this corridor: only the newest frame is worth reading; a decision carries its frame's capture time; the
//! corridor never waits for a disk, a page or a network; the barrier is only ever asked to open; every pulse and every
//! refusal has a reason on record.

pub mod accounts;
pub mod barrier;
pub mod camera;
pub mod cli;
pub mod clock;
pub mod config;
pub mod cores;
pub mod display;
pub mod fleet;
pub mod forget;
#[doc(hidden)]
pub mod fuzzing;
pub mod gate;
pub mod ledger;
pub mod picture;
pub mod plate;
pub mod register;
pub mod store;
pub mod telemetry;
mod text;
pub mod vision;
pub mod watchdog;
pub mod web;

// The page's texts are Chinese in the sources; `locales` has them in English.
rust_i18n::i18n!("locales", fallback = "zh");
