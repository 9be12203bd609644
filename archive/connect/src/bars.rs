//! Flame graphs as Grafana draws them: levels of bars. A bar has, for each side, the distance to the end of the bar before
//! it, its total and its own value; then the index of its name.

use crate::named::Named;

/// The bars of each level, the root first.
pub(crate) fn levels<const N: usize>(tree: &Named<N>) -> Vec<Vec<i64>> {
    let mut levels: Vec<Vec<i64>> = Vec::new();
    // Where each level ends, and where the next child of each open node begins.
    let mut ends: Vec<[i64; N]> = Vec::new();
    let mut starts: Vec<[i64; N]> = vec![[0; N]];
    tree.walk(|node, depth| {
        if levels.len() == depth {
            levels.push(Vec::new());
            ends.push([0; N]);
        }
        let of = &tree.nodes[node as usize];
        let start = starts[depth];
        starts.truncate(depth + 1);
        starts.push(start);
        for side in 0..N {
            let (own, total) = (of.own[side], of.total[side]);
            let distance = start[side].saturating_sub(ends[depth][side]);
            levels[depth].extend([distance, total, own]);
            let end = start[side].saturating_add(total);
            ends[depth][side] = end;
            starts[depth][side] = end;
        }
        levels[depth].push(i64::from(of.name));
    });
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_profile::flame::Grain;
    use davy_profile::{FlameTree, Limits, folded};

    fn tree(text: &str) -> FlameTree {
        let profile = folded::decode(text.as_bytes(), &Limits::default()).expect("valid");
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 0, Grain::Function);
        tree
    }

    /// Start, total, own value and name of each bar of a side.
    fn absolute(levels: &[Vec<i64>], names: &[String], sides: usize, side: usize) -> Vec<String> {
        let mut bars = Vec::new();
        for (depth, level) in levels.iter().enumerate() {
            let mut end = 0;
            for bar in level.chunks_exact(3 * sides + 1) {
                let [distance, total, own] = [0, 1, 2].map(|at| bar[3 * side + at]);
                let start = end + distance;
                end = start + total;
                let name = &names[bar[3 * sides] as usize];
                bars.push(format!("{depth} {start}+{total} {own} {name}"));
            }
        }
        bars
    }

    #[test]
    fn bars_begin_where_their_parents_begin() {
        let tree = tree("a;b 2\na 1\nc;d 3\nc;d;e 4\nc;f 1\n");
        let named = Named::of([&tree], 100);
        let levels = levels(&named);
        assert_eq!(
            absolute(&levels, &named.names, 1, 0),
            [
                "0 0+11 0 total",
                "1 0+3 1 a",
                "1 3+8 0 c",
                "2 0+2 2 b",
                "2 3+7 3 d",
                "2 10+1 1 f",
                "3 3+4 4 e",
            ]
        );
        assert_eq!(levels[2][4..8], [1, 7, 3, levels[2][7]]);
    }

    #[test]
    fn bars_of_a_diff_have_a_place_on_each_side() {
        let (left, right) = (tree("a;b 2\nc 3\n"), tree("a;b 5\nd 1\n"));
        let named = Named::of([&left, &right], 100);
        let levels = levels(&named);
        assert_eq!(
            absolute(&levels, &named.names, 2, 0),
            [
                "0 0+5 0 total",
                "1 0+2 0 a",
                "1 2+3 3 c",
                "1 5+0 0 d",
                "2 0+2 2 b"
            ]
        );
        assert_eq!(
            absolute(&levels, &named.names, 2, 1),
            [
                "0 0+6 0 total",
                "1 0+5 0 a",
                "1 5+0 0 c",
                "1 5+1 1 d",
                "2 0+5 5 b"
            ]
        );
    }
}
