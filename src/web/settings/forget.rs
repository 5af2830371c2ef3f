//! Somebody asks that the gate forget their plate.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::post;
use axum::{Extension, Router};
use serde::Deserialize;

use crate::forget::{self, ForgetError, Rooms};
use crate::plate::{Plate, PlateError};
use crate::web::refusal::{Answer, Refusal};
use crate::web::sent::Sent;
use crate::web::visit::{Maintainer, Signed};
use crate::web::{Auth, Site, say_next};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/settings/forget", post(forget))
}

#[derive(Deserialize)]
struct Wanted {
    plate: String,
}

async fn forget(
    State(site): State<Arc<Site>>,
    v: Signed<Maintainer>,
    Extension(auth): Extension<Auth>,
    Sent(wanted): Sent<Wanted>,
) -> Answer {
    let plate: Plate = wanted.plate.parse().map_err(|e: PlateError| Refusal::bad(e.zh(), e.to_string()))?;
    let (there, name, from) = (site.clone(), v.name().to_owned(), v.from);
    // It goes through every arrival there is.
    let done = tokio::task::spawn_blocking(move || {
        let _registering = there.register_lock.lock();
        let rooms = Rooms {
            register: &there.gate.register,
            events: &there.gate.events,
            accounts: &there.accounts,
            corrections: &there.corrections,
        };
        forget::forget(&rooms, plate, &name, Some(from))
    });
    let done = done.await.map_err(|_| Refusal::Broken)?.map_err(|error| match error {
        ForgetError::Registered(_) => Refusal::bad("这辆车还在登记里，请先删除登记", error.to_string()),
        ForgetError::Expected(_) => Refusal::bad("这个车牌还有有效的访客通行证，请先收回", error.to_string()),
        ForgetError::Store(error) => error.into(),
    })?;
    let kept = done.kept.book + done.kept.history + done.kept.audit;
    let told = v.f(
        "已遗忘：{} 条来车、{} 张照片；账本和操作记录里还有 {} 处，按规定不能改",
        &[&done.arrivals, &done.pictures, &kept],
    );
    say_next(&auth, told).await;
    Ok(Redirect::to("/settings").into_response())
}
