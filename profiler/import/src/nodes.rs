//! The nodes of Pyroscope's binary tree and trie, which are written in the same way.
//!
//! ```text
//! node = length of the name (varint), name, value (varint), number of children (varint), children
//! ```
//!
//! The first node is the root, whose name is empty.

use crate::{Error, Format};
use davy_profile::wire::Reader;

/// Bytes of the smallest node.
const NODE_BYTES: usize = 3;

/// A node, in preorder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a> {
    /// Number of ancestors; 0 for the root.
    pub(crate) depth: usize,
    /// Frame of a tree, or next part of the stack's text of a trie.
    pub(crate) name: &'a [u8],
    /// Value of the stack that ends here.
    pub(crate) value: u64,
    /// Offset of its first byte.
    pub(crate) offset: usize,
}

/// Reads nodes one by one; does not recurse.
pub(crate) struct Nodes<'a> {
    format: Format,
    bytes: &'a [u8],
    at: usize,
    /// Children that are still to come, for each open ancestor that has any.
    open: Vec<(usize, u64)>,
    started: bool,
}

impl<'a> Nodes<'a> {
    pub(crate) fn new(bytes: &'a [u8], format: Format) -> Self {
        Self {
            format,
            bytes,
            at: 0,
            open: Vec::new(),
            started: false,
        }
    }

    fn fail<T>(&self, problem: &'static str) -> Result<T, Error> {
        Err(Error::Corrupt {
            format: self.format,
            problem,
            offset: self.at,
        })
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut reader = Reader::nested(&self.bytes[self.at..], self.at);
        match reader.varint() {
            Ok(value) => {
                self.at = reader.position();
                Ok(value)
            }
            Err(error) => self.fail(error.problem),
        }
    }

    /// The next node, or `None` after the last one.
    pub(crate) fn next(&mut self) -> Result<Option<Node<'a>>, Error> {
        while self.open.last().is_some_and(|(_, children)| *children == 0) {
            self.open.pop();
        }
        let depth = match self.open.last_mut() {
            Some((depth, children)) => {
                *children -= 1;
                *depth
            }
            None if !self.started => 0,
            None if self.at < self.bytes.len() => return self.fail("bytes after the last node"),
            None => return Ok(None),
        };
        self.started = true;
        let offset = self.at;
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        let Some(name) = self.bytes[self.at..].get(..length) else {
            return self.fail("name beyond the end of the data");
        };
        self.at += length;
        let value = self.varint()?;
        let children = self.varint()?;
        if children > ((self.bytes.len() - self.at) / NODE_BYTES) as u64 {
            return self.fail("more children than bytes");
        }
        if children > 0 {
            self.open.push((depth + 1, children));
        }
        Ok(Some(Node {
            depth,
            name,
            value,
            offset,
        }))
    }
}

/// Which of the two formats the bytes are in, if they are nodes from the first byte to the last.
pub(crate) fn detect(bytes: &[u8]) -> Option<Format> {
    let mut nodes = Nodes::new(bytes, Format::Tree);
    let root = nodes.next().ok()??;
    let (mut count, mut has_separator) = (0, false);
    while let Some(node) = nodes.next().ok()? {
        count += 1;
        has_separator |= node.name.contains(&b';');
    }
    let is_either = root.name.is_empty() && count > 0;
    is_either.then_some(if has_separator {
        Format::Trie
    } else {
        Format::Tree
    })
}
