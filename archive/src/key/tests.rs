use super::*;
use davy_base::Timestamp;

#[test]
fn encoded_text_cannot_leave_its_folder() {
    let check = |text: &str, part: &str| assert_eq!(encode(text), part, "{text}");
    check("web-1.eu_west", "web-1.eu_west");
    check("..", "=2e.");
    check("../../etc", "=2e.=2f..=2fetc");
    check("a\0b", "a=00b");
    check("ä%", "=c3=a4=25");
    assert_eq!(Tenant::new(""), None);
}

#[test]
fn build_id_of_any_length_is_one_short_part_of_a_key() {
    let key = |id: &str| BuildKey::of(id).key().to_owned();
    assert_eq!(key("0aff"), "0aff");
    assert_eq!(key("../a/b-c_d"), "=2e.=2fa=2fb-c_d");
    let (a, b) = ("/".repeat(255) + "a", "/".repeat(255) + "b");
    assert_eq!(key(&a).len(), 200);
    assert_ne!(key(&a), key(&b));
    assert!(!key(&a).contains('/'));
}

#[test]
fn hour_is_parsed_only_as_keys_spell_it() {
    let check = |date: &str, hh: &str, expected: Option<i64>| {
        assert_eq!(
            Hour::parse(date, hh).map(|hour| hour.0),
            expected,
            "{date} {hh}"
        );
    };
    check("1970-01-01", "00", Some(0));
    check("2026-11-22", "10", Some(498_706));
    check("2024-02-29", "23", Some(474_791));
    for (date, hh) in [
        ("2026-11-22", "24"),
        ("2026-11-22", "7"),
        ("2026-11-22", "+7"),
        ("2026-02-29", "00"),
        ("2026-1-22", "00"),
        ("+026-11-22", "00"),
        ("20261122", "00"),
        ("2026-11-22T", "00"),
    ] {
        check(date, hh, None);
    }
    let hour = Hour(498_706);
    let text = hour.to_string();
    let (date, hh) = text.split_once('/').expect("a date and an hour");
    assert_eq!(Hour::parse(date, hh), Some(hour));
}

#[test]
fn keys_survive_a_round_trip() {
    let keys = Keys::new("davy/x y");
    let tenant = Tenant::new("../t").expect("a name");
    let hour =
        Hour::of(crate::time::parse("2026-11-22T10:59:59Z", Timestamp::EPOCH).expect("valid"));
    let path = keys.segment(&tenant, hour, Ulid(7));
    assert_eq!(
        path.as_ref(),
        "davy/x=20y/=2e.=2ft/segments/2026-11-22/10/00000000000000000000000007.segment"
    );
    assert_eq!(
        keys.parse(&tenant, &path),
        Some(Named::Segment(hour, Ulid(7)))
    );
    assert_eq!(keys.parse(&Tenant::anonymous(), &path), None);
    let id = BlockId("0".repeat(32));
    let path = keys.block(&tenant, hour, &id, META);
    assert_eq!(
        keys.parse(&tenant, &path),
        Some(Named::Block(hour, id.clone(), META.to_owned()))
    );
    let day = Day::of(hour);
    let path = keys.block(&tenant, day, &id, META);
    assert!(path.as_ref().contains("/blocks/day/2026-11-22/"), "{path}");
    assert_eq!(
        keys.parse(&tenant, &path),
        Some(Named::DayBlock(day, id.clone(), META.to_owned()))
    );
    let month = Month::of(day);
    let path = keys.block(&tenant, month, &id, META);
    assert!(path.as_ref().contains("/blocks/month/2026-11/"), "{path}");
    assert_eq!(
        keys.parse(&tenant, &path),
        Some(Named::MonthBlock(month, id, META.to_owned()))
    );
}

#[test]
fn month_has_its_days_and_is_parsed_only_as_keys_spell_it() {
    let check = |text: &str, first: &str, days: usize| {
        let month = Month::parse(text).expect(text);
        assert_eq!(month.to_string(), text);
        assert_eq!(month.first(), Day::parse(first).expect(first));
        assert_eq!(month.days().count(), days, "{text}");
        assert!(month.days().all(|day| Month::of(day) == month), "{text}");
        let last = month.days().last().expect("a day");
        assert_eq!(month.end(), last.end(), "{text}");
    };
    check("2024-02", "2024-02-01", 29);
    check("2026-12", "2026-12-01", 31);
    check("1970-01", "1970-01-01", 31);
    check("1969-12", "1969-12-01", 31);
    for text in [
        "2026-13", "2026-00", "2026-1", "2026-001", "202601", "+026-01",
    ] {
        assert_eq!(Month::parse(text), None, "{text}");
    }
}
