//! One scrape of a target: all of its profiles in one slot.

use crate::config::Kind;
use crate::delta::{self, Totals};
use crate::metrics::Metrics;
use crate::push::{Archivers, PushError, Window, push};
use crate::target::Target;
use davy_base::{Clock, Timestamp};
use davy_profile::{Limits, Profile, gzip, pprof};
use std::collections::BTreeMap;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_128;

/// Maximum size of a response, in bytes.
const RESPONSE_BYTES: usize = 32 << 20;
/// Time limit of a response, besides the time that is profiled.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time that is profiled at once.
const PROFILED: Duration = Duration::from_secs(10);
/// After how many slots a profile that a target does not have is asked for again, at least ten minutes.
const MISSING: Duration = Duration::from_mins(10);

/// What is kept of a target between its scrapes.
#[derive(Default)]
pub(crate) struct Memory {
    /// The slot and the cumulative values of the last profile.
    totals: BTreeMap<Kind, (i64, Totals)>,
    /// Until which slot a profile counts as missing.
    missing: BTreeMap<Kind, i64>,
}

/// What scrapes need.
pub(crate) struct Tools {
    pub(crate) client: reqwest::Client,
    pub(crate) archivers: Archivers,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
}

/// Why a profile was not stored.
enum Failure {
    /// The target does not have it.
    Missing,
    Failed(String),
    Refused(String),
}

/// Scrapes all profiles of a target in a slot, and returns what is kept. The timed ones are last, and take the rest of the
/// slot.
pub(crate) async fn scrape(
    tools: &Tools,
    target: &Target,
    slot: (i64, Timestamp),
    mut memory: Memory,
) -> Memory {
    let mut failure = None;
    let mut stored = 0;
    for kind in &target.profiles {
        if memory
            .missing
            .get(kind)
            .is_some_and(|until| slot.0 < *until)
        {
            continue;
        }
        let count = |result: &str| {
            let scrapes = &tools.metrics.scrapes;
            scrapes
                .with_label_values(&[target.job.as_str(), result])
                .inc();
        };
        match one(tools, target, *kind, slot, &mut memory).await {
            Ok(()) => {
                stored += 1;
                count("stored");
            }
            Err(Failure::Missing) => {
                let slots = MISSING.as_millis() / target.every.as_millis().max(1);
                memory.missing.insert(*kind, slot.0 + slots as i64 + 1);
                count("missing");
            }
            Err(Failure::Failed(reason)) => {
                count("failed");
                failure = Some(reason);
                // A target that does not respond is not asked for its other profiles.
                break;
            }
            Err(Failure::Refused(reason)) => {
                count("refused");
                failure = Some(reason);
            }
        }
    }
    if stored == 0 && failure.is_none() && memory.missing.len() == target.profiles.len() {
        failure = Some(format!("{} has no profiles", target.url));
    }
    let up = &tools.metrics.up;
    let up = up.with_label_values(&[&target.job, &target.instance]);
    let (was_up, is_up) = (up.get(), i64::from(failure.is_none()));
    up.set(is_up);
    if let Some(reason) = failure
        && was_up != 0
    {
        let (job, instance) = (&target.job, &target.instance);
        tracing::warn!(%job, %instance, reason, "scrape failed");
    }
    memory
}

async fn one(
    tools: &Tools,
    target: &Target,
    kind: Kind,
    slot: (i64, Timestamp),
    memory: &mut Memory,
) -> Result<(), Failure> {
    let bytes = get(tools, target, kind, slot).await?;
    tools.metrics.bytes.inc_by(bytes.len() as u64);
    let before = memory.totals.remove(&kind);
    let decoded = move || decode(&bytes, slot, before);
    let decoded = davy_tag::spawn_blocking(decoded).await;
    let (profile, totals) = decoded
        .map_err(|error| Failure::Failed(error.to_string()))?
        .map_err(|reason| Failure::Failed(format!("{}: {reason}", target.url)))?;
    let (_, name) = kind.path_and_name();
    let id = format!("{}\n{kind:?}\n{}", target.key(), slot.0);
    let window = Window {
        tenant: &target.tenant,
        labels: &target.labels,
        name,
        id: format!("scrape:{:032x}", xxh3_128(id.as_bytes())),
        profile,
    };
    let pushed = push(&tools.client, &tools.clock, &tools.archivers, &window).await;
    pushed.map_err(|error| match error {
        PushError::Refused(reason) => Failure::Refused(reason),
        PushError::Unavailable(reason) => Failure::Failed(reason),
    })?;
    // Only what was stored is subtracted later.
    memory
        .totals
        .extend(totals.map(|totals| (kind, (slot.0, totals))));
    Ok(())
}

