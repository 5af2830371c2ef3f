//! The register and the visitors' passes for programs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{Body, Problem, Program};
use crate::plate::{Plate, PlateError};
use crate::register::{self, Pass, Standing, Vehicle};
use crate::web::Site;
use crate::web::cars::{self, Car};
use crate::web::refusal::{Answer, Refusal};
use crate::web::visit::{Reader, Signed, Steward};
use crate::web::visitors::{self, Wanted};

/// All households.
#[utoipa::path(get, path = "/api/v1/households", responses(
    (status = 200, description = "The households", body = Vec<serde_json::Value>),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
))]
pub(super) async fn households(State(site): State<Arc<Site>>, _: Signed<Reader>) -> Answer {
    let list: Vec<_> = site
        .gate
        .register
        .households()
        .iter()
        .map(|h| {
            let key = h.key();
            json!({"key": key, "building": h.building, "unit": h.unit, "name": h.name, "phone": h.phone})
        })
        .collect();
    Ok(Json(list).into_response())
}

/// A car with how it stands today.
#[derive(Serialize)]
struct Stands<'a> {
    plate: Plate,
    household: &'a str,
    blocked: bool,
    grace_until: Option<Date>,
    note: &'a str,
    standing: Standing,
    since: Option<Date>,
    until: Option<Date>,
}

impl<'a> Stands<'a> {
    fn of(vehicle: &'a Vehicle, today: Date) -> Stands<'a> {
        let stand = vehicle.stand(today);
        Stands {
            plate: vehicle.plate,
            household: &vehicle.household,
            blocked: vehicle.blocked,
            grace_until: vehicle.grace_until,
            note: &vehicle.note,
            standing: stand.standing,
            since: stand.since,
            until: stand.until,
        }
    }
}

/// All cars.
#[utoipa::path(get, path = "/api/v1/vehicles", responses(
    (status = 200, description = "The cars", body = Vec<serde_json::Value>),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
))]
pub(super) async fn vehicles(State(site): State<Arc<Site>>, _: Signed<Reader>) -> Answer {
    let (snapshot, today) = (site.gate.register.snapshot(), register::today());
    let cars: Vec<Stands<'_>> = snapshot.vehicles().iter().map(|vehicle| Stands::of(vehicle, today)).collect();
    Ok(Json(cars).into_response())
}

fn plate_of(text: &str) -> Result<Plate, Refusal> {
    text.parse().map_err(|e: PlateError| Refusal::bad(e.zh(), e.to_string()))
}

/// One car.
#[utoipa::path(get, path = "/api/v1/vehicles/{plate}",
    params(("plate" = String, Path, description = "Its plate")), responses(
    (status = 200, description = "The car", body = serde_json::Value),
    (status = 400, description = "Not text", body = Problem),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
    (status = 404, description = "It is not registered", body = Problem),
    (status = 422, description = "Not a plate", body = Problem),
))]
pub(super) async fn vehicle(State(site): State<Arc<Site>>, _: Signed<Reader>, Path(plate): Path<String>) -> Answer {
    let snapshot = site.gate.register.snapshot();
    let vehicle = snapshot.get(&plate_of(&plate)?).ok_or(Refusal::NotFound)?;
    Ok(Json(Stands::of(vehicle, register::today())).into_response())
}

/// A car to be written.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewVehicle {
    /// The building's number.
    #[schema(minimum = 1)]
    building: u16,
    /// The flat, such as `301`.
    #[schema(min_length = 1, max_length = 16)]
    unit: String,
    /// The household's contact; what is known stays if not said.
    #[serde(default)]
    name: String,
    /// Its telephone; what is known stays if not said.
    #[serde(default)]
    phone: String,
    /// Not to be let in.
    #[serde(default)]
    blocked: bool,
    /// Let in without payment up to this day, such as `2026-12-31`.
    grace_until: Option<String>,
    /// A remark.
    #[serde(default)]
    note: String,
}

