//! The input of inferno: folded lines whose names it does not interpret.
//!
//! inferno splits lines at `;`, takes numbers at the end as values, trims blanks, removes annotations
//! (`_[k]`) and comments, and merges neighbours of the same name. In names, ASCII characters with a
//! meaning are replaced by control characters, which names don't contain otherwise. They have the same
//! length, so that inferno shortens labels at the right place, and need no escape in XML.

use davy_profile::FlameTree;

/// Stand-ins, and what they stand for. `[` is the start of an annotation.
const STAND_INS: [(u8, u8); 4] = [(1, b';'), (2, b' '), (3, b'\t'), (4, b'[')];
/// Stands for nothing: keeps a name from being empty, trimmed or taken for a comment.
const GUARD: u8 = 5;
/// Stands for nothing: at the end of a name, keeps it distinct from its neighbour.
const DISTINCT: u8 = 6;

/// The lines of a tree, the factor by which inferno multiplies their values, and their sum.
pub(super) struct Lines {
    pub(super) text: Vec<String>,
    pub(super) factor: f64,
    /// The sum of the values.
    pub(super) total: u64,
}

impl Lines {
    /// Lines for all positive values, siblings in order of their names. `legal` returns a name without
    /// control characters except tabs.
    pub(super) fn of(tree: &FlameTree, legal: impl Fn(&str) -> String) -> Self {
        let count = tree.stacks.len();
        let parents = tree.stacks.parents();
        // The root has no frame, so its own value cannot be drawn.
        let mut totals: Vec<u128> = (0..count)
            .map(|node| match tree.values[node] {
                value if node > 0 && value > 0 => value.unsigned_abs().into(),
                _ => 0,
            })
            .collect();
        for node in (1..count).rev() {
            totals[parents[node] as usize] += totals[node];
        }
        // inferno adds values up as u64.
        let mut shift = 0;
        while totals[0] >> shift > u128::from(u64::MAX) {
            shift += 1;
        }

        let names: Vec<String> = (0..tree.frames.len())
            .map(|frame| protect(&legal(&tree.frame_name(frame as u32))))
            .collect();
        let name_of = |node: usize| &names[tree.stacks.items()[node] as usize];
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); count];
        for node in (1..count).filter(|node| totals[*node] > 0) {
            children[parents[node] as usize].push(node);
        }

        let mut text = Vec::new();
        let mut path = String::new();
        // The length of the path to the parent, by node, and whether the node is marked as distinct.
        let mut pending = vec![(0_usize, 0_usize, false)];
        while let Some((node, length, is_marked)) = pending.pop() {
            path.truncate(length);
            if node > 0 {
                if length > 0 {
                    path.push(';');
                }
                path.push_str(name_of(node));
                if is_marked {
                    path.push(char::from(DISTINCT));
                }
                let own = tree.values[node].max(0) >> shift;
                if own > 0 {
                    text.push(format!("{path} {own}"));
                }
            }
            let mut marked = false;
            let mut last: Option<usize> = None;
            let mut siblings = std::mem::take(&mut children[node]);
            // In reverse, because the last one is popped first.
            siblings.sort_by(|a, b| name_of(*b).cmp(name_of(*a)).then(b.cmp(a)));
            for child in siblings {
                let same = last.is_some_and(|last| name_of(last) == name_of(child));
                marked = same && !marked;
                last = Some(child);
                pending.push((child, path.len(), marked));
            }
        }
        Self {
            text,
            factor: 2_f64.powi(shift),
            total: u64::try_from(totals[0] >> shift).unwrap_or(u64::MAX),
        }
    }
}

/// Replaces what inferno would interpret.
fn protect(name: &str) -> String {
    let replaced = name.chars().map(|c| {
        let found = STAND_INS
            .iter()
            .find(|(_, original)| c == char::from(*original));
        found.map_or(c, |(stand_in, _)| char::from(*stand_in))
    });
    let mut out: String = replaced.collect();
    if out.is_empty() || out == "#" || out.trim() != out {
        out.insert(0, char::from(GUARD));
        out.push(char::from(GUARD));
    }
    out
}

/// Restores the names in the SVG, which has no control characters of its own.
pub(super) fn restore(svg: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(svg.len());
    // Most chunks have no stand-in. The compiler vectorizes the check, which therefore looks at all bytes.
    for chunk in svg.chunks(64) {
        if chunk.iter().fold(u8::MAX, |least, byte| least.min(*byte)) > DISTINCT {
            out.extend_from_slice(chunk);
            continue;
        }
        let bytes = chunk
            .iter()
            .filter(|byte| ![GUARD, DISTINCT].contains(byte));
        out.extend(bytes.map(|byte| {
            let found = STAND_INS.iter().find(|(stand_in, _)| stand_in == byte);
            found.map_or(*byte, |(_, original)| *original)
        }));
    }
    out
}
