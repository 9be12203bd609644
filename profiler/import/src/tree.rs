//! Pyroscope's binary tree (`binary/octet-stream+tree`): each node is a frame.

use crate::builder::{Builder, Path, scaled};
use crate::nodes::Nodes;
use crate::{Error, Format, Import, Options, Skipped};
use davy_profile::LabelSetId;

/// Decodes a tree.
pub(crate) fn decode(bytes: &[u8], options: &Options<'_>) -> Result<Import, Error> {
    let mut builder = Builder::counts(options);
    let mut path = Path::default();
    // Depth of the path at each depth of the tree: the root has no name, so it is not a frame.
    let mut depths = vec![0];
    let mut nodes = Nodes::new(bytes, Format::Tree);
    while let Some(node) = nodes.next()? {
        depths.truncate(node.depth + 1);
        path.truncate(depths[node.depth]);
        if node.depth > 0 || !node.name.is_empty() {
            let location = builder.frame(&String::from_utf8_lossy(node.name))?;
            path.push(location, &mut builder)?;
        }
        depths.push(path.depth());
        if node.value > 0 {
            let value = scaled(node.value, options.scale, || {
                format!("node at byte {}", node.offset)
            })?;
            let stack = path.node(&mut builder)?;
            builder.add(stack, LabelSetId(0), &[value])?;
        }
    }
    Ok(Import {
        profiles: vec![builder.finish()],
        skipped: Skipped::default(),
    })
}
