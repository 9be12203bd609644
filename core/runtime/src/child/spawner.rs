//! The thread that forks.
//!
//! The kernel sends a child its parent-death signal when the *thread* that forked it ends, not when the
//! process does. A runtime's threads may end at any time, so children are forked by one thread that
//! lives until the process ends.

use std::io;
use std::sync::OnceLock;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// How many children may wait to be forked.
const WAITING_MAX: usize = 64;

struct Order {
    command: Command,
    /// Whose reactor reaps the child.
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// Starts a child that is killed when this process dies, in whatever way.
pub(super) async fn spawn(mut command: Command) -> io::Result<Child> {
    die_with_parent(&mut command);
    let (reply, answer) = oneshot::channel();
    let order = Order {
        command,
        runtime: Handle::current(),
        reply,
    };
    let gone = || io::Error::other("the thread that starts children is gone");
    thread()?.send(order).await.map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

fn thread() -> io::Result<&'static mpsc::Sender<Order>> {
    static THREAD: OnceLock<Result<mpsc::Sender<Order>, String>> = OnceLock::new();
    let started = THREAD.get_or_init(|| {
        let (sender, mut orders) = mpsc::channel::<Order>(WAITING_MAX);
        std::thread::Builder::new()
            .name("davy-children".to_owned())
            .spawn(move || {
                while let Some(mut order) = orders.blocking_recv() {
                    let _runtime = order.runtime.enter();
                    let child = order.command.spawn();
                    // Where nobody waits for it any more it is dropped, and thereby killed.
                    let _ = order.reply.send(child);
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
        // SAFETY: `prctl` with these arguments and `getppid` touch no memory.
        let (set, now) = unsafe {
            (
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL),
                libc::getppid(),
            )
        };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
        // The parent may have died before the signal was asked for: then nobody would ever send it.
        if u32::try_from(now) != Ok(parent) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes two system calls, reads `errno`, and neither
    // allocates nor locks.
    unsafe {
        command.pre_exec(before_exec);
    }
}
