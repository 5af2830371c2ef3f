//! The live picture and what changes beside it: a stream of server-sent events for the page's one script.
//!
//! The stream carries the numbers of new views with the plates on them, and the page's own HTML where it changed, so that
//! every word is written in one place. The picture itself is fetched when the last one has arrived: a slow telephone is not
//! flooded.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Site;
use super::now;
use super::refusal::Refusal;
use super::visit::{Reader, Signed, Visit};

/// The routes.
pub fn routes() -> Router<Arc<Site>> {
    Router::new().route("/live/events", get(events)).route("/live.jpg", get(picture))
}

/// As often as the lane makes views.
const EVERY: Duration = Duration::from_millis(500);
/// A stream ends after so long; the browser begins a new one, and whether it still may is asked again.
const LONGEST: Duration = Duration::from_secs(120);
/// Streams at once. Each costs two drawn fragments a second.
static STREAMS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(16)));

struct Watching {
    site: Arc<Site>,
    visit: Arc<Visit>,
    begun: Instant,
    view: Option<u64>,
    states: String,
    arrivals: String,
    waiting: Vec<Event>,
    _place: OwnedSemaphorePermit,
}

async fn events(State(site): State<Arc<Site>>, v: Signed<Reader>) -> Result<Response, Refusal> {
    note_look(&site, &v)?;
    let place = STREAMS.clone().try_acquire_owned().map_err(|_| Refusal::Slowly(30))?;
    let watching = Watching {
        site,
        visit: Arc::new(Visit::clone(&v)),
        begun: Instant::now(),
        view: None,
        states: String::new(),
        arrivals: String::new(),
        waiting: Vec::new(),
        _place: place,
    };
    let events = stream::unfold(watching, |mut watching| async move {
        while watching.begun.elapsed() < LONGEST {
            if let Some(event) = watching.waiting.pop() {
                return Some((Ok::<_, Infallible>(event), watching));
            }
            tokio::time::sleep(EVERY).await;
            watching.look();
        }
        None
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

impl Watching {
    /// What changed since the last look.
    fn look(&mut self) {
        if let Some((number, marks)) = self.site.gate.viewfinder.glance()
            && self.view != Some(number)
        {
            self.view = Some(number);
            let data = json!({"number": number, "marks": marks}).to_string();
            self.waiting.push(Event::default().event("view").data(data));
        }
        let fragments = [
            ("states", now::states(&self.site, &self.visit), &mut self.states),
            ("arrivals", now::arrivals(&self.site, &self.visit), &mut self.arrivals),
        ];
        for (name, drawn, last) in fragments {
            match drawn {
                Ok(html) if html != *last => {
                    self.waiting.push(Event::default().event(name).data(&html));
                    *last = html;
                }
                Ok(_) => {}
                Err(refusal) => tracing::warn!(?refusal, "a live fragment could not be drawn"),
            }
        }
    }
}

async fn picture(State(site): State<Arc<Site>>, v: Signed<Reader>) -> Result<Response, Refusal> {
    note_look(&site, &v)?;
    let Some(view) = site.gate.viewfinder.look() else {
        return Ok((StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "2")], "no frame yet\n").into_response());
    };
    let jpeg = tokio::task::spawn_blocking(move || view.picture.to_jpeg(75)).await.map_err(|_| Refusal::Broken)?;
    match jpeg {
        Ok(jpeg) => Ok(([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response()),
        Err(error) => {
            tracing::error!(%error, "the live picture could not be encoded");
            Err(Refusal::Broken)
        }
    }
}

/// Somebody who watches on is one look.
const ONE_LOOK: Duration = Duration::from_secs(15 * 60);
static LOOKS: LazyLock<Mutex<HashMap<String, Instant>>> = LazyLock::new(Mutex::default);

/// Puts a look at the live picture on record.
pub(super) fn note_look(site: &Site, v: &Visit) -> Result<(), Refusal> {
    let mut looks = LOOKS.lock();
    let key = format!("{} {}", v.name(), v.from);
    if looks.get(&key).is_some_and(|at| at.elapsed() < ONE_LOOK) {
        return Ok(());
    }
    looks.retain(|_, at| at.elapsed() < ONE_LOOK);
    looks.insert(key, Instant::now());
    site.accounts.audit.add(v.name(), "查看实时画面", "", Some(v.from))?;
    Ok(())
}
