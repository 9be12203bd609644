//! V8's sampling heap profile, `.heapprofile`: a tree of the call stacks that allocated live objects.
//!
//! Format: <https://chromedevtools.github.io/devtools-protocol/tot/HeapProfiler/#type-SamplingHeapProfile>.
//! The file has no number of objects.

use crate::builder::{Builder, CallTree};
use crate::json::Reader;
use crate::{Error, Format, Import, Options, Skipped, v8};
use davy_profile::{Error as ProfileError, LabelSetId, NodeId};

const FORMAT: Format = Format::HeapProfile;

/// What the reader is in the middle of.
enum Open {
    /// The members of a node.
    Node(u32),
    /// The children of a node.
    Children(u32),
}

/// Decodes a profile.
pub(crate) fn decode(bytes: &[u8], options: &Options<'_>) -> Result<Import, Error> {
    let value_type = ("inuse_space", "bytes");
    let mut builder = Builder::new("memory", &[value_type], ("space", "bytes"), 0, options);
    let mut reader = Reader::new(bytes, FORMAT);
    let mut tree = None;
    reader.begin_object()?;
    while let Some(key) = reader.next_key()? {
        if key == "head" {
            tree = Some(read_tree(&mut reader, &mut builder, options)?);
        } else {
            reader.skip()?;
        }
    }
    reader.finish()?;
    let (tree, sizes) = tree.ok_or(Error::Missing {
        format: FORMAT,
        what: "head",
    })?;
    let mut skipped = Skipped::default();
    let stacks = tree.stacks(&mut builder)?;
    for (index, (stack, size)) in stacks.iter().zip(&sizes).enumerate() {
        if *size < 0 {
            skipped.add(index, "the size is negative");
        } else if *size > 0 {
            builder.add(stack.unwrap_or(NodeId::ROOT), LabelSetId(0), &[*size])?;
        }
    }
    Ok(Import {
        profiles: vec![builder.finish()],
        skipped,
    })
}

/// Reads a node and its descendants, and the size of each.
fn read_tree(
    reader: &mut Reader<'_>,
    builder: &mut Builder,
    options: &Options<'_>,
) -> Result<(CallTree, Vec<i64>), Error> {
    let mut tree = CallTree::default();
    let mut sizes = Vec::new();
    let mut open = Vec::new();
    let begin = |parent: Option<u32>, tree: &mut CallTree, sizes: &mut Vec<i64>| {
        let index = tree.nodes.len() as u32;
        if tree.nodes.len() >= options.limits.nodes {
            let (what, limit) = ("nodes", options.limits.nodes);
            return Err(Error::from(ProfileError::TooMany {
                what,
                got: limit + 1,
                limit,
            }));
        }
        tree.nodes.push((parent.unwrap_or(index), None));
        sizes.push(0);
        Ok(Open::Node(index))
    };
    reader.begin_object()?;
    open.push(begin(None, &mut tree, &mut sizes)?);
    while let Some(top) = open.last() {
        match *top {
            Open::Children(parent) => {
                if reader.next_item()? {
                    reader.begin_object()?;
                    open.push(begin(Some(parent), &mut tree, &mut sizes)?);
                } else {
                    open.pop();
                }
            }
            Open::Node(index) => {
                let Some(key) = reader.next_key()? else {
                    open.pop();
                    continue;
                };
                match &*key {
                    "callFrame" => tree.nodes[index as usize].1 = v8::call_frame(reader, builder)?,
                    "selfSize" => sizes[index as usize] = reader.integer()?,
                    "children" => {
                        reader.begin_array()?;
                        open.push(Open::Children(index));
                    }
                    _ => {
                        reader.skip()?;
                    }
                }
            }
        }
    }
    Ok((tree, sizes))
}

#[cfg(test)]
mod tests;
