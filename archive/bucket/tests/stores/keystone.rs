//! Keystone: its API as documented, answered by a small server, with tokens that a real Swift accepts.

use crate::world::{Kind, World, options, settings};
use bytes::Bytes;
use davy_bucket::{BucketSettings, FaultKind, Secret};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Keystone {
    /// `http://127.0.0.1:PORT/v3`.
    url: String,
    issued: Arc<AtomicUsize>,
    bodies: Arc<Mutex<Vec<String>>>,
}

async fn read_request(client: &mut TcpStream) -> (String, String) {
    let mut text = String::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = client.read(&mut buffer).await.expect("a request");
        assert!(read > 0, "incomplete request: {text}");
        text += std::str::from_utf8(&buffer[..read]).expect("text");
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length:")?
                        .trim()
                        .parse()
                        .ok()
                })
                .unwrap_or(0_usize);
            if body.len() >= length {
                return (head.to_owned(), body.to_owned());
            }
        }
    }
}

/// A token and the storage URL, from TempAuth.
async fn temp_auth(address: &str) -> (String, String) {
    let host = address
        .trim_start_matches("http://")
        .split('/')
        .next()
        .expect("a host");
    let mut stream = TcpStream::connect(host).await.expect("Swift responds");
    let user = std::env::var("DEV_SWIFT_USER").expect("set");
    let password = std::env::var("DEV_SWIFT_PASSWORD").expect("set");
    let request = format!(
        "GET /auth/v1.0 HTTP/1.1\r\nhost: {host}\r\nx-auth-user: {user}\r\nx-auth-key: {password}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let header = |name: &str| {
        let mut lines = answer.lines().filter_map(|line| line.split_once(": "));
        let line = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        line.expect("the header").1.trim().to_owned()
    };
    (header("x-auth-token"), header("x-storage-url"))
}

impl Keystone {
    /// Issues a token that Swift does not know first, as if it had expired, and valid ones afterwards.
    async fn start(swift: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v3", listener.local_addr().expect("bound"));
        let issued = Arc::new(AtomicUsize::new(0));
        let bodies: Arc<Mutex<Vec<String>>> = Arc::default();
        let (count, seen) = (Arc::clone(&issued), Arc::clone(&bodies));
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.expect("a connection");
                let (head, body) = read_request(&mut client).await;
                let answer = if !head.starts_with("POST /v3/auth/tokens ")
                    || body.contains("wrong-secret")
                {
                    "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                        .to_owned()
                } else {
                    let (token, storage) = temp_auth(&swift).await;
                    let number = count.fetch_add(1, Ordering::Relaxed);
                    let token = if number == 0 {
                        "expired".to_owned()
                    } else {
                        token
                    };
                    let body = format!(
                        r#"{{"token": {{"issued_at": "2026-11-29T12:00:00.000000Z", "expires_at": "2026-11-29T13:00:00.000000Z", "catalog": [{{"type": "object-store", "endpoints": [{{"interface": "public", "region": "r1", "url": "{storage}"}}]}}]}}}}"#
                    );
                    format!(
                        "HTTP/1.1 201 Created\r\nx-subject-token: {token}\r\ncontent-length: {}\r\n\
                         connection: close\r\n\r\n{body}",
                        body.len()
                    )
                };
                seen.lock().expect("no panic").push(body);
                client.write_all(answer.as_bytes()).await.expect("sent");
                client.shutdown().await.expect("closed");
            }
        });
        Self {
            url,
            issued,
            bodies,
        }
    }
}

#[tokio::test]
async fn token_of_keystone_is_used_and_renewed() {
    let Some(swift) = settings(Kind::Swift) else {
        return;
    };
    let keystone = Keystone::start(swift.auth_url).await;
    let settings = BucketSettings {
        auth_url: keystone.url.clone(),
        user: "davy".to_owned(),
        password: Secret("hush".to_owned()),
        project: "profiles".to_owned(),
        domain: "home".to_owned(),
        ..BucketSettings::new("swift://davy")
    };
    let world = World::with(&settings, options());
    let key = world.key("a");
    world
        .client
        .put(&key, Bytes::from_static(b"x"))
        .await
        .expect("put");
    assert_eq!(world.client.get(&key).await.expect("get"), "x");
    assert_eq!(keystone.issued.load(Ordering::Relaxed), 2);
    let body = keystone.bodies.lock().expect("no panic")[0].clone();
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let expected = serde_json::json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": "davy", "password": "hush", "domain": {"name": "home"}}}},
        "scope": {"project": {"name": "profiles", "domain": {"name": "home"}}},
    }});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn refusal_of_keystone_names_the_user_and_no_secret() {
    let keystone = Keystone::start(String::new()).await;
    let settings = BucketSettings {
        auth_url: keystone.url.clone(),
        user: "davy".to_owned(),
        password: Secret("wrong-secret".to_owned()),
        project: "profiles".to_owned(),
        ..BucketSettings::new("swift://davy")
    };
    let world = World::with(&settings, options());
    let fault = world
        .client
        .list(&world.folder())
        .await
        .expect_err("refused");
    assert_eq!(fault.kind, FaultKind::Credentials);
    let text = fault.to_string();
    assert!(
        text.contains("refused a token to the user davy: 401 Unauthorized"),
        "{text}"
    );
    assert!(
        text.contains("bucket.password_file") && !text.contains("wrong-secret"),
        "{text}"
    );
}
