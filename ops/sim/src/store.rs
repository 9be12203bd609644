//! The simulated object store: a PUT is atomic and a written object can be read, and nothing else is certain. Requests
//! fail, take long or are answered although they failed; listings are late.

use crate::faults::{Fate, Faults, IN_FLIGHT};
use crate::holders::Holders;
use crate::objects::{Change, Objects, meta};
use crate::trace::Trace;
use async_trait::async_trait;
use bytes::Bytes;
use davy_base::{Clock, Random, Timestamp};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, Extensions, GetOptions, GetResult, GetResultPayload,
    ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The store as one process sees it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SimStore {
    shared: Arc<Shared>,
    /// Name of the process in the trace.
    process: Arc<str>,
}

struct Shared {
    clock: Clock,
    trace: Trace,
    state: Mutex<State>,
}

struct State {
    objects: Objects,
    faults: Faults,
    holders: Holders,
    random: Random,
}

/// A request that the simulated store did not apply, or whose response was lost.
#[derive(Debug, thiserror::Error)]
#[error("simulated failure of a {0}")]
struct Failure(&'static str);

fn failure(request: &'static str) -> Error {
    Error::Generic {
        store: "simulated",
        source: Box::new(Failure(request)),
    }
}

fn not_found(key: &Path) -> Error {
    Error::NotFound {
        path: key.to_string(),
        source: Box::new(Failure("read")),
    }
}

impl SimStore {
    /// An empty store.
    pub(crate) fn new(
        clock: Clock,
        random: Random,
        faults: Faults,
        trace: Trace,
        of: Holders,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                clock,
                trace,
                state: Mutex::new(State {
                    objects: Objects::default(),
                    faults,
                    holders: of,
                    random,
                }),
            }),
            process: "outside".into(),
        }
    }

    /// The store as another process sees it.
    pub(crate) fn for_process(&self, name: &str) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            process: name.into(),
        }
    }

    /// Changes the faults of later requests.
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// The first deletion of an object that was still needed.
    pub(crate) fn violation(&self) -> Option<String> {
        self.state().holders.violation()
    }

    /// Keys and contents of all objects.
    pub(crate) fn content(&self) -> Vec<(String, Bytes)> {
        let state = self.state();
        let all = state.objects.all().iter();
        all.map(|(key, object)| (key.to_string(), object.bytes.clone()))
            .collect()
    }

    /// Applies all changes that are due, then returns the state.
    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let now = self.shared.clock.now();
        while let Some((at, change)) = state.objects.arrived(now) {
            self.apply(&mut state, &change, at, "late ");
        }
        state
    }

    fn apply(&self, state: &mut State, change: &Change, at: Timestamp, how: &str) {
        let existed = state.objects.apply(change, at);
        match change {
            Change::Put(key, bytes) => {
                self.trace(|| format!("{how}put {key} {} B", bytes.len()));
                state.holders.put(key, bytes);
            }
            Change::Delete(key) if existed => {
                self.trace(|| format!("{how}delete {key}"));
                state.holders.delete(key, at);
            }
            Change::Delete(_) => {}
        }
    }

    fn trace(&self, text: impl FnOnce() -> String) {
        let process = &self.process;
        let line = || format!("{process}: {}", text());
        self.shared.trace.event(self.shared.clock.now(), line);
    }

    fn fate(&self) -> Fate {
        let mut state = self.state();
        let State { faults, random, .. } = &mut *state;
        faults.fate(self.shared.clock.now(), random)
    }

    /// Sends a change to the store, and waits for the response.
    async fn change(&self, change: Change, request: &'static str) -> Result<()> {
        let fate = self.fate();
        self.shared.clock.sleep(fate.arrives).await;
        {
            let mut state = self.state();
            let now = self.shared.clock.now();
            match fate.done {
                Some(later) if later.is_zero() => self.apply(&mut state, &change, now, ""),
                Some(later) => state.objects.send(change, now.plus(later)),
                None => {}
            }
        }
        self.answer(fate, request).await
    }

    async fn answer(&self, fate: Fate, request: &'static str) -> Result<()> {
        self.shared.clock.sleep(fate.answered).await;
        if fate.fails {
            self.trace(|| format!("{request} failed"));
            return Err(failure(request));
        }
        Ok(())
    }

    async fn listing(&self, folder: &Path) -> Result<Vec<ObjectMeta>> {
        let fate = self.fate();
        self.shared.clock.sleep(fate.arrives).await;
        let listed = {
            let mut state = self.state();
            let now = self.shared.clock.now();
            let State {
                objects,
                faults,
                random,
                ..
            } = &mut *state;
            let lag = faults.lag(random);
            objects.forget(now.minus(faults.lag + IN_FLIGHT));
            objects.list(folder, now, lag, random)
        };
        self.answer(fate, "list").await?;
        Ok(listed)
    }
}

impl fmt::Debug for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimStore")
    }
}

impl fmt::Display for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated store")
    }
}

#[async_trait]
impl ObjectStore for SimStore {
    async fn put_opts(&self, key: &Path, payload: PutPayload, _: PutOptions) -> Result<PutResult> {
        let change = Change::Put(key.clone(), payload.into());
        self.change(change, "put").await?;
        Ok(PutResult {
            e_tag: None,
            version: None,
            extensions: Extensions::default(),
        })
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(failure("multipart put"))
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        let fate = self.fate();
        self.shared.clock.sleep(fate.arrives).await;
        let found = self.state().objects.get(key).cloned();
        self.answer(fate, "get").await?;
        let object = found.ok_or_else(|| not_found(key))?;
        let size = object.bytes.len() as u64;
        let range = match options.range {
            None => 0..size,
            Some(range) => range.as_range(size).map_err(|source| Error::Generic {
                store: "simulated",
                source: Box::new(source),
            })?,
        };
        let bytes = object.bytes.slice(range.start as usize..range.end as usize);
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::iter([Ok(bytes)]).boxed()),
            meta: meta(key, size, object.modified),
            range,
            attributes: Attributes::default(),
            extensions: Extensions::default(),
        })
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        keys.and_then(move |key| {
            let store = store.clone();
            async move {
                store.change(Change::Delete(key.clone()), "delete").await?;
                Ok(key)
            }
        })
        .boxed()
    }

    fn list(&self, folder: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, folder) = (self.clone(), folder.cloned().unwrap_or_default());
        let listed = async move { store.listing(&folder).await };
        stream::once(listed)
            .map_ok(|all| stream::iter(all.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    async fn list_with_delimiter(&self, folder: Option<&Path>) -> Result<ListResult> {
        let folder = folder.cloned().unwrap_or_default();
        let (mut folders, mut objects) = (BTreeSet::new(), Vec::new());
        for object in self.listing(&folder).await? {
            let mut rest = object.location.prefix_match(&folder).into_iter().flatten();
            let Some(first) = rest.next() else { continue };
            if rest.next().is_some() {
                folders.insert(folder.clone().join(first));
            } else {
                objects.push(object.clone());
            }
        }
        Ok(ListResult {
            common_prefixes: folders.into_iter().collect(),
            objects,
            extensions: Extensions::default(),
        })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(failure("copy"))
    }
}
