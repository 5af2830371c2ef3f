//! Help with a plate: is it one, what kind, whom does it look like, who just stood at the gate.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use serde::Deserialize;

use crate::plate::{Form, Plate, PlateError};
use crate::register::{self, Snapshot};
use crate::web::Site;
use crate::web::refusal::{Answer, page};
use crate::web::visit::{Reader, Signed, Visit};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/cars/hint", get(show))
}

/// What can be said about a plate as it is typed.
pub(super) struct Hint {
    /// It is a plate, of this kind; in the visitor's language.
    pub kind: Option<String>,
    /// It is none, and why.
    pub wrong: Option<String>,
    /// It is registered already, for this household.
    pub known: Option<String>,
    /// Registered plates that are taken for it easily.
    pub lookalikes: Vec<(String, String)>,
}

impl Hint {
    pub(super) fn of(text: &str, snapshot: &Snapshot, v: &Visit) -> Hint {
        let mut hint = Hint { kind: None, wrong: None, known: None, lookalikes: Vec::new() };
        match text.parse::<Plate>() {
            Ok(plate) => {
                hint.kind = Some(v.t(form_words(plate.form())));
                hint.known = snapshot.get(&plate).map(|c| c.household.clone());
                hint.lookalikes = lookalikes(snapshot, plate);
            }
            Err(PlateError::Empty) => {}
            Err(error) => hint.wrong = Some(v.say(error.zh(), &error.to_string()).to_owned()),
        }
        hint
    }
}

/// Registered plates that a camera could take for it, with their households.
fn lookalikes(snapshot: &Snapshot, plate: Plate) -> Vec<(String, String)> {
    let household = |p: &Plate| snapshot.get(p).map(|c| c.household.clone()).unwrap_or_default();
    register::lookalikes(snapshot, plate).iter().take(8).map(|p| (p.to_string(), household(p))).collect()
}

/// What a plate's form says, in Chinese; the page translates.
pub(in crate::web) fn form_words(form: Form) -> &'static str {
    match form {
        Form::Standard => "普通牌（蓝牌小车或黄牌大车）",
        Form::NewEnergySmall => "绿牌（新能源小车）",
        Form::NewEnergyLarge => "黄绿牌（新能源大车）",
        Form::Police => "警车",
        Form::Emergency => "应急救援",
        Form::Embassy => "使馆",
        Form::Consulate => "领馆",
        Form::HongKongMacao => "港澳入出境",
        Form::Learner => "教练车",
        Form::Trailer => "挂车",
        Form::ArmedPolice => "武警",
        Form::Military => "军车",
    }
}

#[derive(Deserialize)]
struct Typed {
    #[serde(default)]
    plate: String,
}

#[derive(Template)]
#[template(path = "web/plate_hint.html")]
struct HintPart<'a> {
    v: &'a Visit,
    hint: &'a Hint,
}

/// The hint alone, for the script of the plate's pad.
async fn show(State(site): State<Arc<Site>>, v: Signed<Reader>, Query(typed): Query<Typed>) -> Answer {
    let hint = Hint::of(&typed.plate, &site.gate.register.snapshot(), &v);
    page(&HintPart { v: &v, hint: &hint })
}
