//! The narrower wins.

use super::*;

fn endpoint() -> Target {
    Target::Endpoint("ListAllJobs".to_owned())
}

fn says(source: &str, enabled: Option<bool>, limit: Option<u32>) -> Setting {
    Setting {
        enabled,
        limit,
        slot: None,
        who: "operator".to_owned(),
        why: "3 a.m.".to_owned(),
        at: Timestamp::EPOCH,
        source: source.to_owned(),
    }
}

fn slot(source: &str, seconds: u64) -> Setting {
    Setting {
        slot: Some(Duration::from_secs(seconds)),
        ..says(source, None, None)
    }
}

fn toggles(configured: &[Setting]) -> Toggles {
    let toggles = Toggles::new();
    let of_endpoint = configured
        .iter()
        .map(|setting| (endpoint(), setting.clone()));
    toggles.set_configured(of_endpoint.collect());
    toggles
}

/// What holds, as (on, limit, slot in seconds, whose setting decides).
fn holds(toggles: &Toggles) -> (bool, Option<u32>, u64, Option<String>) {
    let effective = toggles.effective(&endpoint());
    let by = effective.by.map(|setting| setting.source.clone());
    (
        effective.enabled,
        effective.limit,
        effective.slot.as_secs(),
        by,
    )
}

#[test]
fn the_narrower_of_all_that_was_said_holds_and_is_named() {
    let check = |configured: &[Setting],
                 live: Option<Setting>,
                 expected: (bool, Option<u32>, u64, Option<&str>)| {
        let toggles = toggles(configured);
        toggles
            .set_live(endpoint(), live.clone())
            .expect("it narrows");
        let (on, limit, slot, by) = holds(&toggles);
        assert_eq!(
            (on, limit, slot, by.as_deref()),
            expected,
            "{configured:?} {live:?}"
        );
    };
    let (on, off) = (Some(true), Some(false));
    check(&[], None, (true, None, 30, None));
    check(
        &[says("file", on, None)],
        None,
        (true, None, 30, Some("file")),
    );
    check(
        &[says("file", off, None)],
        None,
        (false, None, 30, Some("file")),
    );
    check(
        &[],
        Some(says("live", off, None)),
        (false, None, 30, Some("live")),
    );
    check(
        &[says("file", on, Some(10))],
        Some(says("live", None, Some(5))),
        (true, Some(5), 30, Some("live")),
    );
    check(
        &[says("file", None, Some(5))],
        Some(says("live", off, None)),
        (false, Some(5), 30, Some("live")),
    );
    check(
        &[says("file", on, Some(5)), says("flag", off, None)],
        Some(says("live", off, None)),
        (false, Some(5), 30, Some("flag")),
    );
    check(
        &[says("file", None, Some(9)), says("flag", None, Some(7))],
        None,
        (true, Some(7), 30, Some("flag")),
    );
    check(
        &[slot("file", 60)],
        Some(slot("live", 10)),
        (true, None, 10, Some("live")),
    );
}

#[test]
fn a_live_toggle_that_would_widen_is_refused_with_the_name_of_what_is_narrower() {
    let check = |configured: Setting, live: Setting, expected: &str| {
        let toggles = toggles(&[configured]);
        let before = holds(&toggles);
        let refused = toggles
            .set_live(endpoint(), Some(live))
            .expect_err("it widens");
        assert_eq!(refused.to_string(), expected);
        assert_eq!(holds(&toggles), before);
        assert_eq!(toggles.all()[0].live, None);
    };
    check(
        says("davy.toml", Some(false), None),
        says("live", Some(true), None),
        "ListAllJobs is disabled by davy.toml; change it there and reload, since a live toggle \
         can only narrow what is configured",
    );
    check(
        says("davy.toml", Some(false), None),
        says("live", None, Some(3)),
        "ListAllJobs is disabled by davy.toml; change it there and reload, since a live toggle \
         can only narrow what is configured",
    );
    check(
        says("--endpoint-ListAllJobs-limit", None, Some(5)),
        says("live", None, Some(6)),
        "ListAllJobs is limited to 5 at once by --endpoint-ListAllJobs-limit, so a limit of 6 would \
         change nothing; lower it further, or change it there and reload",
    );
    check(
        slot("davy.toml", 10),
        slot("live", 20),
        "ListAllJobs may hold a slot for 10s by davy.toml, so 20s would change nothing; shorten it \
         further, or change it there and reload",
    );
}

#[test]
fn a_reload_replaces_the_configured_and_keeps_the_live() {
    let toggles = toggles(&[says("file", None, Some(9))]);
    toggles
        .set_live(endpoint(), Some(says("live", Some(false), None)))
        .expect("it narrows");
    toggles.set_configured(Vec::new());
    assert_eq!(holds(&toggles), (false, None, 30, Some("live".to_owned())));
    toggles
        .set_live(endpoint(), None)
        .expect("it is taken back");
    assert_eq!(holds(&toggles), (true, None, 30, None));
    assert!(toggles.all().is_empty());
}

#[test]
fn a_member_and_an_endpoint_of_one_name_are_two_targets() {
    let toggles = Toggles::new();
    let member = Target::Member("api".to_owned());
    toggles
        .set_live(member.clone(), Some(says("live", Some(false), None)))
        .expect("it narrows");
    assert!(!toggles.effective(&member).enabled);
    assert!(
        toggles
            .effective(&Target::Endpoint("api".to_owned()))
            .enabled
    );
}

#[test]
fn every_change_is_told_and_a_refused_one_is_not() {
    let toggles = toggles(&[says("file", Some(false), None)]);
    let mut changed = toggles.changed();
    assert!(!changed.has_changed().expect("the toggles are there"));
    let widening = Some(says("live", Some(true), None));
    toggles
        .set_live(endpoint(), widening)
        .expect_err("it widens");
    assert!(!changed.has_changed().expect("the toggles are there"));
    toggles.clone().set_configured(Vec::new());
    assert!(changed.has_changed().expect("the toggles are there"));
    changed.mark_unchanged();
    toggles
        .set_live(endpoint(), Some(says("live", None, Some(1))))
        .expect("it narrows");
    assert!(changed.has_changed().expect("the toggles are there"));
}

#[test]
fn live_toggles_are_bounded() {
    let toggles = Toggles::new();
    let off = || Some(says("live", Some(false), None));
    let target = |i: usize| Target::Endpoint(i.to_string());
    let mut said = toggles.said();
    for i in 0..LIVE_MAX {
        said.live
            .insert(target(i), Arc::new(says("live", Some(false), None)));
    }
    drop(said);
    let refused = toggles.set_live(target(LIVE_MAX), off());
    assert_eq!(refused, Err(ToggleRefused::TooMany));
    toggles
        .set_live(target(7), off())
        .expect("it is there already");
    toggles.set_live(target(8), None).expect("it is taken back");
    toggles
        .set_live(target(LIVE_MAX), off())
        .expect("there is room again");
}
