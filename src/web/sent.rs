//! What a person sends: forms and files. Both carry the session's token; without it nothing is taken.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Site;
use super::refusal::Refusal;
use super::visit::Visit;
use crate::accounts::code;

/// A form of one of our pages.
#[derive(Clone, Debug)]
pub struct Sent<T>(pub T);

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    csrf: String,
}

impl<T: DeserializeOwned> FromRequest<Arc<Site>> for Sent<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Refusal> {
        let visit = visit_of(&request)?;
        let bytes = Bytes::from_request(request, site).await.map_err(|e| too_large(e.into_response().status()))?;
        let token: Token = parse(&bytes)?;
        check(&visit, &token.csrf)?;
        parse(&bytes).map(Sent)
    }
}

/// A form before sign-in: there is no session yet that could have a token.
#[derive(Clone, Debug)]
pub struct Early<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Site>> for Early<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Refusal> {
        let bytes = Bytes::from_request(request, site).await.map_err(|e| too_large(e.into_response().status()))?;
        parse(&bytes).map(Early)
    }
}

/// A form with a file.
#[derive(Debug, Default)]
pub struct Upload {
    /// The file's content; empty if none was chosen.
    pub file: Vec<u8>,
    /// The other fields.
    pub fields: HashMap<String, String>,
}

impl Upload {
    /// A field, trimmed; empty if it was not sent.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |v| v.trim())
    }
}

/// The fields of a form; more is no form of ours.
const MOST_FIELDS: usize = 30;

impl FromRequest<Arc<Site>> for Upload {
    type Rejection = Refusal;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Refusal> {
        let visit = visit_of(&request)?;
        let mut parts = Multipart::from_request(request, site).await.map_err(|e| too_large(e.status()))?;
        let mut upload = Upload::default();
        while let Some(field) = parts.next_field().await.map_err(|e| too_large(e.status()))? {
            let name = field.name().unwrap_or_default().to_owned();
            let is_file = field.file_name().is_some();
            let bytes = field.bytes().await.map_err(|e| too_large(e.status()))?;
            if is_file {
                upload.file = bytes.to_vec();
            } else if upload.fields.len() < MOST_FIELDS {
                upload.fields.insert(name, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        check(&visit, upload.field("csrf"))?;
        Ok(upload)
    }
}

fn visit_of(request: &Request) -> Result<Arc<Visit>, Refusal> {
    request.extensions().get::<Arc<Visit>>().cloned().ok_or(Refusal::SignIn)
}

/// Is it this session's token? A program's request has no session and sends no forms.
fn check(visit: &Visit, token: &str) -> Result<(), Refusal> {
    if !visit.csrf.is_empty() && code::same(&visit.csrf, token) { Ok(()) } else { Err(Refusal::Forged) }
}

fn too_large(status: StatusCode) -> Refusal {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge,
        _ => Refusal::bad("表单无法读取", "the form cannot be read"),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_html_form::from_bytes(bytes).map_err(|e| {
        let why: String = e.to_string().chars().take(120).collect();
        Refusal::bad(format!("表单有误：{why}"), format!("the form is not right: {why}"))
    })
}
