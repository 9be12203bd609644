//! Encodes a flame graph for the browser, as columns in preorder or as JSON, limited to its largest
//! nodes.
//!
//! The parent of an omitted node holds the number of its omitted children and their exact total.
//! Numbers are little-endian; each section is padded with zeros to a multiple of 8 bytes.
//!
//! ```text
//!  0   8   magic "DAVYTREE"                 32 u32 CRC-32 of the bytes from 64 to the end
//!  8  u16  version, 1                       36 u32 0
//! 10  u16  flags; bit 0: a diff             40 f64 total
//! 12  u32  n: nodes, including the root      48 f64 base total
//! 16  u32  k: frames                        56 u64 0
//! 20  u32  m: strings                       64     sections:
//! 24  u32  s: bytes of string data
//! 28  u32  j: bytes of meta data
//!
//! self f64[n]   hidden f64[n]   (diff: base_self f64[n]   base_hidden f64[n])
//! frame u32[n]  hidden_children u32[n]  depth u16[n]
//! frame_name u32[k]  frame_file u32[k]  frame_line u32[k]  frame_kind u8[k]
//! string_end u32[m]  string_data u8[s]  meta (JSON) u8[j]
//! ```
//!
//! Siblings are in descending order of their totals. Node 0 is the root, named `total`.

use crate::flame::Children;
use crate::{FlameTree, FrameKind, NodeId, StringTable};

/// The first bytes of the binary format.
pub const MAGIC: &[u8; 8] = b"DAVYTREE";
/// The version of the binary format.
pub const VERSION: u16 = 1;
/// The media type of the binary format.
pub const MEDIA_TYPE: &str = "application/vnd.davy.flamegraph";
/// Levels below the root that are encoded; deeper nodes are omitted.
const DEPTH_MAX: usize = u16::MAX as usize;

/// How much of a tree is encoded.
#[derive(Clone, Copy, Debug)]
pub struct Detail {
    /// Maximum number of nodes besides the root: groups first, then those of the largest totals.
    pub nodes: usize,
    /// The width at which the whole tree is drawn, in pixels: nodes of less than half a pixel are left out, except groups; 0 if
    /// none are.
    pub width: usize,
}

impl From<usize> for Detail {
    /// At most this many nodes, however narrow they are.
    fn from(nodes: usize) -> Self {
        Self { nodes, width: 0 }
    }
}

/// The nodes to encode.
struct Outline {
    /// Node ids and depths, in preorder, the largest sibling first.
    order: Vec<(u32, u16)>,
    /// Total of each node, by id.
    totals: Vec<i64>,
    /// Total of the omitted children of each node, by id.
    hidden: Vec<i64>,
    /// Number of omitted children of each node, by id.
    hidden_children: Vec<u32>,
}

fn outline(tree: &FlameTree, Detail { nodes, width }: Detail) -> Outline {
    let (keep, totals) = tree.largest(nodes, width);
    let mut children = Children::of(&tree.stacks);
    let count = tree.stacks.len();
    let (mut hidden, mut hidden_children) = (vec![0i64; count], vec![0u32; count]);
    let mut order = Vec::with_capacity(nodes.min(count) + 1);
    let mut pending = vec![(0u32, 0usize)];
    while let Some((node, depth)) = pending.pop() {
        order.push((node, depth as u16));
        let below = children.of_node_mut(node);
        // Ascending, as the last one pushed is the first one popped.
        below.sort_by_key(|child| (totals[*child as usize], std::cmp::Reverse(*child)));
        for child in below.iter() {
            if keep[*child as usize] && depth < DEPTH_MAX {
                pending.push((*child, depth + 1));
            } else {
                hidden[node as usize] =
                    hidden[node as usize].saturating_add(totals[*child as usize]);
                hidden_children[node as usize] += 1;
            }
        }
    }
    Outline {
        order,
        totals,
        hidden,
        hidden_children,
    }
}

