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

fn switches(configured: &[Setting]) -> Switches {
    let switches = Switches::new();
    let of_endpoint = configured
        .iter()
        .map(|setting| (endpoint(), setting.clone()));
    switches.set_configured(of_endpoint.collect());
    switches
}

/// What holds, as (on, limit, slot in seconds, whose setting decides).
fn holds(switches: &Switches) -> (bool, Option<u32>, u64, Option<String>) {
    let effective = switches.effective(&endpoint());
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
        let switches = switches(configured);
        switches
            .set_live(endpoint(), live.clone())
            .expect("it narrows");
        let (on, limit, slot, by) = holds(&switches);
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
fn a_live_switch_that_would_widen_is_refused_with_the_name_of_what_is_narrower() {
    let check = |configured: Setting, live: Setting, expected: &str| {
        let switches = switches(&[configured]);
        let before = holds(&switches);
        let refused = switches
            .set_live(endpoint(), Some(live))
            .expect_err("it widens");
        assert_eq!(refused.to_string(), expected);
        assert_eq!(holds(&switches), before);
        assert_eq!(switches.all()[0].live, None);
    };
    check(
        says("davy.toml", Some(false), None),
        says("live", Some(true), None),
        "ListAllJobs is switched off by davy.toml; change it there and reload, since a live switch \
         can only narrow what is configured",
    );
    check(
        says("davy.toml", Some(false), None),
        says("live", None, Some(3)),
        "ListAllJobs is switched off by davy.toml; change it there and reload, since a live switch \
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
    let switches = switches(&[says("file", None, Some(9))]);
    switches
        .set_live(endpoint(), Some(says("live", Some(false), None)))
        .expect("it narrows");
    switches.set_configured(Vec::new());
    assert_eq!(holds(&switches), (false, None, 30, Some("live".to_owned())));
    switches
        .set_live(endpoint(), None)
        .expect("it is taken back");
    assert_eq!(holds(&switches), (true, None, 30, None));
    assert!(switches.all().is_empty());
}

#[test]
fn a_member_and_an_endpoint_of_one_name_are_two_targets() {
    let switches = Switches::new();
    let member = Target::Member("api".to_owned());
    switches
        .set_live(member.clone(), Some(says("live", Some(false), None)))
        .expect("it narrows");
    assert!(!switches.effective(&member).enabled);
    assert!(
        switches
            .effective(&Target::Endpoint("api".to_owned()))
            .enabled
    );
}

#[test]
fn every_change_is_told_and_a_refused_one_is_not() {
    let switches = switches(&[says("file", Some(false), None)]);
    let mut changed = switches.changed();
    assert!(!changed.has_changed().expect("the switches are there"));
    let widening = Some(says("live", Some(true), None));
    switches
        .set_live(endpoint(), widening)
        .expect_err("it widens");
    assert!(!changed.has_changed().expect("the switches are there"));
    switches.clone().set_configured(Vec::new());
    assert!(changed.has_changed().expect("the switches are there"));
    changed.mark_unchanged();
    switches
        .set_live(endpoint(), Some(says("live", None, Some(1))))
        .expect("it narrows");
    assert!(changed.has_changed().expect("the switches are there"));
}

#[test]
fn live_switches_are_bounded() {
    let switches = Switches::new();
    let off = || Some(says("live", Some(false), None));
    let target = |i: usize| Target::Endpoint(i.to_string());
    let mut said = switches.said();
    for i in 0..LIVE_MAX {
        said.live
            .insert(target(i), Arc::new(says("live", Some(false), None)));
    }
    drop(said);
    let refused = switches.set_live(target(LIVE_MAX), off());
    assert_eq!(refused, Err(SwitchRefused::TooMany));
    switches
        .set_live(target(7), off())
        .expect("it is there already");
    switches
        .set_live(target(8), None)
        .expect("it is taken back");
    switches
        .set_live(target(LIVE_MAX), off())
        .expect("there is room again");
}
