//! Reads, which may be hedged.

use super::{Client, locked, stopped, transfer_time};
use crate::fault::{Fault, FaultKind, Stated};
use crate::meter::{RequestKind, Usage};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use object_store::path::Path;
use object_store::{GetOptions, GetResultPayload, ObjectMeta, ObjectStoreExt};
use std::ops::Range;
use std::pin::pin;
use std::time::Duration;

impl Client {
    /// Reads an object.
    pub async fn get(&self, key: &Path) -> Result<Bytes, Fault> {
        self.read(key, None).await
    }

    /// Reads a range of an object; a range past its end is an error.
    pub async fn get_range(&self, key: &Path, range: Range<u64>) -> Result<Bytes, Fault> {
        self.read(key, Some(range)).await
    }

    /// Size and time of an object.
    pub async fn head(&self, key: &Path) -> Result<ObjectMeta, Fault> {
        let store = &self.bucket.store;
        self.request(RequestKind::Head, key, 0, || store.head(key))
            .await
    }

    async fn read(&self, key: &Path, range: Option<Range<u64>>) -> Result<Bytes, Fault> {
        let size = range.as_ref().map(|range| range.end - range.start);
        // Without a range the size is unknown; the response may stall for the time of one attempt at most.
        let slack = transfer_time(size.unwrap_or_default());
        let limit = match size {
            Some(_) => self.options.attempt_timeout.min(self.options.timeout) + slack,
            None => self.options.timeout,
        };
        let one = || {
            let read = self.read_once(key, range.clone());
            self.attempt(RequestKind::Get, key, limit, read)
        };
        let read = self.repeat(RequestKind::Get, key, slack, || self.hedged(one));
        // Boxed, because callers await several reads in one future.
        let read = Box::pin(read).await?;
        self.meter.bytes(RequestKind::Get, key, read.len() as u64);
        Usage::record_bytes(read.len() as u64);
        Ok(read)
    }

    async fn read_once(
        &self,
        key: &Path,
        range: Option<Range<u64>>,
    ) -> object_store::Result<Bytes> {
        let limit = self.options.attempt_timeout;
        let expected = range.as_ref().map(|range| range.end - range.start);
        let options = GetOptions::new().with_range(range);
        let answer = self
            .clock
            .timeout(limit, self.bucket.store.get_opts(key, options))
            .await;
        let answer = answer.map_err(|_| stopped(limit))??;
        let expected = expected.unwrap_or(answer.meta.size);
        let GetResultPayload::Stream(mut pieces) = answer.payload else {
            return checked(key, expected, answer.bytes().await?);
        };
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        loop {
            let piece = self
                .clock
                .timeout(limit, pieces.next())
                .await
                .map_err(|_| stopped(limit))?;
            match piece {
                // A small object is one piece, which needs no copy.
                Some(piece) if first.is_empty() && all.is_empty() => first = piece?,
                Some(piece) => {
                    if all.is_empty() {
                        // Do not trust the stated size: reserve at most this much.
                        all.reserve(expected.min(64 << 20) as usize);
                        all.extend_from_slice(&std::mem::take(&mut first));
                    }
                    all.extend_from_slice(&piece?);
                }
                None if all.is_empty() => return checked(key, expected, first),
                None => return checked(key, expected, all.freeze()),
            }
        }
    }

    /// Hedges a read: sends it again if it is slow, and returns the first response that is not an error.
    async fn hedged<T, E, F>(&self, attempt: impl Fn() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let start = self.clock.monotonic();
        let delay = if self.options.hedge && self.policy.attempts > 1 {
            locked(&self.hedges).delay()
        } else {
            None
        };
        let first = pin!(attempt());
        let answer = match delay {
            None => first.await,
            Some(delay) => self.after(delay, first, attempt).await,
        };
        if answer.is_ok() {
            let took = self.clock.monotonic().saturating_sub(start);
            locked(&self.hedges).record(took);
        }
        answer
    }

    async fn after<T, E, F>(
        &self,
        delay: Duration,
        first: std::pin::Pin<&mut F>,
        attempt: impl Fn() -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let first = match select(first, pin!(self.clock.sleep(delay))).await {
            Either::Left((answer, _)) => return answer,
            Either::Right(((), first)) => first,
        };
        if !locked(&self.hedges).spend() {
            return first.await;
        }
        let second = pin!(attempt());
        let (answer, won) = match select(first, second).await {
            Either::Left((Ok(answer), _)) => (Ok(answer), false),
            Either::Right((Ok(answer), _)) => (Ok(answer), true),
            Either::Left((Err(_), second)) => (second.await, true),
            Either::Right((Err(_), first)) => (first.await, false),
        };
        self.meter.hedged(won && answer.is_ok());
        answer
    }
}

fn checked(key: &Path, expected: u64, bytes: Bytes) -> object_store::Result<Bytes> {
    if bytes.len() as u64 == expected {
        return Ok(bytes);
    }
    Err(Stated::error(
        FaultKind::Damaged,
        format!(
            "{key} arrived incomplete: {} of {expected} bytes",
            bytes.len()
        ),
    ))
}
