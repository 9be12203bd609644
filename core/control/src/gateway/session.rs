//! Checks the signatures of workers.

use crate::control::locked;
use crate::problem::Problem;
use crate::problem::failed;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use davy_model::signature::{
    REGISTRATION_HEADER, SIGNATURE_HEADER, from_hex, registration_message, request_message, to_hex,
};
use davy_store::{Store, WorkerSession};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, UnparsedPublicKey};
use std::collections::HashMap;
use std::sync::Mutex;

/// Sessions in memory, at most; more are read from the database again.
const SESSIONS_MAX: usize = 20_000;

/// Random bytes that cannot be predicted.
pub(super) fn secret() -> Result<[u8; 32], Problem> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the system has no random numbers; try again",
        )
    })?;
    Ok(bytes)
}

/// A worker without a valid key.
pub(super) fn unknown(worker: &str) -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        format!("worker {worker:?} has no valid key; add one with `davy token worker {worker}`"),
    )
}

/// A request with its signature, which has not been checked yet.
pub(super) struct Signed {
    method: String,
    path: String,
    registration: Option<i64>,
    signature: Vec<u8>,
    pub(super) body: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Signed {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let headers = request.headers();
        let header = |name: &str| headers.get(name)?.to_str().ok();
        let path = request.uri().path_and_query();
        let signature = header(SIGNATURE_HEADER).and_then(from_hex);
        let registration = header(REGISTRATION_HEADER).and_then(|text| text.parse().ok());
        let (method, path) = (
            request.method().to_string(),
            path.map(ToString::to_string).unwrap_or_default(),
        );
        let signature = signature.ok_or_else(|| {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                format!("missing or invalid header {SIGNATURE_HEADER}"),
            )
        })?;
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|error| Problem::new(error.status(), error.body_text()))?;
        Ok(Self {
            method,
            path,
            registration,
            signature,
            body,
        })
    }
}

impl Signed {
    pub(super) fn check_registration(
        &self,
        worker: &str,
        challenge: &str,
        public_key: &str,
    ) -> Result<(), Problem> {
        let message = registration_message(worker, challenge, &self.digest());
        self.check(&message, worker, public_key)
    }

    fn check(&self, message: &str, worker: &str, public_key: &str) -> Result<(), Problem> {
        let key = UnparsedPublicKey::new(&ED25519, from_hex(public_key).unwrap_or_default());
        key.verify(message.as_bytes(), &self.signature)
            .map_err(|_| {
                Problem::new(
                    StatusCode::UNAUTHORIZED,
                    format!("the signature does not match the key of worker {worker:?}"),
                )
            })
    }

    fn digest(&self) -> String {
        to_hex(digest(&SHA256, &self.body).as_ref())
    }
}

/// The sessions that were used lately. Key and nonce of a registration never change, so an entry never becomes wrong;
/// whether the registration is still the current one, and its key valid, is checked by the queries.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<(String, i64), WorkerSession>>);

impl Sessions {
    /// Checks the signature of a request; returns the number of the registration.
    pub(super) async fn check(
        &self,
        store: &Store,
        worker: &str,
        signed: &Signed,
    ) -> Result<i64, Problem> {
        let registration = signed.registration.ok_or_else(|| {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                format!("missing or invalid header {REGISTRATION_HEADER}"),
            )
        })?;
        let key = (worker.to_owned(), registration);
        let known = locked(&self.0).get(&key).cloned();
        let session = if let Some(session) = known {
            session
        } else {
            let session = store
                .worker_session(worker)
                .await
                .map_err(failed("workers"))?;
            let session = session.ok_or_else(|| unknown(worker))?;
            if session.registration != registration {
                return Err(Problem::new(
                    StatusCode::CONFLICT,
                    format!(
                        "registration {registration} of worker {worker:?} was replaced by registration {}; stop this process, or give it a name of its own",
                        session.registration
                    ),
                ));
            }
            session
        };
        let message = request_message(
            worker,
            registration,
            &session.nonce,
            &signed.method,
            &signed.path,
            &signed.digest(),
        );
        signed.check(&message, worker, &session.public_key)?;
        let mut sessions = locked(&self.0);
        if sessions.len() >= SESSIONS_MAX {
            sessions.clear();
        }
        sessions.insert(key, session);
        Ok(registration)
    }
}
