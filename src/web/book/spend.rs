//! Spending, with a photograph of the receipt.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;

use super::{Common, enter, purse, words, yuan};
use crate::accounts::code;
use crate::ledger::receipts::ReceiptError;
use crate::ledger::{Hash, Purpose, What};
use crate::register;
use crate::web::refusal::{Answer, Refusal, page};
use crate::web::sent::Upload;
use crate::web::visit::{Cashier, Reader, Signed, Treasurer, Visit};
use crate::web::{Auth, Site, say_next};

/// The largest photograph: telephones take up to a dozen megabytes.
pub(in crate::web) const LARGEST: usize = 16 << 20;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/book/spend", get(form).post(spend).layer(DefaultBodyLimit::max(LARGEST)))
        .route("/book/receipts/{hash}", get(receipt))
}

#[derive(Template)]
#[template(path = "web/book/spend.html")]
struct SpendPage<'a> {
    v: &'a Visit,
    purposes: Vec<(&'static str, &'static str)>,
    treasurer: bool,
    today: String,
    once: String,
}

async fn form(v: Signed<Cashier>) -> Answer {
    page(&SpendPage {
        purposes: Purpose::ALL.map(|p| (p.name(), words::purpose(&v, p))).to_vec(),
        treasurer: v.may::<Treasurer>(),
        today: register::today().to_string(),
        once: code::secret(),
        v: &v,
    })
}

async fn spend(
    State(site): State<Arc<Site>>,
    v: Signed<Cashier>,
    Extension(auth): Extension<Auth>,
    upload: Upload,
) -> Answer {
    let purpose = Purpose::ALL.into_iter().find(|p| p.name() == upload.field("purpose"));
    let purpose = purpose.ok_or_else(|| Refusal::bad("请选择用途", "choose what it was spent on"))?;
    let (amount, out_of) = (yuan(upload.field("amount"))?, purse(&v, upload.field("out_of"))?);
    let [title, payee, day, note, once] = ["title", "payee", "day", "note", "once"].map(|f| upload.field(f).to_owned());
    let receipt = keep(&site, upload.file).await?;
    let what = What::Spending { purpose, title, payee, amount, out_of, receipt };
    let sealed = enter(&site, &v, Common { day, note, once }.draft(&v, what)?).await?;
    let told = v.f("已记支出 {} 元，第 {} 笔", &[&amount, &sealed.entry.number]);
    say_next(&auth, told).await;
    Ok(Redirect::to(&format!("/book/entries/{}", sealed.entry.number)).into_response())
}

/// Keeps a photograph, if there is one.
pub(in crate::web) async fn keep(site: &Arc<Site>, file: Vec<u8>) -> Result<Option<Hash>, Refusal> {
    if file.is_empty() {
        return Ok(None);
    }
    let there = site.clone();
    let kept = tokio::task::spawn_blocking(move || there.gate.register.ledger().receipts().keep(&file));
    match kept.await.map_err(|_| Refusal::Broken)? {
        Ok(hash) => Ok(Some(hash)),
        Err(ReceiptError::Store(error)) => Err(error.into()),
        Err(error) => Err(Refusal::bad("这个文件不是照片（JPEG、PNG 或 WebP）", error.to_string())),
    }
}

async fn receipt(State(site): State<Arc<Site>>, v: Signed<Reader>, Path(hash): Path<String>) -> Answer {
    let hash: Hash = hash.trim_end_matches(".jpg").parse().map_err(|_| Refusal::NotFound)?;
    let path = site.gate.register.ledger().receipts().path(&hash);
    let jpeg = tokio::fs::read(path).await.map_err(|_| Refusal::NotFound)?;
    site.accounts.audit.add_of(v.name(), "查看票据", &hash.to_string()[..12], "", Some(v.from))?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response())
}
