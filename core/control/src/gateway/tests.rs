use super::router;
use crate::test_control::control_on;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use davy_base::Clock;
use davy_model::signature::{
    REGISTRATION_HEADER, SIGNATURE_HEADER, registration_message, request_message, to_hex,
};
use davy_store::Store;
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// The gateway of a process.
struct Fixture {
    router: Router,
    store: Store,
    _folder: TempDir,
}

/// A worker as the gateway knows it.
struct Session {
    name: &'static str,
    key: Ed25519KeyPair,
    registration: i64,
    nonce: String,
}

fn sha256(body: &[u8]) -> String {
    to_hex(digest(&SHA256, body).as_ref())
}

fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("32 bytes")
}

impl Fixture {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let control = control_on(&folder, Clock::system()).await;
        let store = control.0.store.clone();
        Self {
            router: router(
                &control,
                store.clone(),
                crate::gc::CollectorMetrics::new(&prometheus::Registry::new()).expect("new"),
            ),
            store,
            _folder: folder,
        }
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.router.clone().oneshot(request).await;
        let response = response.expect("infallible");
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
        let body: Bytes = body.expect("a body");
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn register(&self, name: &'static str, seed: u8) -> Result<Session, StatusCode> {
        let key = key(seed);
        let request = Request::post(format!("/api/v1/workers/{name}/challenge"));
        let (status, answer) = self.send(request.body(Body::empty()).unwrap()).await;
        let Some(challenge) = answer["challenge"].as_str() else {
            return Err(status);
        };
        let body = json!({
            "challenge": challenge, "platform": "linux", "tags": [], "capacity": 8,
            "is_ephemeral": false, "version": "0",
        })
        .to_string();
        let message = registration_message(name, challenge, &sha256(body.as_bytes()));
        let request = Request::post(format!("/api/v1/workers/{name}/register")).header(
            SIGNATURE_HEADER,
            to_hex(key.sign(message.as_bytes()).as_ref()),
        );
        let (status, answer) = self.send(request.body(body.into()).unwrap()).await;
        let registration = answer["registration"].as_i64().ok_or(status)?;
        Ok(Session {
            name,
            key,
            registration,
            nonce: challenge.to_owned(),
        })
    }

    async fn add_key(&self, name: &str, seed: u8) {
        let public = to_hex(key(seed).public_key().as_ref());
        let added = self.store.put_worker_key(name, &public, "alice").await;
        added.expect("stored");
    }
}

impl Session {
    /// A report for the worker `target`, signed for `body` and sent with `sent`.
    fn report(&self, target: &str, body: &Value, sent: &Value) -> Request<Body> {
        self.post(target, "sync", body, sent)
    }

    fn post(&self, target: &str, what: &str, body: &Value, sent: &Value) -> Request<Body> {
        let path = format!("/api/v1/workers/{target}/{what}");
        let (body, sent) = (body.to_string(), sent.to_string());
        let message = request_message(
            self.name,
            self.registration,
            &self.nonce,
            "POST",
            &path,
            &sha256(body.as_bytes()),
        );
        Request::post(path)
            .header(REGISTRATION_HEADER, self.registration.to_string())
            .header(
                SIGNATURE_HEADER,
                to_hex(self.key.sign(message.as_bytes()).as_ref()),
            )
            .body(sent.into())
            .unwrap()
    }
}

fn report(registration: i64, sequence: i64) -> Value {
    json!({
        "report": {"generation": (registration << 32) + sequence, "handles": {"a": "container"}},
        "status": {"destroying": 0, "hung": 0, "failed_destroys": 0, "builds": 0},
    })
}

#[tokio::test]
async fn registered_worker_reports_and_learns_what_to_destroy() {
    let fixture = Fixture::new().await;
    fixture.add_key("w", 1).await;
    let session = fixture.register("w", 1).await.expect("its own key");
    let body = report(1, 1);
    let (status, answer) = fixture.send(session.report("w", &body, &body)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["accepted"], true);
    assert_eq!(answer["doomed"], json!({"a": "container"}));
    // The same request again is a stale report.
    let (_, answer) = fixture.send(session.report("w", &body, &body)).await;
    assert_eq!(
        (&answer["accepted"], &answer["doomed"]),
        (&json!(false), &json!({}))
    );
}

