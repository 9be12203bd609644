//! Folded logs: one line for each stack, as `davy_profile::folded` writes and reads them, in order of the stacks.

use crate::stacks::Stacks;
use davy_profile::folded::{self, NO_STACK};
use std::io::{Result, Write};

/// Writes a line for each stack that has a value, the stacks in order of their names. Memory is that of one line.
pub(crate) fn write(stacks: &Stacks, mut out: impl Write) -> Result<()> {
    let names: Vec<_> = stacks
        .names
        .iter()
        .map(|name| folded::escape(name))
        .collect();
    let mut line: Vec<u8> = Vec::new();
    // The nodes whose subtrees have not ended, and the ends of their stacks in the line.
    let mut open: Vec<(u32, usize)> = vec![(0, 0)];
    let mut is_first = true;
    for node in 0..stacks.len() {
        if node > 0 {
            let parent = stacks.parents[node];
            while open.last().is_some_and(|(above, _)| *above != parent) {
                open.pop();
            }
            line.truncate(open.last().map_or(0, |(_, end)| *end));
            if !line.is_empty() || open.len() > 1 {
                line.push(b';');
            }
            line.extend_from_slice(names[stacks.frames[node] as usize].as_bytes());
            open.push((node as u32, line.len()));
        }
        let value = stacks.values[node];
        if value == 0 {
            continue;
        }
        let end = line.len();
        if node == 0 {
            line.extend_from_slice(NO_STACK.as_bytes());
        }
        if is_first && line.starts_with("\u{feff}".as_bytes()) {
            // Readers remove one mark.
            out.write_all("\u{feff}".as_bytes())?;
        }
        is_first = false;
        writeln!(line, " {value}")?;
        out.write_all(&line)?;
        line.truncate(end);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stacks::tests::{preorder, random};
    use davy_profile::{FlameTree, FrameKind, Limits, NodeId};

    fn text(stacks: &Stacks) -> String {
        let mut out = Vec::new();
        write(stacks, &mut out).expect("memory");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn lines_are_sorted_by_stack_and_values_add_up() {
        for seed in 0..20 {
            let stacks = random(seed);
            let text = text(&stacks);
            let sum: i64 = text
                .lines()
                .map(|line| {
                    folded::split(line)
                        .expect("a count")
                        .1
                        .parse::<i64>()
                        .expect("a number")
                })
                .sum();
            assert_eq!(sum, stacks.values.iter().sum::<i64>());
            assert_eq!(text.lines().count(), stacks.count());
        }
    }

    #[test]
    fn odd_names_are_read_back_as_they_were() {
        let names = [
            "a;b",
            "c\0d",
            " blank ",
            "x\ny",
            "\u{feff}mark",
            "# no comment",
            "%3B",
        ];
        let mut tree = FlameTree::new();
        let mut node = NodeId::ROOT;
        for name in names {
            let frame = tree.named_frame(name, FrameKind::Function);
            node = tree.child(node, frame);
            tree.add(node, 1);
        }
        tree.add(NodeId::ROOT, 5);
        let text = text(&preorder(tree));
        assert!(text.starts_with("(no stack) 5\n"), "{text}");
        let profile = folded::decode(text.as_bytes(), &Limits::default()).expect("valid");
        let mut found: Vec<String> = (0..profile.functions.len())
            .map(|at| profile.strings.get(profile.functions[at].name).to_owned())
            .collect();
        found.sort();
        let mut expected = names.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(found, expected);
    }
}
