//! One growing text with offsets, and an index that is built only when somebody looks a string up.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;

/// Index of a string in its [`StringTable`]; 0 is the empty string in every table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StringId(pub u32);

/// Strings by number. Number 0 is always the empty string.
#[derive(Clone, Debug)]
pub struct StringTable {
    text: String,
    /// End offset of each string in `text`.
    ends: Vec<u32>,
    /// Hashes and numbers of strings; holds the strings below `indexed`.
    index: HashTable<(u32, u32)>,
    indexed: usize,
}

impl Default for StringTable {
    fn default() -> Self {
        Self {
            text: String::new(),
            ends: vec![0],
            index: HashTable::new(),
            indexed: 0,
        }
    }
}

/// What the index keeps of a string's hash, so that it grows without reading the strings again.
fn hash(text: &str) -> u32 {
    (FxBuildHasher.hash_one(text.as_bytes()) >> 32) as u32
}

/// The kept hash over all bits, as the index needs it.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl StringTable {
    /// A table of the empty string alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// The string of this number; the empty string for a number that is not there.
    pub fn get(&self, id: StringId) -> &str {
        span(&self.text, &self.ends, id.0 as usize)
    }

    /// How many strings there are, the empty one included.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a table is never without its empty string"
    )]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of text held.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// Appends without looking whether the string is there already; the cheap way to take over a
    /// table whose numbers must be kept.
    pub fn push(&mut self, text: &str) -> StringId {
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
        StringId(self.ends.len() as u32 - 1)
    }

    /// The number of this string, which is added if it is new.
    pub fn intern(&mut self, text: &str) -> StringId {
        if text.is_empty() {
            return StringId(0);
        }
        self.catch_up();
        let Self {
            text: all,
            ends,
            index,
            ..
        } = self;
        let key = hash(text);
        let id = ends.len() as u32;
        let entry = index.entry(
            spread(key),
            |&(hash, i)| hash == key && span(all, ends, i as usize) == text,
            |&(hash, _)| spread(hash),
        );
        match entry {
            Entry::Occupied(found) => return StringId(found.get().1),
            Entry::Vacant(free) => free.insert((key, id)),
        };
        all.push_str(text);
        ends.push(all.len() as u32);
        self.indexed = self.ends.len();
        StringId(id)
    }

    /// The number of this string, if it is there.
    pub fn find(&mut self, text: &str) -> Option<StringId> {
        if text.is_empty() {
            return Some(StringId(0));
        }
        self.catch_up();
        let key = hash(text);
        let found = self.index.find(spread(key), |&(hash, i)| {
            hash == key && span(&self.text, &self.ends, i as usize) == text
        });
        found.map(|&(_, i)| StringId(i))
    }

    /// Every string in the order of its number.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.ends.len()).map(|i| span(&self.text, &self.ends, i))
    }

    fn catch_up(&mut self) {
        let Self {
            text,
            ends,
            index,
            indexed,
        } = self;
        for i in (*indexed).max(1)..ends.len() {
            let string = span(text, ends, i);
            let key = hash(string);
            let same =
                |&(hash, j): &(u32, u32)| hash == key && span(text, ends, j as usize) == string;
            if let Entry::Vacant(free) = index.entry(spread(key), same, |&(hash, _)| spread(hash)) {
                free.insert((key, i as u32));
            }
        }
        *indexed = ends.len();
    }
}

fn span<'a>(text: &'a str, ends: &[u32], i: usize) -> &'a str {
    let (Some(&end), Some(start)) = (
        ends.get(i),
        i.checked_sub(1).map_or(Some(0), |j| ends.get(j).copied()),
    ) else {
        return "";
    };
    text.get(start as usize..end as usize).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_keeps_its_number() {
        let mut table = StringTable::new();
        let a = table.intern("alpha");
        let pushed = table.push("beta");
        assert_eq!(table.intern("beta"), pushed);
        assert_eq!(table.intern("alpha"), a);
        assert_eq!(table.intern(""), StringId(0));
        assert_eq!(table.find("gamma"), None);
        assert_eq!(table.get(pushed), "beta");
        assert_eq!(table.get(StringId(99)), "");
        assert_eq!(table.iter().collect::<Vec<_>>(), ["", "alpha", "beta"]);
    }

    #[test]
    fn a_string_pushed_twice_is_found_under_its_first_number() {
        let mut table = StringTable::new();
        let first = table.push("twice");
        table.push("twice");
        assert_eq!(table.intern("twice"), first);
    }
}
