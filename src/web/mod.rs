//! The stewards' page.
