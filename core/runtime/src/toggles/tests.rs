//! The most restrictive setting wins.

use super::*;

fn endpoint() -> Target {
    Target::Endpoint("ListAllJobs".to_owned())
}

fn setting(source: &str, enabled: Option<bool>, limit: Option<u32>) -> Setting {
    Setting {
        enabled,
        limit,
        slot: None,
        operator: "operator".to_owned(),
        why: "3 a.m.".to_owned(),
        at: Timestamp::EPOCH,
        source: source.to_owned(),
    }
}

fn slot(source: &str, seconds: u64) -> Setting {
    Setting {
        slot: Some(Duration::from_secs(seconds)),
        ..setting(source, None, None)
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

/// The effective setting: enabled, limit, slot in seconds, source of the decisive setting.
fn effective(toggles: &Toggles) -> (bool, Option<u32>, u64, Option<String>) {
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
fn most_restrictive_setting_wins_and_is_named() {
    let check = |configured: &[Setting],
                 live: Option<Setting>,
                 expected: (bool, Option<u32>, u64, Option<&str>)| {
        let toggles = toggles(configured);
        toggles
            .set_live(endpoint(), live.clone())
            .expect("more restrictive");
        let (enabled, limit, slot, by) = effective(&toggles);
        assert_eq!(
            (enabled, limit, slot, by.as_deref()),
            expected,
            "{configured:?} {live:?}"
        );
    };
    let (on, off) = (Some(true), Some(false));
    check(&[], None, (true, None, 30, None));
    check(
        &[setting("file", on, None)],
        None,
        (true, None, 30, Some("file")),
    );
    check(
        &[setting("file", off, None)],
        None,
        (false, None, 30, Some("file")),
    );
    check(
        &[],
        Some(setting("live", off, None)),
        (false, None, 30, Some("live")),
    );
    check(
        &[setting("file", on, Some(10))],
        Some(setting("live", None, Some(5))),
        (true, Some(5), 30, Some("live")),
    );
    check(
        &[setting("file", None, Some(5))],
        Some(setting("live", off, None)),
        (false, Some(5), 30, Some("live")),
    );
    check(
        &[setting("file", on, Some(5)), setting("flag", off, None)],
        Some(setting("live", off, None)),
        (false, Some(5), 30, Some("flag")),
    );
    check(
        &[
            setting("file", None, Some(9)),
            setting("flag", None, Some(7)),
        ],
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
fn live_setting_without_effect_is_rejected_with_the_decisive_source() {
    let check = |configured: Setting, live: Setting, expected: &str| {
        let toggles = toggles(&[configured]);
        let before = effective(&toggles);
        let error = toggles
            .set_live(endpoint(), Some(live))
            .expect_err("less restrictive");
        assert_eq!(error.to_string(), expected);
        assert_eq!(effective(&toggles), before);
        assert_eq!(toggles.all()[0].live, None);
    };
    check(
        setting("davy.toml", Some(false), None),
        setting("live", Some(true), None),
        "ListAllJobs is disabled by davy.toml, and a live toggle cannot enable it; change davy.toml and reload",
    );
    check(
        setting("davy.toml", Some(false), None),
        setting("live", None, Some(3)),
        "ListAllJobs is disabled by davy.toml, and a live toggle cannot enable it; change davy.toml and reload",
    );
    check(
        setting("--endpoint-ListAllJobs-limit", None, Some(5)),
        setting("live", None, Some(6)),
        "--endpoint-ListAllJobs-limit limits ListAllJobs to 5, so a live limit of 6 has no effect; set a lower limit, or change --endpoint-ListAllJobs-limit and reload",
    );
    check(
        slot("davy.toml", 10),
        slot("live", 20),
        "davy.toml sets the slot time of ListAllJobs to 10 s, so a live slot time of 20 s has no effect; set a shorter one, or change davy.toml and reload",
    );
}

#[test]
fn reload_replaces_configured_settings_and_keeps_live_ones() {
    let toggles = toggles(&[setting("file", None, Some(9))]);
    toggles
        .set_live(endpoint(), Some(setting("live", Some(false), None)))
        .expect("more restrictive");
    toggles.set_configured(Vec::new());
    assert_eq!(
        effective(&toggles),
        (false, None, 30, Some("live".to_owned()))
    );
    toggles.set_live(endpoint(), None).expect("cleared");
    assert_eq!(effective(&toggles), (true, None, 30, None));
    assert!(toggles.all().is_empty());
}

#[test]
fn member_and_endpoint_of_the_same_name_are_separate_targets() {
    let toggles = Toggles::new();
    let member = Target::Member("api".to_owned());
    toggles
        .set_live(member.clone(), Some(setting("live", Some(false), None)))
        .expect("more restrictive");
    assert!(!toggles.effective(&member).enabled);
    assert!(
        toggles
            .effective(&Target::Endpoint("api".to_owned()))
            .enabled
    );
}

#[test]
fn changes_are_published_and_rejected_ones_are_not() {
    let toggles = toggles(&[setting("file", Some(false), None)]);
    let mut changed = toggles.changed();
    assert!(!changed.has_changed().expect("the sender exists"));
    let less_restrictive = Some(setting("live", Some(true), None));
    toggles
        .set_live(endpoint(), less_restrictive)
        .expect_err("less restrictive");
    assert!(!changed.has_changed().expect("the sender exists"));
    toggles.clone().set_configured(Vec::new());
    assert!(changed.has_changed().expect("the sender exists"));
    changed.mark_unchanged();
    toggles
        .set_live(endpoint(), Some(setting("live", None, Some(1))))
        .expect("more restrictive");
    assert!(changed.has_changed().expect("the sender exists"));
}

#[test]
fn number_of_live_settings_is_limited() {
    let toggles = Toggles::new();
    let off = || Some(setting("live", Some(false), None));
    let target = |i: usize| Target::Endpoint(i.to_string());
    let mut settings = toggles.settings();
    for i in 0..LIVE_MAX {
        settings
            .live
            .insert(target(i), Arc::new(setting("live", Some(false), None)));
    }
    drop(settings);
    let rejected = toggles.set_live(target(LIVE_MAX), off());
    assert_eq!(rejected, Err(ToggleError::TooMany));
    toggles.set_live(target(7), off()).expect("a replacement");
    toggles.set_live(target(8), None).expect("cleared");
    toggles
        .set_live(target(LIVE_MAX), off())
        .expect("another one was cleared");
}
