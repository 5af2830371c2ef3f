//! Drawing the lane: what is outside is not looked at. The corners are dragged on the live picture, or typed.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use axum::{Extension, Router};
use serde::Deserialize;

use crate::web::live::note_look;
use crate::web::refusal::{Answer, Refusal, page};
use crate::web::sent::Sent;
use crate::web::visit::{Maintainer, Signed, Visit};
use crate::web::{Auth, Site, say_next};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/settings/lane", get(show).post(save))
}

#[derive(Template)]
#[template(path = "web/lane.html")]
struct LanePage<'a> {
    v: &'a Visit,
    /// Left, top, width, height in percent of the picture.
    fields: Vec<(&'static str, String, u32)>,
    whole: bool,
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Maintainer>) -> Answer {
    note_look(&site, &v)?;
    let lane = site.switches.now().lane.or(site.gate.config.vision.lane);
    let shares = lane.unwrap_or([0.0, 0.0, 1.0, 1.0]);
    let names = [("left", "左边"), ("top", "上边"), ("width", "宽"), ("height", "高")];
    let fields = names.iter().zip(shares).map(|((n, zh), s)| (*n, v.t(zh), (s * 100.0).round() as u32)).collect();
    page(&LanePage { v: &v, fields, whole: lane.is_none() })
}

#[derive(Deserialize)]
struct Drawn {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
    whole: Option<String>,
}

/// A lane narrower than this share of the picture is a slip of the finger.
const NARROWEST: u32 = 10;

async fn save(
    State(site): State<Arc<Site>>,
    v: Signed<Maintainer>,
    Extension(auth): Extension<Auth>,
    Sent(drawn): Sent<Drawn>,
) -> Answer {
    let Drawn { left, top, width, height, whole } = drawn;
    let fits = |from: u32, size: u32| size >= NARROWEST && from.checked_add(size).is_some_and(|end| end <= 100);
    let lane = if whole.is_some() {
        // The whole picture is a lane of its own: it goes before the configured one.
        [0.0, 0.0, 1.0, 1.0]
    } else if fits(left, width) && fits(top, height) {
        [left, top, width, height].map(|percent| percent as f32 / 100.0)
    } else {
        return Err(Refusal::bad(
            "车道至少占画面的 10%，且不能超出画面",
            "a lane is at least 10 % of the picture, and inside it",
        ));
    };
    site.switches.change(|state| state.lane = Some(lane))?;
    site.accounts.audit.add(v.name(), "划定车道", &format!("{left} {top} {width} {height} %"), Some(v.from))?;
    say_next(&auth, v.t("已保存，立即生效")).await;
    Ok(Redirect::to("/settings/lane").into_response())
}
