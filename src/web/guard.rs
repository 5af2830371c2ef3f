//! What every request passes before a handler sees it.
//!
//! In order: the box's own names only (a foreign page may not call it by a name of its own); nothing that another site's
//! page sends; who is it; and after the answer: what browsers may do with it. A path that is not in [`is_public`] is for
//! people and programs that signed in, whatever its handler says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};

use super::Site;
use super::refusal::Refusal;
use super::serve::{WATCHED, Wire};
use super::sign_in::{self, Auth};
use super::visit::{Lang, Visit};

/// Tells browsers to load nothing from elsewhere, to run no script but ours, and to show the page in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'";

/// Refuses foreign names and dresses the answer.
pub async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).map(str::to_owned);
    // HTTP/2 carries it as the authority.
    let host = host.or_else(|| request.uri().authority().map(ToString::to_string)).unwrap_or_default();
    if !is_own_name(&host, &site.gate.config.web.names) {
        return (StatusCode::MISDIRECTED_REQUEST, "use the gate's address, or localhost\n").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not "no-referrer": browsers then send "Origin: null" with our own forms.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("permissions-policy", HeaderValue::from_static("camera=(), microphone=(), geolocation=()"));
    response
}

/// Who is it, and may they be here at all? Puts the [`Visit`] where handlers find it, and dresses refusals for it.
pub async fn identify(State(site): State<Arc<Site>>, jar: CookieJar, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let asked = query_value(request.uri().query(), "lang").and_then(Lang::of);
    let lang = asked.or_else(|| jar.get("lang").and_then(|c| Lang::of(c.value()))).unwrap_or_default();
    let from = peer(&request);
    let (base, csrf) = (base(&request), String::new());
    let mut visit = Visit { who: None, lang, csrf, is_program: false, from, base, path, notice: None };
    let token = bearer(request.headers()).map(str::to_owned);
    let known = match &token {
        Some(token) => by_token(&site, token, &mut visit),
        None => by_session(&site, &mut request, &mut visit).await,
    };
    let allowed = known.and_then(|()| {
        if visit.who.is_none() && !is_public(&visit.path) {
            return Err(Refusal::SignIn);
        }
        // A second wall beside the rights of the handlers: what is not for residents is not even reached.
        if visit.household().is_some() && !is_for_residents(&visit.path) {
            return Err(Refusal::Forbidden);
        }
        let own = token.is_some() || is_same_origin(request.method(), request.headers());
        if own { Ok(()) } else { Err(Refusal::Forged) }
    });
    let visit = Arc::new(visit);
    let response = match allowed {
        Ok(()) => {
            request.extensions_mut().insert(visit.clone());
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    };
    let response = dress(response, &visit);
    match asked {
        Some(lang) => (jar.add(lang_cookie(lang)), response).into_response(),
        None => response,
    }
}

/// Refusals, and what axum itself refused, as a page or as JSON.
fn dress(mut response: Response, visit: &Visit) -> Response {
    if let Some(refusal) = response.extensions_mut().remove::<Arc<Refusal>>() {
        return refusal.dress(visit);
    }
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let bare = kind.is_empty() || kind.starts_with("text/plain");
    let status = response.status();
    if !bare || !(status.is_client_error() || status.is_server_error()) || WATCHED.contains(&visit.path.as_str()) {
        return response;
    }
    let mut dressed = match status {
        StatusCode::NOT_FOUND => Refusal::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge,
        s if s.is_server_error() => Refusal::Broken,
        _ => Refusal::bad("地址或内容有误", "the address or what was sent is not right"),
    }
    .dress(visit);
    *dressed.status_mut() = status;
    if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
        dressed.headers_mut().insert(header::ALLOW, allow);
    }
    dressed
}

/// The few paths that ask for no sign-in.
fn is_public(path: &str) -> bool {
    WATCHED.contains(&path)
        || ["/sign-in", "/setup", "/join", "/board", "/favicon.ico"].contains(&path)
        || path.starts_with("/assets/")
        || path.starts_with("/board/")
}

/// The paths of a resident who signed in: their household's page, their own account, and what everybody may see.
fn is_for_residents(path: &str) -> bool {
    is_public(path)
        || ["/", "/home", "/account", "/sign-out"].contains(&path)
        || path.starts_with("/home/")
        || path.starts_with("/account/")
}

/// How the browser calls the box. The name was checked by [`guard`].
fn base(request: &Request) -> String {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).map(str::to_owned);
    let host = host.or_else(|| request.uri().authority().map(ToString::to_string)).unwrap_or_default();
    let secure = request.extensions().get::<Wire>() == Some(&Wire::Tls);
    format!("{}://{host}", if secure { "https" } else { "http" })
}