#[tokio::test]
async fn key_acts_for_its_worker_only() {
    let fixture = Fixture::new().await;
    fixture.add_key("w", 1).await;
    fixture.add_key("v", 2).await;
    let wrong = fixture.register("v", 1).await.err();
    assert_eq!(wrong, Some(StatusCode::UNAUTHORIZED), "the key of w");
    let unknown = fixture.register("x", 1).await.err();
    assert_eq!(unknown, Some(StatusCode::UNAUTHORIZED), "no key");
    let session = fixture.register("w", 1).await.expect("its own key");
    fixture.register("v", 2).await.expect("its own key");
    let body = report(1, 1);
    let (status, _) = fixture.send(session.report("v", &body, &body)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "w reports for v");
    let workers = fixture.store.workers("", 9).await.expect("rows");
    assert!(
        workers.iter().all(|row| row.generation == 1 << 32),
        "{workers:?}"
    );
}

#[tokio::test]
async fn changed_body_and_missing_signature_are_refused() {
    let fixture = Fixture::new().await;
    fixture.add_key("w", 1).await;
    let session = fixture.register("w", 1).await.expect("its own key");
    let changed = session.report("w", &report(1, 1), &report(1, 2));
    assert_eq!(fixture.send(changed).await.0, StatusCode::UNAUTHORIZED);
    let mut unsigned = session.report("w", &report(1, 1), &report(1, 1));
    unsigned.headers_mut().remove(SIGNATURE_HEADER);
    assert_eq!(fixture.send(unsigned).await.0, StatusCode::UNAUTHORIZED);
    let body = json!({"report": {"generation": (1_i64 << 32) + 1, "handles": {"../a": "volume"}}, "status": {"destroying": 0, "hung": 0, "failed_destroys": 0, "builds": 0}});
    let (status, answer) = fixture.send(session.report("w", &body, &body)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
}

#[tokio::test]
async fn revoked_and_replaced_sessions_are_refused() {
    let fixture = Fixture::new().await;
    fixture.add_key("w", 1).await;
    let first = fixture.register("w", 1).await.expect("its own key");
    let second = fixture.register("w", 1).await.expect("its own key");
    let body = report(1, 1);
    let (status, answer) = fixture.send(first.report("w", &body, &body)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    let body = report(2, 1);
    let (status, _) = fixture.send(second.report("w", &body, &body)).await;
    assert_eq!(status, StatusCode::OK);
    fixture.store.revoke_worker_key("w").await.expect("revoked");
    let body = report(2, 2);
    let (status, answer) = fixture.send(second.report("w", &body, &body)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer}");
}

#[tokio::test]
async fn usage_of_a_worker_is_listed_under_its_own_name_and_members() {
    let fixture = Fixture::new().await;
    fixture.add_key("w", 1).await;
    let session = fixture.register("w", 1).await.expect("its own key");
    let member = |name: &str| {
        json!({
            "name": name, "state": "ready", "since": 0, "restarts": 0, "leaked": 0,
            "child_pid": null, "error": null, "note": null, "connections": null,
            "operations": [], "cpu_seconds": 1.0,
        })
    };
    let body = json!({
        "disk_bytes": 100, "disk_free_bytes": 60, "version": "0",
        "report": {
            "id": "01JD8Q2M5V0000000000000000", "process": "backend", "host": "h", "pid": 7,
            "debug": "", "at": 0, "kernel": {}, "members": [member("worker.tasks"), member("api")],
        },
    });
    let (status, answer) = fixture.send(session.post("w", "usage", &body, &body)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["succeeded"], true);
    let silence = std::time::Duration::from_mins(1);
    let rows = fixture.store.live_processes(silence).await.expect("rows");
    let report: crate::report::Report =
        serde_json::from_str(rows[0].report.as_deref().expect("a report")).expect("a report");
    assert_eq!((&*rows[0].kind, &*report.process), ("worker/w", "worker/w"));
    let members: Vec<&str> = report.members.iter().map(|member| &*member.name).collect();
    assert_eq!(
        members,
        ["worker.tasks"],
        "a worker cannot speak for the API"
    );
    let workers = fixture.store.workers("", 9).await.expect("rows");
    assert_eq!(workers[0].disk_free_bytes, Some(60));
}
