//! In a process of its own, because it fills the global table.

use davy_tag::{MAX_TAGS, Tag};

#[test]
fn full_table_returns_the_overflow_tag_and_counts_it() {
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
        "existing pairs are still found"
    );
    // The two fixed tags and `first` use three entries; one more pair was requested at the end.
    assert_eq!(davy_tag::overflowed(), 10 + 3 + 1);
    assert_eq!(davy_tag::count(), MAX_TAGS);
}
