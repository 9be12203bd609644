//! The binary form of trees that Pyroscope's tools read: in preorder, the length of a name and the name, the own value,
//! and the number of children of each node. Numbers are LEB128; the root has no name.

use crate::named::Named;
use davy_profile::wire::put_varint;

/// Encodes a tree. Negative values, which the form does not have, are 0.
pub(crate) fn encode(tree: &Named<1>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(tree.nodes.len() * 32);
    tree.walk(|node, depth| {
        let name = if depth == 0 { "" } else { tree.name(node) };
        let of = &tree.nodes[node as usize];
        put_varint(&mut bytes, name.len() as u64);
        bytes.extend_from_slice(name.as_bytes());
        put_varint(&mut bytes, of.own[0].max(0) as u64);
        put_varint(&mut bytes, of.children.len() as u64);
    });
    bytes
}