/// Encodes a tree in the binary format. `meta` is passed through.
pub fn encode(tree: &FlameTree, detail: Detail, meta: &serde_json::Value) -> Vec<u8> {
    let outline = outline(tree, detail);
    let mut strings = StringTable::new();
    let mut frames: Vec<(u32, u32, u32, FrameKind)> = Vec::new();
    let mut frame_of: Vec<u32> = vec![u32::MAX; tree.frames.len()];
    let root_name = strings.intern("total");
    frames.push((root_name.0, 0, 0, FrameKind::Group));
    let mut node_frames = Vec::with_capacity(outline.order.len());
    for (node, _) in &outline.order {
        if *node == 0 {
            node_frames.push(0);
            continue;
        }
        let item = tree.stacks.item(NodeId(*node)) as usize;
        if frame_of[item] == u32::MAX {
            let frame = &tree.frames[item];
            let name = strings.intern(&tree.frame_name(item as u32)).0;
            let file = strings.intern(tree.strings.get(frame.file)).0;
            frame_of[item] = frames.len() as u32;
            frames.push((name, file, frame.start_line, frame.kind));
        }
        node_frames.push(frame_of[item]);
    }
    let meta = meta.to_string();
    let text: String = strings.iter().collect();

    let mut out = Columns(vec![0; 64]);
    let nodes = || outline.order.iter().map(|(node, _)| *node as usize);
    out.section(nodes().flat_map(|n| (tree.values[n] as f64).to_le_bytes()));
    out.section(nodes().flat_map(|n| (outline.hidden[n] as f64).to_le_bytes()));
    out.section(node_frames.iter().flat_map(|f| f.to_le_bytes()));
    out.section(nodes().flat_map(|n| outline.hidden_children[n].to_le_bytes()));
    out.section(
        outline
            .order
            .iter()
            .flat_map(|(_, depth)| depth.to_le_bytes()),
    );
    out.section(frames.iter().flat_map(|f| f.0.to_le_bytes()));
    out.section(frames.iter().flat_map(|f| f.1.to_le_bytes()));
    out.section(frames.iter().flat_map(|f| f.2.to_le_bytes()));
    out.section(frames.iter().map(|f| f.3 as u8));
    let mut end = 0u32;
    out.section(strings.iter().flat_map(|s| {
        end += s.len() as u32;
        end.to_le_bytes()
    }));
    out.section(text.bytes());
    out.section(meta.bytes());

    let mut bytes = out.0;
    let crc = crc32fast::hash(&bytes[64..]);
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    let counts = [
        outline.order.len(),
        frames.len(),
        strings.len(),
        text.len(),
        meta.len(),
        crc as usize,
    ];
    for (i, count) in counts.into_iter().enumerate() {
        bytes[12 + 4 * i..16 + 4 * i].copy_from_slice(&(count as u32).to_le_bytes());
    }
    bytes[40..48].copy_from_slice(&(outline.totals[0] as f64).to_le_bytes());
    bytes
}

struct Columns(Vec<u8>);

impl Columns {
    fn section(&mut self, bytes: impl Iterator<Item = u8>) {
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(8), 0);
    }
}

