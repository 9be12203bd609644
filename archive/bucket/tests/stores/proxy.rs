//! A proxy between a client and a real object store that breaks requests or responses.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// The request does not reach the object store; the response has this status and these header lines.
    Answer(u16, &'static str),
    /// The connection closes without a response.
    Close,
    /// No response; the connection stays open.
    Hang,
    /// The object store handles the request, but the response is lost.
    LoseAnswer,
    /// The connection closes in the middle of the response's body.
    HalfAnswer,
    /// The request passes unchanged, so that later rules apply to later requests.
    Nothing,
    /// A byte of the response's body is changed.
    DamageAnswer,
    /// A byte of the request's body is changed.
    DamageRequest,
}

struct Rule {
    method: &'static str,
    /// A part of the path.
    path: &'static str,
    times: usize,
    what: Break,
}

/// The proxy. Every connection carries one request.
pub(crate) struct Proxy {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    rules: Arc<Mutex<Vec<Rule>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A proxy of the object store at `http://HOST:PORT`.
    pub(crate) async fn of(store: &str) -> Self {
        let store = store.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let rules: Arc<Mutex<Vec<Rule>>> = Arc::default();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (of, log) = (Arc::clone(&rules), Arc::clone(&seen));
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(
                    client,
                    store.clone(),
                    Arc::clone(&of),
                    Arc::clone(&log),
                ));
            }
        });
        Self { url, rules, seen }
    }

    /// Breaks the next `times` requests with this method; `*` is any.
    pub(crate) fn breaks(&self, method: &'static str, times: usize, what: Break) {
        self.breaks_at("", method, times, what);
    }

    /// Breaks the next `times` requests with this method whose path, without the query, contains `path`.
    pub(crate) fn breaks_at(
        &self,
        path: &'static str,
        method: &'static str,
        times: usize,
        what: Break,
    ) {
        let rule = Rule {
            method,
            path,
            times,
            what,
        };
        self.rules.lock().expect("no panic").push(rule);
    }

    /// Breaks no more requests.
    pub(crate) fn heal(&self) {
        self.rules.lock().expect("no panic").clear();
    }

    /// Requests that are still to be broken.
    pub(crate) fn unbroken(&self) -> usize {
        self.rules
            .lock()
            .expect("no panic")
            .iter()
            .map(|rule| rule.times)
            .sum()
    }

    /// Requests with a method so far.
    pub(crate) fn count(&self, method: &str) -> usize {
        let seen = self.seen.lock().expect("no panic");
        seen.iter().filter(|each| *each == method).count()
    }
}

fn rule(rules: &Mutex<Vec<Rule>>, method: &str, path: &str) -> Option<Break> {
    let mut rules = rules.lock().expect("no panic");
    let rule = rules.iter_mut().find(|rule| {
        rule.times > 0 && (rule.method == "*" || rule.method == method) && path.contains(rule.path)
    })?;
    rule.times -= 1;
    Some(rule.what)
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|at| at + 4)
}

/// Head and body of a request.
async fn request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let end = loop {
        if let Some(end) = end_of_head(&bytes) {
            break end;
        }
        let read = client
            .read(&mut buffer)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().expect("a length"));
    let mut body = bytes.split_off(end);
    while body.len() < length {
        let read = client
            .read(&mut buffer)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        body.extend_from_slice(&buffer[..read]);
    }
    Some((head, body))
}

async fn serve(
    mut client: TcpStream,
    store: String,
    rules: Arc<Mutex<Vec<Rule>>>,
    seen: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    let (head, mut body) = request(&mut client).await?;
    let mut words = head.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let what = rule(&rules, &method, path);
    seen.lock().expect("no panic").push(method);
    match what {
        Some(Break::Close) => return None,
        Some(Break::Hang) => std::future::pending().await,
        Some(Break::Answer(status, headers)) => {
            let answer = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n{headers}\r\n"
            );
            client.write_all(answer.as_bytes()).await.ok()?;
            return client.shutdown().await.ok();
        }
        Some(Break::DamageRequest) => *body.last_mut()? ^= 1,
        _ => {}
    }
    let mut upstream = TcpStream::connect(&store).await.ok()?;
    let kept: Vec<&str> = head
        .trim_end()
        .lines()
        .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"))
        .collect();
    let head = format!("{}\r\nconnection: close\r\n\r\n", kept.join("\r\n"));
    upstream.write_all(head.as_bytes()).await.ok()?;
    upstream.write_all(&body).await.ok()?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).await.ok()?;
    let end = end_of_head(&answer)?;
    match what {
        Some(Break::LoseAnswer) => return None,
        Some(Break::HalfAnswer) => answer.truncate(end + (answer.len() - end) / 2),
        Some(Break::DamageAnswer) => *answer.last_mut()? ^= 1,
        _ => {}
    }
    client.write_all(&answer).await.ok()?;
    client.shutdown().await.ok()
}
