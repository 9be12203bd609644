//! A client: pushes one window until it is acknowledged or too old.

use crate::executor::TaskId;
use crate::world::World;
use davy_archive::key::Tenant;
use std::rc::Rc;
use std::time::Duration;

/// How long a window without a start time is sent again, so that it arrives in at most two different hours.
const UNTIMED: Duration = Duration::from_mins(40);

/// Pushes a window.
pub(crate) async fn push(world: Rc<World>, number: usize) {
    let (push_at, start) = {
        let window = &world.windows.borrow()[number];
        (window.push_at, window.start)
    };
    world.until(push_at).await;
    let give_up = match start {
        Some(start) => start.plus(world.scenario.accepted),
        None => push_at.plus(UNTIMED),
    };
    let mut pause = Duration::from_secs(1);
    while world.clock.now() < give_up {
        if attempt(&world, number).await {
            world.count(|totals| totals.acknowledged += 1);
            return;
        }
        world.clock.sleep(pause + world.span(pause)).await;
        pause = (pause * 2).min(Duration::from_mins(10));
    }
    world.event(|| format!("client: stops sending window {number}"));
}

/// Pushes a window once, or twice at the same time. Returns whether it is acknowledged.
async fn attempt(world: &Rc<World>, number: usize) -> bool {
    let Some(answer) = send(world, number) else {
        return false;
    };
    if world.below(10) == 0 {
        // The network delivers the request twice; nothing waits for the second response.
        send(world, number);
    }
    let (task, answer) = answer;
    let limit = Duration::from_secs(1 + world.below(40));
    let answer = world.clock.timeout(limit, answer).await;
    world.windows.borrow_mut()[number].last = world.clock.now();
    match answer {
        Ok(Ok(true)) if world.below(1_000) < world.scenario.faults.lost => {
            world.event(|| format!("client: response to window {number} lost"));
            false
        }
        Ok(Ok(true)) => {
            let now = world.clock.now();
            world.windows.borrow_mut()[number].acknowledged = Some(now);
            world.event(|| format!("client: window {number} acknowledged"));
            true
        }
        // Refused, or the process was killed.
        Ok(Ok(false) | Err(_)) => false,
        Err(_) => {
            if world.below(2) == 0 {
                world.fleet.cancel(task);
            }
            false
        }
    }
}

type Sent = (TaskId, tokio::sync::oneshot::Receiver<bool>);

/// Sends a push to one of the archivers, if any runs.
fn send(world: &Rc<World>, number: usize) -> Option<Sent> {
    let to = world.fleet.any()?;
    let push = {
        let mut windows = world.windows.borrow_mut();
        let window = &mut windows[number];
        let now = world.clock.now();
        window.tried.get_or_insert(now);
        window.last = now;
        window.push(number)
    };
    world.event(|| format!("client: window {number} pushed to {to:?}"));
    Some(world.fleet.call(&to, |archive| async move {
        let pushes = vec![("the profile".to_owned(), push)];
        let pushed = archive.ingest().push(&Tenant::anonymous(), pushes).await;
        pushed.is_ok()
    }))
}