/// Encodes a tree as nested JSON:
/// `{"name","self","total","children"}`. A node with omitted children also has `"hidden"`, their
/// total, and `"hidden_children"`, their number.
///
/// The text is built without a `serde_json::Value`: dropping one nested this deeply would overflow
/// the call stack.
pub fn to_json(tree: &FlameTree, detail: Detail) -> String {
    let outline = outline(tree, detail);
    let mut out = String::with_capacity(outline.order.len() * 64);
    let mut open = 0usize;
    let mut first_child = true;
    for (node, depth) in &outline.order {
        let depth = *depth as usize;
        while open > depth {
            out.push_str("]}");
            open -= 1;
            first_child = false;
        }
        if !first_child {
            out.push(',');
        }
        let name = if *node == 0 {
            "total".into()
        } else {
            tree.frame_name(tree.stacks.item(NodeId(*node)))
        };
        let n = *node as usize;
        out.push_str(&format!(
            "{{\"name\":{},\"self\":{},\"total\":{}",
            serde_json::Value::from(name.as_ref()),
            tree.values[n],
            outline.totals[n]
        ));
        if outline.hidden_children[n] > 0 {
            out.push_str(&format!(
                ",\"hidden\":{},\"hidden_children\":{}",
                outline.hidden[n], outline.hidden_children[n]
            ));
        }
        out.push_str(",\"children\":[");
        open = depth + 1;
        first_child = true;
    }
    for _ in 0..open {
        out.push_str("]}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flame::Grain;
    use crate::{Limits, folded};

    fn tree(folded_stacks: &str) -> FlameTree {
        let profile =
            folded::decode(folded_stacks.as_bytes(), &Limits::default()).expect("valid input");
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 0, Grain::Function);
        tree
    }

    #[test]
    fn json_contains_every_node_with_its_total() {
        let json: serde_json::Value =
            serde_json::from_str(&to_json(&tree("a;b 1\na;c 2\nd 4\n"), 100.into()))
                .expect("valid JSON");
        let expected = serde_json::json!({"name": "total", "self": 0, "total": 7, "children": [
            {"name": "d", "self": 4, "total": 4, "children": []},
            {"name": "a", "self": 0, "total": 3, "children": [
                {"name": "c", "self": 2, "total": 2, "children": []},
                {"name": "b", "self": 1, "total": 1, "children": []},
            ]},
        ]});
        assert_eq!(json, expected);
    }

    #[test]
    fn parents_hold_the_exact_total_of_omitted_children() {
        let json: serde_json::Value =
            serde_json::from_str(&to_json(&tree("a;b 1\na;c 2\nd 4\n"), 2.into()))
                .expect("valid JSON");
        let a = &json["children"][1];
        assert_eq!(
            (
                a["total"].as_i64(),
                a["hidden"].as_i64(),
                a["hidden_children"].as_i64()
            ),
            (Some(3), Some(3), Some(2))
        );
    }

    #[test]
    fn columns_follow_the_layout_in_the_header() {
        let bytes = encode(
            &tree("a;b 1\na;c 2\nd 4\n"),
            100.into(),
            &serde_json::json!({"unit": "count"}),
        );
        assert_eq!(&bytes[..8], MAGIC);
        let number =
            |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        assert_eq!(
            (number(12), number(16), number(20)),
            (5, 5, 6),
            "nodes, frames, strings"
        );
        assert_eq!(number(32), crc32fast::hash(&bytes[64..]));
        let selfs: Vec<f64> = bytes[64..104]
            .chunks_exact(8)
            .map(|b| f64::from_le_bytes(b.try_into().expect("eight bytes")))
            .collect();
        assert_eq!(
            selfs,
            [0.0, 4.0, 0.0, 2.0, 1.0],
            "preorder, the largest sibling first"
        );
        assert_eq!(bytes.len() % 8, 0);
        assert!(bytes.windows(16).any(|w| w == b"{\"unit\":\"count\"}"));
    }

    #[test]
    fn deep_tree_does_not_overflow_the_call_stack() {
        let mut deep = FlameTree::new();
        let frame = deep.named_frame("again", FrameKind::Function);
        let leaf = (0..100_000).fold(NodeId::ROOT, |at, _| deep.child(at, frame));
        deep.add(leaf, 1);
        let json = to_json(&deep, usize::MAX.into());
        assert!(
            json.contains("\"hidden\":1"),
            "the node below the last level is omitted with its value"
        );
        assert_eq!(json.matches("again").count(), DEPTH_MAX);
        assert_eq!(deep.top(1)[0].total, 1);
    }
}
