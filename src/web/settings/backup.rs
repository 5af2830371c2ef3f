//! A backup of everything, to be kept somewhere else.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::post;
use futures_util::stream;
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;

use crate::store::archive::{self, How};
use crate::web::Site;
use crate::web::refusal::{Answer, Refusal};
use crate::web::sent::Sent;
use crate::web::visit::{Maintainer, Signed};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/settings/backup", post(download))
}

/// One at a time: it reads every picture.
static MAKING: Mutex<()> = Mutex::const_new(());

#[derive(Deserialize)]
struct Nothing {}

async fn download(State(site): State<Arc<Site>>, v: Signed<Maintainer>, Sent(Nothing {}): Sent<Nothing>) -> Answer {
    let Ok(_making) = MAKING.try_lock() else { return Err(Refusal::Slowly(60)) };
    site.accounts.audit.add(v.name(), "下载备份", "", Some(v.from))?;
    let there = site.clone();
    let made = tokio::task::spawn_blocking(move || {
        let path = there.gate.store.folder().join("download.tar.zst");
        archive::backup(&there.gate.store, &path, &How::from(&there.gate.config))?;
        let file = std::fs::File::open(&path).map_err(|e| crate::store::StoreError::disk(&path, e))?;
        // Open is enough to read it; nothing is left behind, whatever becomes of the download.
        let _ = std::fs::remove_file(&path);
        Ok::<_, crate::store::StoreError>(file)
    });
    let file = tokio::fs::File::from_std(made.await.map_err(|_| Refusal::Broken)??);
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; 64 << 10];
        let n = file.read(&mut piece).await?;
        piece.truncate(n);
        Ok::<_, std::io::Error>((n > 0).then(|| (Bytes::from(piece), file)))
    });
    let suffix = How::from(&site.gate.config).suffix();
    let name = format!("attachment; filename=\"plategate-{}.{suffix}\"", crate::register::today());
    let headers = [(header::CONTENT_TYPE, "application/octet-stream".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