fn by_token(site: &Site, token: &str, visit: &mut Visit) -> Result<(), Refusal> {
    // Programs have the API, and nothing else.
    if !visit.path.starts_with("/api/") {
        return Err(Refusal::SignIn);
    }
    let token = site.accounts.tokens.find(token)?.ok_or(Refusal::SignIn)?;
    let user = site.accounts.user(&token.user)?.filter(|u| !u.disabled).ok_or(Refusal::SignIn)?;
    (visit.who, visit.is_program) = (Some(user), true);
    Ok(())
}

async fn by_session(site: &Site, request: &mut Request, visit: &mut Visit) -> Result<(), Refusal> {
    let Some(auth) = request.extensions().get::<Auth>().cloned() else { return Ok(()) };
    let Some(user) = auth.user.clone() else { return Ok(()) };
    if !sign_in::is_young(&auth.session, site.gate.config.web.session_hours).await {
        // However busy it was: a sign-in lasts so long and no longer.
        let _ = auth.session.flush().await;
        return Ok(());
    }
    visit.who = Some(user.0);
    visit.csrf = sign_in::csrf(&auth.session).await;
    let accepts = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if *request.method() == Method::GET && accepts.contains("text/html") {
        visit.notice = sign_in::take_notice(&auth.session).await;
    }
    Ok(())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn peer(request: &Request) -> IpAddr {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    info.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip().to_canonical())
}

/// Does a request that changes something come from one of our own pages? Browsers say so in `Sec-Fetch-Site`, and all of
/// them send `Origin` with such a request; one that has neither is not from a page of ours.
fn is_same_origin(method: &Method, headers: &HeaderMap) -> bool {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) {
        return true;
    }
    let text = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(site) = headers.get("sec-fetch-site").and_then(|v| v.to_str().ok())
        && site != "same-origin"
    {
        return false;
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, name)| name == host),
        // HTTP/2 has no Host header; there the browser's own word is enough.
        (Some(_), None) | (None, _) => headers.contains_key("sec-fetch-site"),
    }
}

fn query_value<'a>(query: Option<&'a str>, key: &str) -> Option<&'a str> {
    query?.split('&').filter_map(|pair| pair.split_once('=')).find(|(k, _)| *k == key).map(|(_, v)| v)
}

fn lang_cookie(lang: Lang) -> Cookie<'static> {
    // A year, in seconds as cookies count them.
    let mut cookie = Cookie::new("lang", lang.code());
    cookie.set_path("/");
    cookie.set_same_site(SameSite::Lax);
    cookie.set_http_only(true);
    cookie.make_permanent();
    cookie
}

/// An IP address, `localhost`, a name without a dot (a machine of this network), or one that the operator named.
fn is_own_name(host: &str, names: &[String]) -> bool {
    if host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    let local = name.ends_with(".local") || name.ends_with(".lan") || !name.contains('.');
    let named = names.iter().any(|n| n.eq_ignore_ascii_case(name));
    !name.is_empty() && (local || named || name.parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_are_refused() {
        let named = ["gate.example.org".to_owned()];
        for host in [
            "127.0.0.1:8460",
            "localhost:8460",
            "192.168.1.9",
            "[::1]:8460",
            "gate",
            "gate.local",
            "Gate.Example.org:1",
        ] {
            assert!(is_own_name(host, &named), "{host}");
        }
        for host in ["", "evil.example", "evil.example:8460", "127.0.0.1.evil.example", "x.gate.example.org"] {
            assert!(!is_own_name(host, &named), "{host}");
        }
    }

    #[test]
    fn only_our_own_pages_may_change_anything() {
        let case = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            is_same_origin(&Method::POST, &headers)
        };
        assert!(case(&[("host", "gate:8460"), ("origin", "https://gate:8460"), ("sec-fetch-site", "same-origin")]));
        assert!(case(&[("host", "gate:8460"), ("origin", "https://gate:8460")]));
        for headers in [
            &[("host", "gate:8460")][..],
            &[("host", "gate:8460"), ("origin", "null")],
            &[("host", "gate:8460"), ("origin", "https://gate:8461")],
            &[("host", "gate:8460"), ("origin", "https://evil.example")],
            &[("host", "gate:8460"), ("origin", "https://evilgate:8460")],
            &[("host", "gate:8460"), ("origin", "https://gate:8460"), ("sec-fetch-site", "cross-site")],
            &[("host", "gate:8460"), ("origin", "https://gate:8460"), ("sec-fetch-site", "same-site")],
            &[("host", "gate:8460"), ("sec-fetch-site", "none")],
        ] {
            assert!(!case(headers), "{headers:?}");
        }
        assert!(is_same_origin(&Method::GET, &HeaderMap::new()));
    }
}
