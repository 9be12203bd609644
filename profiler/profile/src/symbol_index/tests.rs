use super::layout::*;
use super::*;

fn frame(index: &mut Builder, function: &str, line: u32) -> SymbolFrame {
    SymbolFrame {
        function: index.string(function),
        file: index.string("src/main.rs"),
        line,
    }
}

/// An index of three functions: one with 100 ranges, a copy of it, and one far above.
fn example() -> Vec<u8> {
    let mut index = Builder::new("aabb", "server");
    let above = frame(&mut index, "above", 7);
    index.add(0x9000_0000_0000, 16, &[above]);
    let outer = frame(&mut index, "outer", 1);
    for range in 0..100 {
        let inner = frame(&mut index, "inner", range);
        let frames = [outer, inner];
        let frames = if range % 3 == 0 {
            &frames[..1]
        } else {
            &frames
        };
        index.add(0x1000 + 10 * u64::from(range), 10, frames);
    }
    let copy = frame(&mut index, "copy", 1);
    index.add(0x1000, 1_000, &[copy]);
    let mut bytes = Vec::new();
    index.write(&mut bytes).expect("a vector");
    bytes
}

fn names(index: &SymbolIndex<&[u8]>, address: u64) -> Option<Vec<(String, u32)>> {
    let found = index.find(address)?;
    assert!(found.range.contains(&address));
    let name = |frame: &SymbolFrame| (index.text(frame.function).to_owned(), frame.line);
    Some(found.frames.iter().map(name).collect())
}

#[test]
fn find_returns_the_frames_of_each_range_and_none_between_functions() {
    let bytes = example();
    let index = SymbolIndex::open(bytes.as_slice()).expect("an index");
    index.validate().expect("valid");
    assert_eq!(index.build_id(), "aabb");
    assert_eq!(index.file_name(), "server");
    let outer = || ("outer".to_owned(), 1);
    for range in 0..100 {
        let mut expected = vec![outer()];
        if range % 3 != 0 {
            expected.push(("inner".to_owned(), range));
        }
        let start = 0x1000 + 10 * u64::from(range);
        for address in [start, start + 9] {
            assert_eq!(names(&index, address).as_ref(), Some(&expected), "{range}");
        }
    }
    let last = 0x9000_0000_000f;
    assert_eq!(names(&index, last), Some(vec![("above".to_owned(), 7)]));
    for address in [0, 0xfff, 0x1000 + 1_000, 0x9000_0000_0010, u64::MAX] {
        assert_eq!(names(&index, address), None, "{address:x}");
    }
    let found = index.find(0x1000).expect("outer");
    assert_eq!(index.text(found.frames[0].file), "src/main.rs");
}

#[test]
fn index_without_functions_finds_nothing() {
    let mut bytes = Vec::new();
    Builder::new("", "").write(&mut bytes).expect("a vector");
    let index = SymbolIndex::open(bytes).expect("an index");
    index.validate().expect("valid");
    assert_eq!(index.find(0x1000), None);
    assert_eq!(index.build_id(), "");
}

#[test]
fn empty_and_overflowing_ranges_are_left_out() {
    let mut index = Builder::new("", "");
    let outer = frame(&mut index, "outer", 1);
    index.add(0x10, 0, &[outer]);
    index.add(u64::MAX, 2, &[outer]);
    let mut bytes = Vec::new();
    index.write(&mut bytes).expect("a vector");
    let index = SymbolIndex::open(bytes).expect("an index");
    assert_eq!(index.blocks(), 0);
}

#[test]
fn every_truncation_is_refused() {
    let bytes = example();
    for length in 0..bytes.len() {
        let error = SymbolIndex::open(&bytes[..length]).expect_err("truncated");
        let is_expected = match length {
            ..8 => error == Error::Magic,
            _ => matches!(error, Error::Truncated { got, .. } if got == length),
        };
        assert!(is_expected, "{length}: {error}");
    }
    let mut newer = bytes.clone();
    newer[8] = 2;
    assert_eq!(
        SymbolIndex::open(newer.as_slice()).expect_err("newer"),
        Error::Version(2)
    );
}

#[test]
fn damaged_index_never_panics_and_is_found_by_validation_or_still_consistent() {
    let bytes = example();
    for at in 8..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            let Ok(index) = SymbolIndex::open(damaged.as_slice()) else {
                continue;
            };
            for address in [0, 0x1000, 0x1155, 0x9000_0000_0000, u64::MAX] {
                let _ = names_lossy(&index, address);
            }
            if index.validate().is_ok() {
                for block in 0..index.blocks() {
                    index.block(block, |_| true).expect("validated");
                }
            }
        }
    }
}

fn names_lossy(index: &SymbolIndex<&[u8]>, address: u64) -> usize {
    let found = index.find(address).unwrap_or_default();
    let texts = found.frames.iter().map(|frame| index.text(frame.function));
    texts.map(str::len).sum()
}
