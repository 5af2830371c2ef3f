//! Several gates of one compound, as processes, over a real broker: joined, cut off, killed, lied to.
//!
//! A gate without a camera is a gate all the same. Where nats-server is not installed the tests say so and do nothing.

mod arrivals;
mod commands;
mod compound;
mod passes;
mod register;
mod street;
#[path = "../support/mod.rs"]
mod support;
