//! A table of strings: one buffer with offsets, and an index that is built at the first lookup.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;

/// Index of a string in its [`StringTable`]; 0 is the empty string in every table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StringId(pub u32);

/// Strings by id. Id 0 is always the empty string.
#[derive(Clone, Debug)]
pub struct StringTable {
    text: String,
    /// End of each string in `text`.
    ends: Vec<u32>,
    /// Hash and id of each string whose id is below `indexed`.
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

/// The part of a string's hash that the index stores, so that it can grow without reading strings.
fn hash(text: &str) -> u32 {
    (FxBuildHasher.hash_one(text.as_bytes()) >> 32) as u32
}

/// Spreads a stored hash over 64 bits, as the hash table requires.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl StringTable {
    /// Returns a table that contains the empty string only.
    pub fn new() -> Self {
        Self::default()
    }

    /// The string of an id; the empty string for an unknown id.
    pub fn get(&self, id: StringId) -> &str {
        span(&self.text, &self.ends, id.0 as usize)
    }

    /// Number of strings, including the empty one.
    #[expect(
        clippy::len_without_is_empty,
        reason = "the empty string is always present"
    )]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Total length of the strings in bytes.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// Appends a string without deduplication and returns its id. Copies another table cheaply, with
    /// its ids.
    pub fn push(&mut self, text: &str) -> StringId {
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
        StringId(self.ends.len() as u32 - 1)
    }

    /// Returns the id of a string, and adds the string if it is new.
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

    /// Returns the id of a string, if the table contains it.
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

    /// All strings, in order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.ends.len()).map(|i| span(&self.text, &self.ends, i))
    }

    /// Indexes the strings that `push` appended.
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
    fn strings_keep_their_ids() {
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
    fn duplicate_strings_are_found_under_their_first_id() {
        let mut table = StringTable::new();
        let first = table.push("twice");
        table.push("twice");
        assert_eq!(table.intern("twice"), first);
    }
}
