//! Tests of the layout of files.

use super::*;
use davy_base::Random;
use parquet::column::page::Page;

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

/// Texts that repeat, share beginnings, are empty, long, or not UTF-8.
fn random_texts(random: &mut Random, count: usize) -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = Vec::with_capacity(count);
    for _ in 0..count {
        let like = match random.below(8) {
            0 => vec![],
            1..4 if !texts.is_empty() => texts[random.below(texts.len() as u64) as usize].clone(),
            _ => texts.last().cloned().unwrap_or_default(),
        };
        let mut text = like[..random.below(like.len() as u64 + 1) as usize].to_vec();
        let new = match random.below(100) {
            0 => 70_000,
            1..40 => 0,
            _ => random.below(30),
        };
        let letters = (0..new).map(|_| b'a' + random.below(4) as u8);
        text.extend(letters);
        texts.push(text);
    }
    texts
}

/// Writes row groups of one column, and returns them.
fn groups(layout: Layout, all: &[Vec<Vec<u8>>]) -> Vec<Group> {
    let mut writer = Writer::new(&[("text", layout)], 1).expect("a writer");
    for texts in all {
        let bytes: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        let column = if layout == Layout::Binary {
            writer.group(&[Column::Binary(&bytes)])
        } else {
            let texts: Vec<&str> = bytes
                .iter()
                .map(|text| std::str::from_utf8(text).expect("UTF-8"))
                .collect();
            writer.group(&[Column::Text(&texts)])
        };
        column.expect("written");
    }
    let span = Span::whole(Bytes::from(writer.finish(&[]).expect("a file").0));
    let meta = footer(&span).expect("a footer");
    let group = |index| Group {
        meta: Arc::clone(&meta),
        index,
        span: span.clone(),
    };
    (0..all.len()).map(group).collect()
}

#[test]
fn texts_are_read_as_they_were_written_in_every_layout() {
    let mut random = Random::seeded(1);
    for layout in [Layout::Text, Layout::Distinct, Layout::Binary] {
        let mut all: Vec<_> = [0, 1, 2, 31, 32, 33, 127, 128, 129, 130, 5_000]
            .map(|count| random_texts(&mut random, count))
            .into();
        // Without repetition, so that a dictionary is given up.
        all.push((0..40_000).map(|n| format!("{n:x}").into()).collect());
        all.push(vec![b"once".to_vec(); 300_000]);
        if layout == Layout::Binary {
            all.push(vec![vec![0xff, 0], vec![], vec![0x80]]);
        }
        for (group, expected) in groups(layout, &all).iter().zip(&all) {
            let texts = group.text(0).expect("texts");
            assert_eq!(texts.len(), expected.len(), "{layout:?}");
            for (row, expected) in expected.iter().enumerate() {
                let read = texts.bytes(row).expect("a row");
                assert_eq!(read, expected, "{layout:?} {row} of {}", texts.len());
            }
            // The library reads the same.
            let values = group.read::<ByteArrayType>(0).expect("values");
            assert!(values.iter().map(ByteArray::data).eq(expected));
        }
    }
}

#[test]
fn equal_texts_are_stored_once() {
    let text = "x".repeat(1_000).into_bytes();
    for layout in [Layout::Text, Layout::Distinct] {
        let all = [vec![text.clone(); 100_000]];
        let texts = groups(layout, &all)[0].text(0).expect("texts");
        assert!(texts.memory() < 100_000 * 8 + 5_000, "{}", texts.memory());
    }
}

#[test]
fn damaged_pages_of_texts_are_refused_or_have_as_many_texts_as_they_state() {
    let mut random = Random::seeded(2);
    let (mut refused, mut read) = (0, 0);
    for layout in [Layout::Text, Layout::Distinct, Layout::Binary] {
        let all = [random_texts(&mut random, 300)];
        let group = &groups(layout, &all)[0];
        let (chunk, rows) = group.chunk::<ByteArrayType>(0).expect("a column");
        let pages: Result<Vec<Page>, _> = group.pages(chunk, rows).expect("pages").collect();
        let pages = pages.expect("pages");
        for _ in 0..3_000 {
            let mut texts = TextPages::of(rows);
            let added = pages.iter().try_for_each(|page| {
                let mut page = page.clone();
                let (Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. }) = &mut page
                else {
                    panic!("pages are of version 1");
                };
                let mut bytes = buf.to_vec();
                for _ in 0..random.below(3) {
                    // The lengths are at the start.
                    let length = bytes.len() as u64;
                    let end = [length, length.min(200)][random.below(2) as usize];
                    let at = random.below(end) as usize;
                    bytes[at] = random.below(256) as u8;
                }
                if random.below(8) == 0 {
                    bytes.truncate(random.below(bytes.len() as u64) as usize);
                }
                *buf = bytes.into();
                texts.page(&page)
            });
            match added.and_then(|()| texts.finish()) {
                Ok(texts) => {
                    read += 1;
                    assert_eq!(texts.len(), rows);
                    for row in 0..rows {
                        texts.bytes(row).expect("a row");
                    }
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.is_damage, "{error}");
                }
            }
        }
    }
    assert!(refused > 1_000 && read > 1_000, "{refused} {read}");
}

#[test]
fn dictionary_must_be_the_first_page_and_its_indices_must_fit_their_width() {
    let dictionary = Page::DictionaryPage {
        buf: Bytes::from_static(b"\x01\0\0\0a\x01\0\0\0b"),
        num_values: 2,
        encoding: Encoding::PLAIN,
        is_sorted: false,
    };
    let data = |bytes: &'static [u8]| Page::DataPage {
        buf: Bytes::from_static(bytes),
        num_values: 2,
        encoding: Encoding::RLE_DICTIONARY,
        def_level_encoding: Encoding::RLE,
        rep_level_encoding: Encoding::RLE,
        statistics: None,
    };
    let read = |pages: &[&Page]| {
        let mut texts = TextPages::of(2);
        pages.iter().try_for_each(|page| texts.page(page))?;
        let texts = texts.finish()?;
        Ok::<_, Error>([0, 1].map(|row| texts.get(row).map(str::to_owned).expect("a text")))
    };
    // Runs of one bit: twice the second text; then the same as packed bits.
    let run = data(&[1, 4, 1]);
    assert_eq!(read(&[&dictionary, &run]).expect("texts"), ["b", "b"]);
    let packed = data(&[1, 3, 0b10]);
    assert_eq!(read(&[&dictionary, &packed]).expect("texts"), ["a", "b"]);
    for pages in [
        vec![&dictionary, &dictionary, &run],
        vec![&dictionary, &run, &dictionary, &run],
        vec![&run],
        vec![&dictionary],
        vec![&dictionary, &run, &run],
    ] {
        assert!(read(&pages).expect_err("damaged").is_damage);
    }
    // Two bits of one; an index outside of the dictionary; a width above 32 bits; an empty run.
    for bytes in [
        &[1, 4, 2][..],
        &[2, 4, 2],
        &[255, 4, 1],
        &[1, 0, 1],
        &[1, 1, 1],
        &[],
    ] {
        let error = read(&[&dictionary, &data(bytes)]).expect_err("damaged");
        assert!(error.is_damage, "{bytes:?}");
    }
}
