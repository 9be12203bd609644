//! Tests of the layout of files.

use super::*;

#[test]
fn row_groups_without_rows_have_ranges_of_their_own() {
    let columns = [("number", Layout::Delta32), ("text", Layout::Text)];
    let numbers: [&[i32]; 4] = [&[], &[1, 2], &[], &[3]];
    let mut writer = Writer::new(&columns, 1).expect("a writer");
    for numbers in numbers {
        let texts: Vec<&str> = numbers.iter().map(|_| "a").collect();
        let group = [Column::I32(numbers), Column::Text(&texts)];
        writer.group(&group).expect("written");
    }
    let (bytes, ranges) = writer.finish(&[]).expect("a file");
    let (length, bytes) = (bytes.len() as u64, Bytes::from(bytes));
    assert!(
        ranges.is_sorted_by(|before, after| before.1 <= after.0),
        "{ranges:?}"
    );
    let meta = footer(&Span::whole(bytes.clone())).expect("a footer");
    for (index, (start, end)) in ranges.into_iter().enumerate() {
        let group = Group {
            meta: Arc::clone(&meta),
            index,
            span: Span {
                start,
                bytes: bytes.slice(start as usize..end as usize),
                length,
            },
        };
        assert_eq!(group.i32(0).expect("numbers"), numbers[index]);
        let texts = group.text(1).expect("texts");
        assert_eq!(texts.len(), numbers[index].len());
    }
}

#[test]
fn constant_column_has_its_text_in_every_row_and_costs_next_to_nothing() {
    let numbers: Vec<i32> = (0..100_000).collect();
    let columns = [("number", Layout::Delta32)];
    let size = |mut writer: Writer| {
        writer.group(&[Column::I32(&numbers)]).expect("written");
        writer.group(&[Column::I32(&[])]).expect("written");
        writer.finish(&[]).expect("a file").0
    };
    let plain = size(Writer::new(&columns, 3).expect("a writer"));
    let text = "0123456789abcdef0123456789abcdef";
    let constant = Writer::with_constant(&columns, ("block", text), 3);
    let bytes = size(constant.expect("a writer"));
    assert!(
        bytes.len() < plain.len() + 512,
        "{} {}",
        bytes.len(),
        plain.len()
    );
    let span = Span::whole(Bytes::from(bytes));
    let meta = footer(&span).expect("a footer");
    for (index, rows) in [100_000, 0].into_iter().enumerate() {
        let (meta, span) = (Arc::clone(&meta), span.clone());
        let group = Group { meta, index, span };
        let texts = group.text(1).expect("texts");
        assert_eq!(texts.len(), rows);
        assert!((0..rows).all(|row| texts.get(row).is_ok_and(|of| of == text)));
    }
}

#[test]
fn group_without_any_bytes_has_an_empty_range() {
    let mut writer = Writer::new(&[("number", Layout::Delta32)], 1).expect("a writer");
    writer.group(&[Column::I32(&[])]).expect("written");
    let (_, ranges) = writer.finish(&[]).expect("a file");
    assert_eq!(ranges, [(0, 0)]);
}
