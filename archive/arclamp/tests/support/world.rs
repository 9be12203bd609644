//! An archive behind HTTP, and processes that listen.

use super::until;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use davy_archive::key::Tenant;
use davy_archive::query::{Ask, flame};
use davy_archive::selector::Selector;
use davy_archive::types::TypeFilter;
use davy_archive::{Archive, ArchiveOptions};
use davy_arclamp::{Channel, Lease, RedisSettings, Stream, StreamOptions, TlsFiles};
use davy_base::{Clock, Random};
use davy_profile::flame::Grain;
use davy_profile::folded;
use futures_util::future::BoxFuture;
use object_store::memory::InMemory;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct World {
    archive: Archive,
    address: String,
    gate: Arc<Gate>,
    registry: prometheus::Registry,
    clock: Clock,
}

#[derive(Default)]
struct Gate {
    is_closed: AtomicBool,
    refused: AtomicU64,
}

async fn gate(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    if gate.is_closed.load(Ordering::SeqCst) {
        gate.refused.fetch_add(1, Ordering::SeqCst);
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    next.run(request).await
}

impl World {
    pub(crate) fn run(test: impl AsyncFnOnce(&World)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let clock = Clock::system();
            let options = ArchiveOptions {
                clock: clock.clone(),
                flush_interval: Duration::from_millis(50),
                ..ArchiveOptions::new(Arc::new(InMemory::new()))
            };
            let archive = Archive::new(options, &prometheus::Registry::new()).expect("fresh");
            tokio::spawn(archive.ingest().run(CancellationToken::new()));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
                .await
                .expect("a port");
            let address = format!("http://{}", listener.local_addr().expect("bound"));
            let closed = Arc::new(Gate::default());
            let routes = archive.ingest_router();
            let routes = routes.layer(middleware::from_fn_with_state(Arc::clone(&closed), gate));
            tokio::spawn(async move { axum::serve(listener, routes).await });
            let world = World {
                archive,
                address,
                gate: closed,
                registry: prometheus::Registry::new(),
                clock,
            };
            test(&world).await;
        });
    }

    /// Whether the archiver refuses every push.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.gate.is_closed.store(refuses, Ordering::SeqCst);
    }

    pub(crate) async fn was_refused(&self) {
        until("a refused push", || {
            self.gate.refused.load(Ordering::SeqCst) > 0
        })
        .await;
    }

    pub(crate) fn listen(&self, url: &str, lease: impl Lease + 'static) -> Listener {
        self.listen_to(url, &[], lease)
    }

    pub(crate) fn listen_to(
        &self,
        url: &str,
        sentinels: &[String],
        lease: impl Lease + 'static,
    ) -> Listener {
        let options = self.options(url, sentinels, &TlsFiles::default(), "one");
        Listener::start(options, &self.registry, lease)
    }

    /// A process with metrics of its own that uses TLS.
    pub(crate) fn listen_with(&self, url: &str, sentinels: &[String], tls: &TlsFiles) -> Listener {
        let registry = prometheus::Registry::new();
        let options = self.options(url, sentinels, tls, "tls");
        Listener::start(options, &registry, Always)
    }

    /// A second process.
    pub(crate) fn second(&self, url: &str, lease: impl Lease + 'static) -> Listener {
        let registry = prometheus::Registry::new();
        let options = self.options(url, &[], &TlsFiles::default(), "two");
        Listener::start(options, &registry, lease)
    }

    fn options(
        &self,
        url: &str,
        sentinels: &[String],
        tls: &TlsFiles,
        instance: &str,
    ) -> StreamOptions {
        StreamOptions {
            redis: RedisSettings::new(url, sentinels, tls).expect("good"),
            channels: ["excimer", "excimer-wall"].map(Channel::named).into(),
            service: "site".to_owned(),
            archives: vec![self.address.clone()],
            token: None,
            window: Duration::from_millis(500),
            buffer_bytes: 16 << 20,
            clock: self.clock.clone(),
            random: Random::seeded(1),
            instance: instance.to_owned(),
        }
    }

    pub(crate) fn ask(&self, kind: &str, selector: &str) -> Ask {
        let now = self.clock.now();
        Ask {
            tenant: Tenant::anonymous(),
            kind: TypeFilter::parse(kind),
            selector: Selector::parse(selector).expect("a selector"),
            from: now.minus(Duration::from_hours(1)),
            until: now.plus(Duration::from_hours(1)),
            by: vec![],
        }
    }

    /// The folded stacks of a type, sorted.
    pub(crate) async fn folded(&self, kind: &str, selector: &str) -> Vec<String> {
        let ask = self.ask(kind, selector);
        let (flame, _) = flame(&self.archive.query(), &ask, Grain::Function)
            .await
            .expect("an answer");
        let mut lines: Vec<String> = folded::encode(&flame.tree)
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    }

    /// The sum of the values of a type.
    pub(crate) async fn total(&self, kind: &str) -> i64 {
        let ask = self.ask(kind, "");
        let (flame, _) = flame(&self.archive.query(), &ask, Grain::Function)
            .await
            .expect("an answer");
        flame.tree.values.iter().sum()
    }

    pub(crate) async fn windows(&self, ask: &Ask) -> u64 {
        let (_, report) = flame(&self.archive.query(), ask, Grain::Function)
            .await
            .expect("an answer");
        report.windows
    }

    pub(crate) fn metrics(&self) -> String {
        let encoder = prometheus::TextEncoder::new();
        encoder
            .encode_to_string(&self.registry.gather())
            .expect("text")
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.metrics();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok())
            .unwrap_or(f64::NAN)
    }
}

