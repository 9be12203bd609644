//! A server whose work runs in places that know no tags: blocking threads of a library, files, its own threads
//! and streamed bodies. Its profile shows whom the work was for.
#![cfg(all(feature = "threads", target_os = "linux"))]

mod archiver;
mod work;

use archiver::{Archiver, Push};
use davy_profiler::Builder;
use davy_tag::Tag;
use davy_tag::http::{Connection, TaggedBody, begin_request};
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::future::poll_fn;
use std::path::Path;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use work::{label, stack, sum, thread_cpu};

davy_profiler::use_jemalloc!();

const MEMBER: &str = "server";
/// Operations, and their shares of the CPU time in tenths.
const OPERATIONS: [(&str, u32); 3] = [("large", 6), ("medium", 3), ("small", 1)];
/// CPU time of each tenth of a request, in each of the places.
const TENTH: Duration = Duration::from_micros(500);
const FILE_BYTES: usize = 1 << 20;
const CONNECTIONS: u32 = 3;
const ROUNDS: u32 = 150;

/// Uses this much CPU time, to a few microseconds.
fn burn(span: Duration) {
    let begin = thread_cpu();
    while thread_cpu().saturating_sub(begin) < span {
        for _ in 0..1_000 {
            std::hint::spin_loop();
        }
    }
}

/// The stacks of untagged samples and their milliseconds, the largest first.
fn untagged_stacks(pushes: &[Push]) -> Vec<(i64, String)> {
    let mut stacks = Vec::new();
    for push in pushes
        .iter()
        .filter(|push| push.label("__name__") == "process_cpu")
    {
        let profile = &push.profile;
        for sample in 0..profile.sample_count() {
            if label(profile, sample, "member").is_empty() {
                let millis = profile.values(sample)[0] / 1_000_000;
                stacks.push((millis, stack(profile, sample).join(" < ")));
            }
        }
    }
    stacks.sort_unstable_by(|a, b| b.cmp(a));
    stacks
}

/// A library that knows no tags.
mod library {
    use std::path::Path;
    use std::time::Duration;
    use tokio::sync::{mpsc, oneshot};

    pub(super) async fn compute(span: Duration) {
        let work = tokio::task::spawn_blocking(move || super::burn(span));
        work.await.expect("no panic");
    }

    pub(super) async fn read(path: &Path) -> Vec<u8> {
        tokio::fs::read(path).await.expect("the file exists")
    }

    /// A client of a thread that executes one job after the other, like that of an embedded database.
    #[derive(Clone)]
    pub(super) struct Worker(mpsc::UnboundedSender<(Duration, oneshot::Sender<()>)>);

    impl Worker {
        pub(super) fn start() -> Self {
            let (jobs, mut queue) = mpsc::unbounded_channel::<(Duration, oneshot::Sender<()>)>();
            std::thread::spawn(move || {
                while let Some((span, reply)) = queue.blocking_recv() {
                    super::burn(span);
                    let _ = reply.send(());
                }
            });
            Self(jobs)
        }

        pub(super) async fn execute(&self, span: Duration) {
            let (reply, answer) = oneshot::channel();
            self.0.send((span, reply)).expect("the thread is running");
            answer.await.expect("an answer");
        }
    }

    /// Streams data that a thread of its own produces.
    pub(super) fn stream(span: Duration) -> mpsc::Receiver<()> {
        let (chunks, receiver) = mpsc::channel(1);
        std::thread::spawn(move || {
            for _ in 0..4 {
                super::burn(span / 4);
                let _ = chunks.blocking_send(());
            }
        });
        receiver
    }
}

/// A body that computes each chunk that it receives.
struct Streamed {
    chunks: tokio::sync::mpsc::Receiver<()>,
    span: Duration,
}

impl Body for Streamed {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<&'static [u8]>, Infallible>>> {
        let chunk = ready!(self.chunks.poll_recv(context));
        Poll::Ready(chunk.map(|()| {
            burn(self.span / 4);
            Ok(Frame::data(&b"chunk"[..]))
        }))
    }
}

async fn respond(tenths: u32, file: &Path, worker: &library::Worker) -> Streamed {
    library::compute(TENTH * tenths).await;
    worker.execute(TENTH * tenths).await;
    for _ in 0..tenths {
        assert_eq!(library::read(file).await.len(), FILE_BYTES);
    }
    Streamed {
        chunks: library::stream(TENTH * tenths),
        span: TENTH * tenths,
    }
}

/// Serves requests as a connection does: reads one, calls the service, writes the body.
async fn connection(first: u32, file: &Path, worker: library::Worker) {
    for round in first..first + ROUNDS {
        let (op, tenths) = OPERATIONS[round as usize % OPERATIONS.len()];
        // Reads the request.
        burn(TENTH * tenths / 2);
        let tag = Tag::new(MEMBER, op);
        let request = begin_request(tag);
        let body = tag.wrap(respond(tenths, file, &worker)).await;
        {
            let mut body = pin!(TaggedBody::new(tag, request, body));
            while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
                // Writes the frame.
                burn(TENTH * tenths / 8);
                drop(frame);
            }
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn work_of_libraries_threads_and_bodies_is_shown_for_its_request() {
    let archiver = Archiver::start();
    let profiler = Builder::new("test")
        .thread_tag("davy-test-*", "unused", "")
        .archiver(archiver.url())
        .start()
        .expect("SIGPROF is free");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, vec![7; FILE_BYTES]).expect("the file is written");
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = davy_tag::attribute_parking(builder.worker_threads(2)).build();
    let worker = library::Worker::start();
    runtime.expect("a runtime").block_on(async {
        let connections: Vec<_> = (0..CONNECTIONS)
            .map(|first| {
                let (file, worker) = (file.clone(), worker.clone());
                let served = async move { connection(first, &file, worker).await };
                tokio::spawn(Connection::new(Tag::new(MEMBER, "connection"), served))
            })
            .collect();
        for connection in connections {
            connection.await.expect("no panic");
        }
    });
    profiler
        .shutdown(Duration::from_secs(20))
        .expect("everything is delivered");
    let pushes = archiver.all();
    let nanos = |keep: &dyn Fn(&str, &str) -> bool| -> f64 {
        let cpu = pushes
            .iter()
            .filter(|push| push.label("__name__") == "process_cpu");
        cpu.map(|push| sum(&push.profile, "cpu", keep)).sum::<i64>() as f64
    };
    let total = nanos(&|_, _| true);
    let tagged = nanos(&|member, _| !member.is_empty()) / total;
    let served = nanos(&|member, _| member == MEMBER);
    let shares = OPERATIONS.map(|(op, _)| nanos(&|_, of| of == op) / served);
    println!(
        "{:.2} s, tagged {tagged:.3}, shares {shares:.3?}",
        total / 1e9
    );
    assert!(tagged >= 0.95, "{tagged}: {:#?}", untagged_stacks(&pushes));
    for ((op, tenths), share) in OPERATIONS.into_iter().zip(shares) {
        let expected = f64::from(tenths) / 10.0;
        assert!(
            (share - expected).abs() <= 0.03,
            "{op}: {share}, expected {expected}"
        );
    }
}
