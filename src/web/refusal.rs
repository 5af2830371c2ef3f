//! Why a request got no answer, and the page or the JSON that says so.

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde_json::json;

use super::visit::Visit;
use crate::accounts::AccountError;
use crate::store::StoreError;

/// Why not.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// Nobody is signed in.
    SignIn,
    /// Signed in, but not in the role for it.
    Forbidden,
    /// A form that was not sent from one of our pages, or whose session has ended.
    Forged,
    /// There is no such thing.
    NotFound,
    /// What was sent cannot be: in Chinese, and in English.
    Bad(String, String),
    /// Too many tries; again in so many seconds.
    Slowly(u64),
    /// More than is taken.
    TooLarge,
    /// The gate was opened by hand, and the disk did not take it down.
    Unrecorded,
    /// The disk does not take or give what was asked.
    Disk,
    /// Our own fault; the log has more.
    Broken,
}

impl Refusal {
    /// What was sent cannot be.
    pub fn bad(zh: impl Into<String>, en: impl Into<String>) -> Refusal {
        Refusal::Bad(zh.into(), en.into())
    }

    fn status(&self) -> StatusCode {
        match self {
            Refusal::SignIn => StatusCode::UNAUTHORIZED,
            Refusal::Forbidden | Refusal::Forged => StatusCode::FORBIDDEN,
            Refusal::NotFound => StatusCode::NOT_FOUND,
            Refusal::Bad(..) => StatusCode::UNPROCESSABLE_ENTITY,
            Refusal::Slowly(_) => StatusCode::TOO_MANY_REQUESTS,
            Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Disk | Refusal::Unrecorded => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// In Chinese and in English.
    fn words(&self) -> (String, String) {
        let pair = |zh: &str, en: &str| (zh.to_owned(), en.to_owned());
        match self {
            Refusal::SignIn => pair("请先登录", "sign in first"),
            Refusal::Forbidden => pair("您的角色不能做这件事", "your role may not do this"),
            Refusal::Forged => pair(
                "表单已失效，请返回上一页刷新后重试",
                "this form has expired: go back, reload the page and try again",
            ),
            Refusal::NotFound => pair("没有找到", "there is no such thing"),
            Refusal::Bad(zh, en) => (zh.clone(), en.clone()),
            Refusal::Slowly(s) => (format!("尝试太频繁，请 {s} 秒后再试"), format!("too many tries: again in {s} s")),
            Refusal::TooLarge => pair("文件太大", "this is more than is taken"),
            Refusal::Unrecorded => pair(
                "已抬杆。但磁盘写不进去，没有记上：请把时间和原因写在纸上，并告诉维护人员",
                "it opened, but the disk did not take it down: note the time and the reason on paper, and tell a maintainer",
            ),
            Refusal::Disk => pair(
                "磁盘读写失败，刚才的操作没有完成。闸门照常放行。请维护人员查看“设置”里的健康和主机日志",
                "the disk failed, and what you asked for was not done; the gate goes on. A maintainer should look at the health \
                 under Settings, and at the log",
            ),
            Refusal::Broken => pair(
                "系统出错，刚才的操作可能没有完成。请返回重试；再出错请维护人员查看主机日志",
                "something failed here, and what you asked for may not be done: try again, or ask a maintainer to look at the log",
            ),
        }
    }

    /// In English, for programs.
    pub(super) fn english(&self) -> String {
        self.words().1
    }

    /// The answer to this visitor: a page, or JSON for the API.
    pub fn dress(&self, visit: &Visit) -> Response {
        let (zh, en) = self.words();
        let mut response = if visit.path.starts_with("/api/") {
            (self.status(), Json(json!({"error": en}))).into_response()
        } else if matches!(self, Refusal::SignIn) {
            Redirect::to("/sign-in").into_response()
        } else {
            let text = visit.say(&zh, &en).to_owned();
            let page = ErrorPage { v: visit, text, status: self.status().as_u16() };
            match page.render() {
                Ok(page) => (self.status(), Html(page)).into_response(),
                Err(_) => (self.status(), en).into_response(),
            }
        };
        if let Refusal::Slowly(seconds) = self
            && let Ok(value) = HeaderValue::from_str(&seconds.to_string())
        {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

#[derive(Template)]
#[template(path = "web/error.html")]
struct ErrorPage<'a> {
    v: &'a Visit,
    text: String,
    status: u16,
}

/// Carried as an extension to the layer that knows the visitor.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        tracing::error!(%error, "the page could not use the store");
        Refusal::Disk
    }
}

impl From<askama::Error> for Refusal {
    fn from(error: askama::Error) -> Refusal {
        tracing::error!(%error, "a page could not be drawn");
        Refusal::Broken
    }
}

impl From<AccountError> for Refusal {
    fn from(error: AccountError) -> Refusal {
        match error {
            AccountError::Store(error) => error.into(),
            AccountError::Unknown => Refusal::NotFound,
            other => Refusal::bad(other.zh(), other.to_string()),
        }
    }
}

/// A page that was asked for.
pub type Answer = Result<Response, Refusal>;

/// Draws a page.
pub fn page(template: &impl Template) -> Answer {
    Ok(Html(template.render()?).into_response())
}

/// Draws a form again, with what was wrong in it.
pub fn again(template: &impl Template) -> Answer {
    Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(template.render()?)).into_response())
}