/// A process that listens, or waits until it may.
pub(crate) struct Listener {
    state: watch::Receiver<String>,
    drain: CancellationToken,
    task: JoinHandle<()>,
    registry: prometheus::Registry,
}

impl Listener {
    fn start(
        options: StreamOptions,
        registry: &prometheus::Registry,
        lease: impl Lease + 'static,
    ) -> Self {
        let stream = Stream::new(options, registry).expect("fresh");
        let (sender, state) = watch::channel(String::new());
        let drain = CancellationToken::new();
        let end = drain.clone();
        let run = async move {
            let notify = move |text: String| drop(sender.send(text));
            stream.run(&lease, &notify, end).await;
        };
        Self {
            state,
            drain,
            task: tokio::spawn(run),
            registry: registry.clone(),
        }
    }

    /// Waits until the state has this text.
    pub(crate) async fn says(&self, text: &str) {
        let mut state = self.state.clone();
        let says = state.wait_for(|state| state.contains(text));
        let clock = Clock::system();
        let said = clock.timeout(Duration::from_mins(1), says).await;
        drop(
            said.unwrap_or_else(|_| panic!("does not say {text:?} but {:?}", *self.state.borrow())),
        );
    }

    pub(crate) async fn is_listening(&self) {
        self.says("listening to excimer").await;
    }

    pub(crate) async fn is_silent(&self) {
        self.says("not listening").await;
    }

    pub(crate) async fn is_connected_to(&self, port: u16) {
        self.says(&format!("on 127.0.0.1:{port}")).await;
    }

    /// Waits until this many lines of a channel have arrived.
    pub(crate) async fn heard(&self, channel: &str, lines: u64) {
        let name = format!("davy_archive_arclamp_lines_total{{channel=\"{channel}\"}} {lines}\n");
        until(&name, || {
            let encoder = prometheus::TextEncoder::new();
            let text = encoder
                .encode_to_string(&self.registry.gather())
                .expect("text");
            text.contains(&name)
        })
        .await;
    }

    pub(crate) async fn stop(self) {
        self.drain.cancel();
        self.task.await.expect("no panic");
    }
}

/// The lease of a process that has no other beside it.
pub(crate) struct Always;

impl Lease for Always {
    fn take(&self) -> BoxFuture<'_, Result<bool, String>> {
        Box::pin(async { Ok(true) })
    }

    fn release(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// A lease that one of several has.
#[derive(Clone, Default)]
pub(crate) struct Exclusive {
    holder: Arc<Mutex<Option<u32>>>,
    id: u32,
}

impl Exclusive {
    pub(crate) fn of(&self, id: u32) -> Self {
        Self { id, ..self.clone() }
    }
}

impl Lease for Exclusive {
    fn take(&self) -> BoxFuture<'_, Result<bool, String>> {
        let holder = *self.holder.lock().expect("no panic").get_or_insert(self.id);
        Box::pin(async move { Ok(holder == self.id) })
    }

    fn release(&self) -> BoxFuture<'_, ()> {
        let mut holder = self.holder.lock().expect("no panic");
        if *holder == Some(self.id) {
            *holder = None;
        }
        Box::pin(async {})
    }
}
