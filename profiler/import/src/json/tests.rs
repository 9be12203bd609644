use super::Reader;
use crate::{Error, Format};

fn reader(text: &str) -> Reader<'_> {
    Reader::new(text.as_bytes(), Format::Speedscope)
}

#[test]
fn values_are_read_token_by_token() {
    let mut json = reader(" { \"a\" : [ 1 , -2.50e3, \"x\" ] , \"b\":{}, \"c\": null } ");
    json.begin_object().expect("object");
    assert_eq!(json.next_key().expect("key").as_deref(), Some("a"));
    json.begin_array().expect("array");
    assert_eq!(json.next_item(), Ok(true));
    assert_eq!(json.integer(), Ok(1));
    assert_eq!(json.next_item(), Ok(true));
    assert_eq!(json.number(), Ok("-2.50e3"));
    assert_eq!(json.next_item(), Ok(true));
    assert_eq!(json.string().as_deref(), Ok("x"));
    assert_eq!(json.next_item(), Ok(false));
    assert_eq!(json.next_key().expect("key").as_deref(), Some("b"));
    json.begin_object().expect("object");
    assert_eq!(json.next_key(), Ok(None));
    assert_eq!(json.next_key().expect("key").as_deref(), Some("c"));
    json.skip().expect("null");
    assert_eq!(json.next_key(), Ok(None));
    assert_eq!(json.finish(), Ok(()));
}

#[test]
fn strings_are_unescaped() {
    let check = |text: &str, expected: &str| {
        assert_eq!(reader(text).string().as_deref(), Ok(expected), "{text}")
    };
    check(r#""plain é""#, "plain é");
    check(r#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{c}\n\r\tz");
    check(r#""\u00e9\ud83d\ude00""#, "é😀");
    check(r#""\ud83dx \ud83d\u0041""#, "\u{fffd}x \u{fffd}A");
}

#[test]
fn faults_are_reported_with_their_offset() {
    let check = |text: &str, read: fn(&mut Reader<'_>) -> Result<(), Error>, expected: &str| {
        let error = read(&mut reader(text)).expect_err(text);
        assert_eq!(
            error.to_string(),
            format!("invalid speedscope file: {expected}"),
            "{text}"
        );
    };
    let skip = |r: &mut Reader<'_>| r.skip().map(drop);
    check("[1,{]", skip, "unexpected closing bracket at byte 4");
    check("[1,", skip, "expected a value at byte 3");
    check("\"abc", skip, "string without an end at byte 4");
    check(
        "\"abc",
        |r| r.string().map(drop),
        "string without an end at byte 4",
    );
    check(
        "\"\\x\"",
        |r| r.string().map(drop),
        "invalid escape in a string at byte 1",
    );
    check(
        "\"\\u12",
        |r| r.string().map(drop),
        "invalid escape in a string at byte 1",
    );
    check("x", |r| r.number().map(drop), "expected a number at byte 0");
    check("-1", |r| r.index().map(drop), "expected an index at byte 0");
    check(
        "1e99",
        |r| r.integer().map(drop),
        "expected a number of at most 64 bits at byte 0",
    );
    let object = |r: &mut Reader<'_>| {
        r.begin_object()?;
        Ok(())
    };
    check("7", object, "expected an object at byte 0");
    check(
        "1 2",
        |r| {
            r.skip()?;
            r.clone().finish()
        },
        "text after the end of the JSON value at byte 2",
    );
}

#[test]
fn deeply_nested_json_does_not_overflow_the_stack() {
    let text = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    assert!(reader(&text).skip().is_ok());
    assert!(reader(&text[..text.len() - 1]).skip().is_err());
}
