use super::*;
use crate::test_random::seeds;

fn events(fence: i64) -> [BuildEvent; 11] {
    [
        BuildEvent::Claimed { fence },
        BuildEvent::Returned { fence },
        BuildEvent::Adopted { fence },
        BuildEvent::Renewed { fence },
        BuildEvent::Finished {
            fence,
            exit_code: 0,
        },
        BuildEvent::Errored { fence },
        BuildEvent::AbortConfirmed { fence },
        BuildEvent::AbortRequested,
        BuildEvent::PendingTimedOut,
        BuildEvent::LeaseExpired,
        BuildEvent::Expired,
    ]
}

#[test]
fn only_the_drawn_transitions_are_legal() {
    let mut legal = Vec::new();
    for state in BuildState::ALL {
        for event in events(7) {
            let build = Build {
                state: *state,
                fence: 7,
                ..Build::pending(0)
            };
            match build.apply(event, OVER_KEPT) {
                Ok(Some(next)) if next.state == *state => {}
                Ok(next) => {
                    let next = next.map_or("removed", |next| next.state.as_str());
                    legal.push(format!("{state} -> {next}: {}", event.as_str()));
                }
                Err(_) => {}
            }
        }
    }
    assert_eq!(
        legal,
        [
            "pending -> started: claim",
            "pending -> aborted: abort",
            "pending -> errored: timeout",
            "started -> pending: return",
            "started -> succeeded: exit of the task",
            "started -> errored: error",
            "started -> errored: expiry of the lease",
            "succeeded -> removed: expiry",
            "failed -> removed: expiry",
            "errored -> removed: expiry",
            "aborted -> removed: expiry",
        ]
    );
}

#[test]
fn outdated_fencing_token_is_refused() {
    let started = Build {
        state: BuildState::Started,
        fence: 8,
        ..Build::pending(0)
    };
    let event = BuildEvent::Finished {
        fence: 7,
        exit_code: 0,
    };
    let refused = Err(Illegal::Fenced { got: 7, current: 8 });
    assert_eq!(started.apply(event, 1), refused);
}

#[test]
fn only_a_later_process_of_the_worker_adopts_a_build() {
    let claimed = Build::pending(0).apply(BuildEvent::Claimed { fence: 7 }, 10);
    let claimed = claimed.unwrap().unwrap();
    for fence in [6, 7] {
        assert!(claimed.apply(BuildEvent::Adopted { fence }, 20).is_err());
    }
    let adopted = claimed.apply(BuildEvent::Adopted { fence: 8 }, 20);
    let adopted = adopted.unwrap().unwrap();
    assert_eq!((adopted.fence, adopted.lease_until), (8, 20 + LEASE));
    assert!(adopted.apply(BuildEvent::Errored { fence: 7 }, 30).is_err());
}

#[test]
fn build_is_claimed_once_unless_its_worker_never_received_it() {
    for mut random in seeds(500) {
        let mut build = Build::pending(0);
        let (mut at, mut claims, mut over) = (0, 0, None);
        for _ in 0..60 {
            at += random.below(2 * PENDING_MAX as u64) as Millis;
            let fence = random.below(3) as i64 + 1;
            let event = events(fence)[random.below(11) as usize];
            match build.apply(event, at) {
                Ok(Some(next)) => {
                    match event {
                        BuildEvent::Claimed { .. } => claims += 1,
                        BuildEvent::Returned { .. } => claims -= 1,
                        _ => {}
                    }
                    assert!(next.since >= build.since);
                    build = next;
                }
                Ok(None) => break,
                Err(_) => {}
            }
            if let Some(over) = over {
                assert_eq!(build.state, over, "a build that is over stays as it is");
            }
            over = build.state.is_over().then_some(build.state);
        }
        assert!((0..=1).contains(&claims));
    }
}

#[test]
fn abort_is_confirmed_by_the_worker_or_by_the_lease() {
    let claimed = Build::pending(0).apply(BuildEvent::Claimed { fence: 1 }, 10);
    let claimed = claimed.unwrap().unwrap();
    let confirmed = BuildEvent::AbortConfirmed { fence: 1 };
    assert!(claimed.apply(confirmed, 20).is_err(), "nobody requested it");
    let aborting = claimed
        .apply(BuildEvent::AbortRequested, 20)
        .unwrap()
        .unwrap();
    assert_eq!(aborting.state, BuildState::Started);
    let aborted = aborting.apply(confirmed, 30).unwrap().unwrap();
    assert_eq!(aborted.state, BuildState::Aborted);
    let expired = aborting.apply(BuildEvent::LeaseExpired, 10 + LEASE);
    assert_eq!(expired.unwrap().unwrap().state, BuildState::Aborted);
}
