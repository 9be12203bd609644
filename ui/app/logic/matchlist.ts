// The matches that a search steps through, the widest first.

import { visibleNode } from './fold';
import type { Tree } from './layout';

/** More matches than a person steps through. */
export const MATCHES_MAX = 1000;

/** The matching rows in the subtree of `root`, widest first; a folded run counts as one row. */
export function matchList(tree: Tree, hit: Uint8Array, root = 0, most = MATCHES_MAX): Uint32Array {
  const { frame, sum, end } = tree;
  let count = 0;
  for (let i = root; i < end[root]; i++) count += hit[frame[i]];
  // With more matches than the maximum only the widest are collected; sorting bare numbers is fast.
  let least = 0;
  if (count > most) {
    const sums = new Float64Array(count);
    let at = 0;
    for (let i = root; i < end[root]; i++) if (hit[frame[i]] === 1) sums[at++] = sum[i];
    least = sums.sort()[count - most];
  }
  const found: number[] = [];
  let last = -1;
  for (let i = root; i < end[root] && found.length < 2 * most; i++) {
    if (hit[frame[i]] === 0 || sum[i] < least) continue;
    const row = visibleNode(tree, i);
    if (row === last) continue;
    last = row;
    found.push(row);
  }
  return Uint32Array.from(found.sort((a, b) => sum[b] - sum[a] || a - b).slice(0, most));
}
