//! Pushes windows to an archiver, which acknowledges them once they are in the bucket.

use davy_base::Clock;
use davy_profile::wire::Writer;
use std::collections::BTreeMap;
use std::time::Duration;

/// Time limit of a push. The archiver acknowledges after a flush interval and a PUT.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Pauses before a push is repeated.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// Where windows are pushed to.
#[derive(Clone, Debug)]
pub(crate) struct Archivers {
    pub(crate) urls: Vec<String>,
    pub(crate) token: Option<String>,
}

/// A window to push.
pub(crate) struct Window<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) labels: &'a BTreeMap<String, String>,
    /// The name of the profile.
    pub(crate) name: &'static str,
    /// The same for all replicas.
    pub(crate) id: String,
    /// Compressed pprof.
    pub(crate) profile: Vec<u8>,
}

/// Why a window was not stored.
#[derive(Debug)]
pub(crate) enum PushError {
    /// The archiver will never accept it.
    Refused(String),
    /// No archiver has accepted it in time.
    Unavailable(String),
}

impl Window<'_> {
    /// The message of `push.v1.PusherService/Push`.
    fn message(&self) -> Vec<u8> {
        let mut series = Writer::default();
        let name = ("__name__", self.name);
        let labels = self.labels.iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in labels.chain([name]) {
            let mut pair = Writer::default();
            pair.bytes(1, name.as_bytes());
            pair.bytes(2, value.as_bytes());
            series.bytes(1, pair.as_bytes());
        }
        let mut sample = Writer::default();
        sample.bytes(1, &self.profile);
        sample.bytes(2, self.id.as_bytes());
        series.bytes(2, sample.as_bytes());
        let mut request = Writer::default();
        request.bytes(1, series.as_bytes());
        request.into_bytes()
    }
}

/// Pushes a window to the first archiver that accepts it. A repeated push is the same window.
pub(crate) async fn push(
    client: &reqwest::Client,
    clock: &Clock,
    archivers: &Archivers,
    window: &Window<'_>,
) -> Result<(), PushError> {
    let message = window.message();
    let mut attempt = 0;
    loop {
        let Some(url) = archivers.urls.get(attempt % archivers.urls.len().max(1)) else {
            return Err(PushError::Unavailable(
                "no archiver is configured".to_owned(),
            ));
        };
        let url = format!("{}/push.v1.PusherService/Push", url.trim_end_matches('/'));
        let reason = match clock
            .timeout(TIMEOUT, post(client, archivers, window, &url, &message))
            .await
        {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(PushError::Refused(reason))) => return Err(PushError::Refused(reason)),
            Ok(Err(PushError::Unavailable(reason))) => reason,
            Err(_) => format!("{url} did not respond for {TIMEOUT:?}"),
        };
        let Some(pause) = PAUSES.get(attempt) else {
            return Err(PushError::Unavailable(reason));
        };
        attempt += 1;
        clock.sleep(*pause).await;
    }
}

async fn post(
    client: &reqwest::Client,
    archivers: &Archivers,
    window: &Window<'_>,
    url: &str,
    message: &[u8],
) -> Result<(), PushError> {
    let mut request = client
        .post(url)
        .header("content-type", "application/proto")
        .body(message.to_vec());
    if !window.tenant.is_empty() {
        request = request.header("x-scope-orgid", window.tenant);
    }
    if let Some(token) = &archivers.token {
        request = request.bearer_auth(token);
    }
    let later = |error: reqwest::Error| PushError::Unavailable(format!("{url}: {error}"));
    let response = request.send().await.map_err(later)?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let text = response.text().await.unwrap_or_default();
    let text: String = text.chars().take(300).collect();
    let reason = format!("{url}: {status}: {}", text.trim());
    // 429 and 408 ask to try again; other client errors will not change.
    match status.as_u16() {
        400..=499 if ![408, 429].contains(&status.as_u16()) => Err(PushError::Refused(reason)),
        _ => Err(PushError::Unavailable(reason)),
    }
}
