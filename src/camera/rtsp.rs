//! Why does a network camera give no stream? Asked of the camera itself, because FFmpeg does not tell.
//!
//! One DESCRIBE without name and password: a camera that wants them says so (401), one that has no such stream too (404).
//! It is asked after an attempt failed, and costs no failed sign-in: cameras lock up after a few of those.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::{Duration, Instant};

/// What stands in the reason when the camera refuses name and password; see [`super::CameraError::is_refusal`].
pub(super) const REFUSED: &str = "refuses the sign-in";
/// The first line of an answer is shorter.
const LONGEST: usize = 4096;

/// Host and port of `rtsp://user:password@host:port/path`.
pub(super) fn host(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let place = authority.rsplit('@').next()?;
    let default = if scheme == "rtsps" { 322 } else { 554 };
    let (host, port) = match place.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((v6, port)) => (v6, port.strip_prefix(':')),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = port.map_or(Some(default), |p| p.parse().ok())?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// The address without name and password.
fn without_sign_in(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    format!("{scheme}://{}{path}", authority.rsplit('@').next().unwrap_or(authority))
}

/// The address with the password that lies in a file.
pub(super) fn with_password(url: &str, file: &Path) -> Result<String, String> {
    let path = crate::config::place(file);
    let text = std::fs::read_to_string(&path).map_err(|e| format!("camera.password_file {}: {e}", path.display()))?;
    put_in(url, text.trim_end_matches(['\r', '\n'])).ok_or_else(|| {
        "camera.source: with a password_file the user name is expected, rtsp://user@host/path".to_owned()
    })
}

fn put_in(url: &str, password: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, place) = authority.rsplit_once('@')?;
    if user.is_empty() || user.contains(':') {
        return None;
    }
    // Whatever is not plain would end the password early.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let encoded: String =
        password.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
    Some(format!("{scheme}://{user}:{encoded}@{place}{path}"))
}

fn has_sign_in(url: &str) -> bool {
    url.split_once("://").is_some_and(|(_, rest)| rest.split(['/', '?']).next().is_some_and(|a| a.contains('@')))
}

/// Does anybody answer there, at the first of the host's addresses that does?
pub(super) fn connect(host: &str, port: u16, timeout: Duration) -> Result<TcpStream, String> {
    let mut problem = format!("{host} has no address");
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(|e| format!("{host}: {e}"))?.collect();
    for address in addresses {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(e) => problem = format!("{host}:{port}: {e}"),
        }
    }
    Err(problem)
}

/// Why no stream comes from a camera that can be reached, in a line that says what to do.
pub(super) fn why(url: &str, timeout: Duration) -> String {
    let default = "the camera answers but gives no stream: check the path, the user name and the password".to_owned();
    let Some((host, port)) = host(url).filter(|_| url.starts_with("rtsp://")) else { return default };
    match ask(&host, port, url, timeout) {
        Ok(401 | 403) if has_sign_in(url) => {
            format!("the camera {REFUSED}: check the user name and the password in camera.source, and the path")
        }
        Ok(401 | 403) => {
            format!("the camera {REFUSED}: it wants a user name and a password, rtsp://user:password@{host}/…")
        }
        Ok(404) => "the camera has no such stream: check the path in camera.source".to_owned(),
        Ok(200..=299) => {
            "the camera answers but sends no pictures: is its stream switched on, H.264 or H.265?".to_owned()
        }
        Ok(status) => format!("the camera answers with error {status}: look at its own page"),
        Err(problem) => problem,
    }
}

/// The status that a DESCRIBE is answered with.
fn ask(host: &str, port: u16, url: &str, timeout: Duration) -> Result<u16, String> {
    let mut stream = connect(host, port, timeout)?;
    let silent = || format!("{host}:{port} takes connections and does not answer: restart the camera");
    let plain = without_sign_in(url);
    let asked =
        format!("DESCRIBE {plain} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\nUser-Agent: plategate\r\n\r\n");
    let send = stream.set_write_timeout(Some(timeout)).and_then(|()| stream.write_all(asked.as_bytes()));
    send.map_err(|_| silent())?;
    let (mut answer, until) = (Vec::new(), Instant::now() + timeout);
    let mut piece = [0; 512];
    while !answer.contains(&b'\n') && answer.len() < LONGEST {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            break;
        }
        match stream.read(&mut piece) {
            Ok(n) if n > 0 => answer.extend_from_slice(&piece[..n]),
            _ => break,
        }
    }
    if answer.is_empty() {
        return Err(silent());
    }
    status(&answer).ok_or_else(|| format!("{host}:{port} speaks no RTSP: is it the camera, and the right port?"))
}

/// The status of an answer.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|b| *b == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    line.strip_prefix("RTSP/1.")?.split(' ').nth(1)?.trim().parse().ok()
}

/// Any answer and any address; for [`crate::fuzzing`].
pub(super) fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = (status(bytes), host(&text), has_sign_in(&text), without_sign_in(&text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_are_found_in_addresses_and_sign_ins_are_left_out() {
        for (url, want) in [
            ("rtsp://10.0.0.5/live", Some(("10.0.0.5".to_owned(), 554))),
            ("rtsp://u:p@cam.lan:8554/a/b?c", Some(("cam.lan".to_owned(), 8554))),
            ("rtsp://[::1]:8554/x", Some(("::1".to_owned(), 8554))),
            ("rtsps://h", Some(("h".to_owned(), 322))),
            ("rtsp://h:x/", None),
            ("rtsp:///x", None),
        ] {
            assert_eq!(host(url), want, "{url}");
        }
        assert_eq!(without_sign_in("rtsp://u:p%40x@cam:8554/a@b?c"), "rtsp://cam:8554/a@b?c");
        assert_eq!(without_sign_in("rtsp://cam/a"), "rtsp://cam/a");
        assert_eq!(put_in("rtsp://u@cam:8554/a@b", "p@ß:/").unwrap(), "rtsp://u:p%40%C3%9F%3A%2F@cam:8554/a@b");
        assert_eq!((put_in("rtsp://cam/a", "p"), put_in("rtsp://u:p@cam/a", "p")), (None, None));
        assert!(has_sign_in("rtsp://u:p@cam/a") && !has_sign_in("rtsp://cam/a@b"));
    }

    /// A camera that answers every question with these bytes.
    fn camera(answer: &'static [u8]) -> u16 {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer);
            }
        });
        port
    }

    #[test]
    fn what_the_camera_says_becomes_advice() {
        let patience = Duration::from_secs(20);
        for (answer, sign_in, part) in [
            (&b"RTSP/1.0 401 Unauthorized\r\n\r\n"[..], "u:p@", REFUSED),
            (b"RTSP/1.0 401 Unauthorized\r\n\r\n", "", "wants a user name"),
            (b"RTSP/1.0 404 Not Found\r\n\r\n", "u:p@", "no such stream"),
            (b"RTSP/1.0 200 OK\r\n\r\n", "", "sends no pictures"),
            (b"RTSP/1.0 503 Busy\r\n\r\n", "", "error 503"),
            (b"\x00\xff\x13garbage\n", "", "speaks no RTSP"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "", "speaks no RTSP"),
            (b"", "", "does not answer"),
        ] {
            let told = why(&format!("rtsp://{sign_in}127.0.0.1:{}/live", camera(answer)), patience);
            assert!(told.contains(part) && !told.contains("u:p"), "{told}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..60), url in "\\PC{0,40}") {
            let _ = (status(&bytes), host(&url), without_sign_in(&url), has_sign_in(&url));
        }
    }
}
