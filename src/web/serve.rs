//! The socket: one port that speaks HTTPS and, to this machine itself, plain HTTP.
//!
//! A connection's first byte tells which it is. Plain HTTP from another machine gets the three pages that programs watch and,
//! for everything else, the way to HTTPS.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::{StatusCode, header};
use axum::middleware::{AddExtension, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tower::Layer;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Encrypted.
    Tls,
    /// Not encrypted.
    Plain,
}

/// Takes the address; if it is taken and `any_port` is allowed, another port.
pub async fn bind(listen: SocketAddr, any_port: bool) -> io::Result<TcpListener> {
    match TcpListener::bind(listen).await {
        Err(e) if any_port && e.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::new(listen.ip(), 0)).await
        }
        other => other,
    }
}

/// Serves until the runtime is shut down; without a certificate in plain HTTP only.
pub async fn serve(listener: TcpListener, router: Router, tls: Option<RustlsConfig>) {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let served = async {
        let server = axum_server::from_tcp(listener.into_std()?)?;
        server.acceptor(Both { tls: tls.map(RustlsAcceptor::new) }).serve(service).await
    };
    if let Err(error) = served.await {
        tracing::error!(%error, "the page stopped");
    }
}

/// Pages for programs that watch the box; nothing personal is in them.
pub const WATCHED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Sends plain requests of other machines to HTTPS. Requests that came through no socket, in a test, pass.
pub async fn only_encrypted(request: Request, next: Next) -> Response {
    let plain = request.extensions().get::<Wire>() == Some(&Wire::Plain);
    let far = request.extensions().get::<ConnectInfo<SocketAddr>>().is_some_and(|peer| !peer.0.ip().is_loopback());
    if !(plain && far) || WATCHED.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok());
    match host {
        Some(host) if *request.method() == axum::http::Method::GET => {
            let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
            Redirect::temporary(&format!("https://{host}{path}")).into_response()
        }
        _ => (StatusCode::UPGRADE_REQUIRED, "use https\n").into_response(),
    }
}

/// Either kind of stream.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Accepts both kinds of connection on one port.
#[derive(Clone)]
struct Both {
    tls: Option<RustlsAcceptor>,
}

/// A telephone that has gone to sleep must not hold a connection for ever.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// The first byte of a TLS handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

impl<S: Send + 'static> Accept<TcpStream, S> for Both {
    type Stream = Box<dyn Stream>;
    type Service = AddExtension<S, Wire>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let tls = self.tls.clone();
        Box::pin(async move {
            // Small answers, such as live events, go out at once.
            stream.set_nodelay(true)?;
            let mark = |wire: Wire| axum::Extension(wire).layer(service);
            let Some(tls) = tls else { return Ok((Box::new(stream) as Self::Stream, mark(Wire::Plain))) };
            let mut first = [0u8];
            let looked = tokio::time::timeout(FIRST_BYTE, stream.peek(&mut first)).await;
            if looked.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if first[0] != HANDSHAKE {
                return Ok((Box::new(stream) as Self::Stream, mark(Wire::Plain)));
            }
            let (stream, _) = tls.accept(stream, ()).await?;
            Ok((Box::new(stream) as Self::Stream, mark(Wire::Tls)))
        })
    }
}
