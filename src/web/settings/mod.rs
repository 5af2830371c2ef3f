//! Settings and health.

mod switches;

use std::sync::Arc;

use axum::Router;

use super::Site;
pub use switches::Switches;

/// The routes.
pub fn routes() -> Router<Arc<Site>> {
    Router::new()
}
