//! Sends the counters of rules to Prometheus by remote write, version 1.0.
//!
//! A sample is the total at the end of a slot, and its labels name no process. So two replicas that evaluate the same slot
//! send the same sample, which counts once, and after a takeover the series continues.

use super::state::LabelSet;
use crate::recording_rule::RecordingRule;
use davy_base::Clock;
use davy_profile::wire::Writer;
use std::time::Duration;

/// Time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of bytes of a response that are shown in an error.
const SHOWN: usize = 200;
/// Maximum length of a literal of Snappy.
const LITERAL: usize = 1 << 16;

/// Samples of a series: labels, and pairs of milliseconds and value.
pub(super) struct RemoteSeries {
    labels: LabelSet,
    samples: Vec<(i64, i64)>,
}

impl RemoteSeries {
    /// The series of a label set of a rule.
    pub(super) fn new(rule: &RecordingRule, labels: &LabelSet, samples: Vec<(i64, i64)>) -> Self {
        let own = [("__name__", &rule.metric_name), ("tenant", &rule.tenant)];
        let own = own.into_iter().filter(|(_, value)| !value.is_empty());
        let own = own.map(|(name, value)| (name.to_owned(), value.clone()));
        let mut labels: LabelSet = labels.iter().cloned().chain(own).collect();
        labels.sort();
        Self { labels, samples }
    }
}

/// Why samples were not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RemoteError {
    /// The same request can succeed later.
    Retry(String),
    /// It cannot.
    Refused(String),
}

/// A receiver of samples.
#[derive(Clone)]
pub(super) struct RemoteWrite {
    client: reqwest::Client,
    url: String,
    clock: Clock,
}

impl RemoteWrite {
    pub(super) fn new(url: String, clock: Clock) -> Result<Self, davy_bucket::SettingsError> {
        let client = davy_bucket::web_client()?;
        Ok(Self { client, url, clock })
    }

    /// Sends the samples of a rule.
    pub(super) async fn send(
        &self,
        rule: &RecordingRule,
        series: &[RemoteSeries],
    ) -> Result<(), RemoteError> {
        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .header("x-prometheus-remote-write-version", "0.1.0")
            .body(snappy(&message(rule, series)));
        let sent = async {
            let response = request.send().await.map_err(|error| error.to_string())?;
            let status = response.status();
            let text = response.text().await.unwrap_or_default();
            Ok((status, text))
        };
        let sent = self.clock.timeout(TIMEOUT, sent).await;
        let (status, text) = sent
            .unwrap_or_else(|_| Err(format!("no response for {TIMEOUT:?}")))
            .map_err(|error: String| RemoteError::Retry(format!("remote write: {error}")))?;
        let shown: String = text.trim().chars().take(SHOWN).collect();
        let error = format!("remote write: the server responded with {status}: {shown}");
        match status.as_u16() {
            200..300 => Ok(()),
            429 | 500.. => Err(RemoteError::Retry(error)),
            _ => Err(RemoteError::Refused(error)),
        }
    }
}

/// A `prometheus.WriteRequest`.
fn message(rule: &RecordingRule, series: &[RemoteSeries]) -> Vec<u8> {
    let mut request = Writer::default();
    for of in series {
        let mut message = Writer::default();
        for (name, value) in &of.labels {
            let mut pair = Writer::default();
            pair.bytes(1, name.as_bytes());
            pair.bytes(2, value.as_bytes());
            message.bytes(1, pair.as_bytes());
        }
        for (millis, value) in &of.samples {
            let mut sample = Writer::default();
            sample.double(1, *value as f64);
            sample.number(2, *millis as u64);
            message.bytes(2, sample.as_bytes());
        }
        request.bytes(1, message.as_bytes());
    }
    let mut metadata = Writer::default();
    metadata.number(1, 1); // COUNTER
    metadata.bytes(2, rule.metric_name.as_bytes());
    metadata.bytes(4, rule.help().as_bytes());
    request.bytes(3, metadata.as_bytes());
    request.into_bytes()
}

/// Snappy's block format, of literals only: a request of a rule has a few kilobytes, and the format allows it.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    davy_profile::wire::put_varint(&mut out, bytes.len() as u64);
    for literal in bytes.chunks(LITERAL) {
        // A length of two bytes follows the tag.
        out.push(61 << 2);
        out.extend_from_slice(&(literal.len() as u32 - 1).to_le_bytes()[..2]);
        out.extend_from_slice(literal);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_has_sorted_labels_and_is_a_valid_block_of_snappy() {
        let rule = RecordingRule {
            id: "a".to_owned(),
            metric_name: "cpu_total".to_owned(),
            tenant: "ops".to_owned(),
            ..RecordingRule::default()
        };
        let labels = vec![
            ("Zone".to_owned(), "a".to_owned()),
            ("region".to_owned(), "eu".to_owned()),
        ];
        let series = RemoteSeries::new(&rule, &labels, vec![(1_000, 7)]);
        let names: Vec<&str> = series
            .labels
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["Zone", "__name__", "region", "tenant"]);
        let message = message(&rule, &[series]);
        // The value 7 and its time.
        let sample = [&[9][..], &7f64.to_le_bytes(), &[16, 0xe8, 7]].concat();
        assert!(message.windows(sample.len()).any(|of| of == sample));

        for length in [0, 1, LITERAL, LITERAL + 1] {
            let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let packed = snappy(&bytes);
            let literals = length.div_ceil(LITERAL);
            let varint = (64 - (length as u64 | 1).leading_zeros()).div_ceil(7) as usize;
            assert_eq!(packed.len(), varint + 3 * literals + length, "{length}");
        }
    }
}