/// Adds a car or writes it anew.
#[utoipa::path(put, path = "/api/v1/vehicles/{plate}", request_body = NewVehicle,
    params(("plate" = String, Path, description = "Its plate")), responses(
    (status = 200, description = "The car, as it is now", body = serde_json::Value),
    (status = 400, description = "Not text", body = Problem),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not a steward", body = Problem),
    (status = 413, description = "More than is taken", body = Problem),
    (status = 422, description = "What cannot be", body = Problem),
))]
pub(super) async fn put_vehicle(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Path(plate): Path<String>,
    Body(new): Body<NewVehicle>,
) -> Answer {
    let plate = plate_of(&plate)?;
    let old = site.gate.register.snapshot().get(&plate).map(|c| c.plate);
    let car = Car {
        plate: plate.to_string(),
        building: new.building.to_string(),
        unit: new.unit,
        name: new.name,
        phone: new.phone,
        blocked: new.blocked.then(|| "on".into()),
        grace_until: new.grace_until.unwrap_or_default(),
        note: new.note,
        ..Car::default()
    };
    cars::save(&site, &v, &car, old).map_err(|(zh, en)| Refusal::Bad(zh, en))?;
    let (snapshot, today) = (site.gate.register.snapshot(), register::today());
    Ok(Json(snapshot.get(&plate).map(|vehicle| Stands::of(vehicle, today))).into_response())
}

/// Takes a car out.
#[utoipa::path(delete, path = "/api/v1/vehicles/{plate}",
    params(("plate" = String, Path, description = "Its plate")), responses(
    (status = 204, description = "It is out"),
    (status = 400, description = "Not text", body = Problem),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not a steward", body = Problem),
    (status = 404, description = "It is not registered", body = Problem),
    (status = 422, description = "Not a plate", body = Problem),
))]
pub(super) async fn delete_vehicle(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    _: Program,
    Path(plate): Path<String>,
) -> Answer {
    let there = cars::retire(&site, &v, plate_of(&plate)?)?;
    if there { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(Refusal::NotFound) }
}

pub(super) fn pass_json(pass: &Pass, digits: Option<String>) -> serde_json::Value {
    let worth = format!("{:?}", pass.validity(Timestamp::now())).to_lowercase();
    let mut value = serde_json::to_value(pass).unwrap_or_default();
    value["validity"] = json!(worth);
    value["digits"] = json!(digits);
    value
}

/// All visitors' passes.
#[utoipa::path(get, path = "/api/v1/passes", responses(
    (status = 200, description = "The passes", body = Vec<serde_json::Value>),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
))]
pub(super) async fn passes(State(site): State<Arc<Site>>, _: Signed<Reader>) -> Answer {
    let mut list = Vec::new();
    for pass in site.gate.register.passes()? {
        list.push(pass_json(&pass, site.digits.of(pass.id)?));
    }
    Ok(Json(list).into_response())
}

/// A pass to be given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPass {
    /// The visitor's plate.
    plate: String,
    /// The household that is visited, such as `2-301`.
    household: String,
    /// Good from then on; from now if not said.
    from: Option<Moment>,
    /// Good until then; a day if not said.
    to: Option<Moment>,
    /// So many times; any number if not said.
    #[schema(minimum = 1, maximum = 999)]
    entries: Option<u32>,
    /// A remark.
    #[serde(default)]
    note: String,
}

/// A moment with its zone, such as `2026-11-25T10:00:00Z`.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub(super) struct Moment(Timestamp);

/// Gives a visitor a pass.
#[utoipa::path(post, path = "/api/v1/passes", request_body = NewPass, responses(
    (status = 201, description = "The pass, with its six digits", body = serde_json::Value),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not a steward", body = Problem),
    (status = 413, description = "More than is taken", body = Problem),
    (status = 422, description = "What cannot be", body = Problem),
))]
pub(super) async fn give_pass(State(site): State<Arc<Site>>, v: Signed<Steward>, Body(new): Body<NewPass>) -> Answer {
    let text = |at: Option<Moment>| at.map(|t| t.0.to_string()).unwrap_or_default();
    let wanted = Wanted {
        plate: new.plate,
        household: new.household,
        from: text(new.from),
        to: text(new.to),
        entries: new.entries.map(|n| n.to_string()).unwrap_or_default(),
        note: new.note,
    };
    let pass = visitors::give_pass(&site, &v, &wanted)?;
    let digits = site.digits.of(pass.id)?;
    Ok((StatusCode::CREATED, Json(pass_json(&pass, digits))).into_response())
}

/// Takes a pass back.
#[utoipa::path(delete, path = "/api/v1/passes/{id}",
    params(("id" = u64, Path, description = "Its number")), responses(
    (status = 204, description = "It is taken back"),
    (status = 400, description = "Not a number", body = Problem),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not a steward", body = Problem),
    (status = 404, description = "There is none", body = Problem),
))]
pub(super) async fn take_pass_back(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    _: Program,
    Path(id): Path<u64>,
) -> Answer {
    let there = visitors::take_pass_back(&site, &v, id)?;
    if there { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(Refusal::NotFound) }
}