/// Decodes a profile, replaces its cumulative values by differences, and encodes it. Also returns its cumulative values.
fn decode(
    bytes: &[u8],
    slot: (i64, Timestamp),
    before: Option<(i64, Totals)>,
) -> Result<(Vec<u8>, Option<Totals>), String> {
    let limits = Limits {
        bytes: RESPONSE_BYTES * 2,
        ..Limits::default()
    };
    let unpacked = gzip::unpack(bytes, &limits).map_err(|error| error.to_string())?;
    let mut profile = pprof::decode(&unpacked, &limits).map_err(|error| error.to_string())?;
    let columns = delta::cumulative(&profile);
    let mut kept = None;
    if !columns.is_empty() {
        let totals = Totals::of(&profile, &columns);
        match (totals, before) {
            (Some((now, keys)), Some((then, before))) if then == slot.0 - 1 => {
                delta::subtract(&mut profile, &columns, &keys, &now, &before);
                kept = Some(now);
            }
            (totals, _) => {
                delta::clear(&mut profile, &columns);
                kept = totals.map(|(now, _)| now);
            }
        }
    }
    set_time(&mut profile, slot.1);
    Ok((gzip::compress(&pprof::encode(&profile)), kept))
}

/// A profile without a time has that of its slot.
fn set_time(profile: &mut Profile, start: Timestamp) {
    if profile.time_nanos == 0 {
        profile.time_nanos = start.nanos();
    }
}

/// The time that is profiled: what is left of the slot, without a second for the response.
fn seconds(target: &Target, since: Duration) -> u64 {
    let left = target.every.saturating_sub(since);
    let left = left.saturating_sub(Duration::from_secs(1)).min(PROFILED);
    left.as_secs().max(1)
}

async fn get(
    tools: &Tools,
    target: &Target,
    kind: Kind,
    slot: (i64, Timestamp),
) -> Result<Vec<u8>, Failure> {
    let (path, _) = kind.path_and_name();
    let mut url = format!("{}/{path}", target.url);
    let mut timeout = TIMEOUT;
    if kind.is_timed() {
        let seconds = seconds(target, tools.clock.now().since(slot.1));
        url.push_str(&format!("?seconds={seconds}"));
        timeout += Duration::from_secs(seconds);
    }
    let mut request = tools.client.get(&url);
    if let Some(file) = &target.bearer_token_file {
        let token = std::fs::read_to_string(file)
            .map_err(|error| Failure::Failed(format!("cannot read {}: {error}", file.display())))?;
        request = request.bearer_auth(token.trim());
    }
    let received = tools.clock.timeout(timeout, receive(request)).await;
    let received =
        received.unwrap_or_else(|_| Err(Failure::Failed(format!("no response for {timeout:?}"))));
    received.map_err(|failure| match failure {
        Failure::Failed(reason) => Failure::Failed(format!("{url}: {reason}")),
        other => other,
    })
}

async fn receive(request: reqwest::RequestBuilder) -> Result<Vec<u8>, Failure> {
    let failed = |error: reqwest::Error| Failure::Failed(error.to_string());
    let mut response = request.send().await.map_err(failed)?;
    match response.status().as_u16() {
        200 => {}
        404 => return Err(Failure::Missing),
        _ => {
            let status = response.status();
            return Err(Failure::Failed(format!(
                "the target responded with {status}"
            )));
        }
    }
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&part);
        if body.len() > RESPONSE_BYTES {
            return Err(Failure::Failed(format!(
                "more than {RESPONSE_BYTES} bytes, the limit"
            )));
        }
    }
    Ok(body)
}
