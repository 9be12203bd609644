//! Alone in its process, because it fills the table of the process.

use davy_tag::{MAX_TAGS, Tag};

#[test]
fn a_full_table_gives_a_counted_overflow_tag_and_never_panics() {
    let first = Tag::new("first", "op");
    for i in 0..MAX_TAGS + 10 {
        let tag = Tag::new("many", &format!("op{i}"));
        assert!(tag == Tag::OVERFLOW || tag.op() == format!("op{i}"));
    }
    assert_eq!(Tag::new("one", "more"), Tag::OVERFLOW);
    assert_eq!(Tag::OVERFLOW.member(), "(overflow)");
    assert_eq!(
        Tag::new("first", "op"),
        first,
        "pairs that are known stay known"
    );
    // The two fixed tags and `first` take three places; one more pair was asked for at the end.
    assert_eq!(davy_tag::overflowed(), 10 + 3 + 1);
    assert_eq!(davy_tag::count(), MAX_TAGS);
}
