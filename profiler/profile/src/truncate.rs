//! Truncation of stacks that are too deep and of names that are too long, so that a decoder keeps their sample.

use std::borrow::Cow;

/// Name of the frame that replaces the frames removed from a stack. It does not state their number,
/// so that stacks of different depths merge.
pub const FRAME: &str = "(truncated)";

/// End of a name that was shortened.
pub const MARK: char = '…';

/// Frames that are kept at the leaf side: the function where the time went, and its callers. A
/// small constant, so that truncating each stack of a tree takes linear time.
const LEAF_SIDE: usize = 16;

/// How a stack that is too deep is truncated: `root` frames, then [`FRAME`], then `leaf` frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Frames kept at the root side.
    pub root: usize,
    /// Frames kept at the leaf side.
    pub leaf: usize,
}

impl Cut {
    /// The cut that reduces any deeper stack to `limit` frames, including the marker.
    pub fn at(limit: usize) -> Self {
        let leaf = LEAF_SIDE.min(limit / 2);
        Self {
            root: limit.saturating_sub(1 + leaf),
            leaf,
        }
    }

    /// Whether the frame at `index`, counted from the root of a stack of `depth` frames, is kept.
    /// The marker replaces the frame at index `root`.
    pub fn keeps(&self, index: usize, depth: usize) -> bool {
        index < self.root || index + self.leaf >= depth
    }
}

/// Shortens a name to `limit` bytes, at a character boundary and including [`MARK`].
pub fn name(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(limit.saturating_sub(MARK.len_utf8()));
    Cow::Owned(format!("{}{MARK}", &text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_stack_has_exactly_the_limit() {
        for (limit, depth) in [(1, 2), (2, 3), (3, 9), (40, 41), (16_384, 30_000)] {
            let cut = Cut::at(limit);
            let kept = (0..depth).filter(|index| cut.keeps(*index, depth)).count();
            assert_eq!(kept + 1, limit, "limit {limit}");
            assert!(!cut.keeps(cut.root, depth), "the marker replaces a frame");
        }
        assert_eq!(
            Cut::at(16_384),
            Cut {
                root: 16_367,
                leaf: 16
            }
        );
    }

    #[test]
    fn long_name_is_cut_between_characters() {
        assert_eq!(name("short", 5), "short");
        assert_eq!(name("longer", 5), "lo…");
        assert_eq!(name("ééé", 5), "é…");
        assert_eq!(name("ab", 1), "…");
    }
}
