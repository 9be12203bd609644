//! Pyroscope's binary trie (`binary/octet-stream+trie`): the texts of the stacks, `root;caller;leaf`,
//! share their common beginnings.

use crate::builder::{Builder, Path, scaled};
use crate::nodes::Nodes;
use crate::{Error, Format, Import, Options, Skipped};
use davy_profile::{Error as ProfileError, LabelSetId};

/// State of the text at a node's parent.
#[derive(Clone, Copy, Default)]
struct Mark {
    /// Bytes of the text.
    text: usize,
    /// Complete frames in the text.
    depth: usize,
    /// Offset of the first byte after them.
    frame: usize,
}

/// Decodes a trie.
pub(crate) fn decode(bytes: &[u8], options: &Options<'_>) -> Result<Import, Error> {
    let mut builder = Builder::counts(options);
    let mut path = Path::default();
    let mut text: Vec<u8> = Vec::new();
    let mut marks = vec![Mark::default()];
    // A long last frame is read again for each node that continues it.
    let work_limit = options.limits.bytes.saturating_mul(4);
    let mut work = 0;
    let mut nodes = Nodes::new(bytes, Format::Trie);
    while let Some(node) = nodes.next()? {
        marks.truncate(node.depth + 1);
        let parent = marks[node.depth];
        text.truncate(parent.text);
        path.truncate(parent.depth);
        text.extend_from_slice(node.name);
        let mut frame = parent.frame;
        for index in parent.text..text.len() {
            if text[index] == b';' {
                push(&mut path, &text[frame..index], &mut builder)?;
                frame = index + 1;
            }
        }
        let depth = path.depth();
        work += text.len() - frame;
        if work > work_limit {
            let what = "bytes in the last frames of its stacks";
            return Err(ProfileError::TooMany {
                what,
                got: work,
                limit: work_limit,
            }
            .into());
        }
        if node.value > 0 {
            let value = scaled(node.value, options.scale, || {
                format!("node at byte {}", node.offset)
            })?;
            push(&mut path, &text[frame..], &mut builder)?;
            let stack = path.node(&mut builder)?;
            builder.add(stack, LabelSetId(0), &[value])?;
        }
        marks.push(Mark {
            text: text.len(),
            depth,
            frame,
        });
    }
    Ok(Import {
        profiles: vec![builder.finish()],
        skipped: Skipped::default(),
    })
}

fn push(path: &mut Path, name: &[u8], builder: &mut Builder) -> Result<(), Error> {
    let location = builder.frame(&String::from_utf8_lossy(name))?;
    path.push(location, builder)
}

#[cfg(test)]
mod tests;
