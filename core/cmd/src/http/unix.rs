//! Connections to the unix socket of a child process, for hyper's pooled client.

use axum::http::Uri;
use hyper::rt::{Executor, Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::UnixStream;

/// Connects to one socket, whatever the address of the request.
#[derive(Clone)]
pub(super) struct UnixConnector {
    socket: Arc<Path>,
}

impl UnixConnector {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self {
            socket: socket.into(),
        }
    }
}

impl tower::Service<Uri> for UnixConnector {
    type Response = ChildStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<ChildStream>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _address: Uri) -> Self::Future {
        let socket = Arc::clone(&self.socket);
        Box::pin(async move {
            let stream = UnixStream::connect(socket).await?;
            Ok(ChildStream(TokioIo::new(stream)))
        })
    }
}

/// A connection to a child.
pub(super) struct ChildStream(TokioIo<UnixStream>);

impl Connection for ChildStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for ChildStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl Write for ChildStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, buffers)
    }
}

/// Spawns the tasks of connections under the tag of the request that opened them.
#[derive(Clone, Copy)]
pub(super) struct SpawnTagged;

impl<F> Executor<F> for SpawnTagged
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        davy_tag::spawn(future);
    }
}
