//! The thread that forks children.
//!
//! The kernel sends the parent-death signal to a child when the *thread* that forked it ends, not when
//! the process does. Threads of a runtime may end at any time, so children are forked by one thread that
//! runs until the process ends.

use std::io;
use std::sync::OnceLock;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Maximum number of queued requests.
const QUEUE: usize = 64;

struct Request {
    command: Command,
    /// The runtime whose reactor reaps the child.
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// Starts a child that the kernel kills when this process ends for any reason.
pub(super) async fn spawn(mut command: Command) -> io::Result<Child> {
    die_with_parent(&mut command);
    let (reply, response) = oneshot::channel();
    let request = Request {
        command,
        runtime: Handle::current(),
        reply,
    };
    let gone = || io::Error::other("the thread that starts children has ended");
    thread()?.send(request).await.map_err(|_| gone())?;
    response.await.map_err(|_| gone())?
}

fn thread() -> io::Result<&'static mpsc::Sender<Request>> {
    static THREAD: OnceLock<Result<mpsc::Sender<Request>, String>> = OnceLock::new();
    let started = THREAD.get_or_init(|| {
        let (sender, mut requests) = mpsc::channel::<Request>(QUEUE);
        std::thread::Builder::new()
            .name("davy-children".to_owned())
            .spawn(move || {
                while let Some(mut request) = requests.blocking_recv() {
                    let _runtime = request.runtime.enter();
                    let child = request.command.spawn();
                    // If the receiver is gone, the child is dropped, which kills it.
                    let _ = request.reply.send(child);
                }
            })
            .map(|_| sender)
            .map_err(|error| error.to_string())
    });
    started
        .as_ref()
        .map_err(|error| io::Error::other(error.clone()))
}

fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    let before_exec = move || {
        // SAFETY: `prctl` with these arguments and `getppid` access no memory.
        let (set, now) = unsafe {
            (
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL),
                libc::getppid(),
            )
        };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
        // If the parent died before the signal was requested, it would never be sent.
        if u32::try_from(now) != Ok(parent) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes two system calls and reads `errno`. It neither
    // allocates nor takes a lock.
    unsafe {
        command.pre_exec(before_exec);
    }
}
