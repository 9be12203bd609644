// The places that a search leads to, one after the other: the widest match first.

import { standIn } from './fold';
import type { Tree } from './layout';

/** Nobody steps through more. */
export const MOST_STOPS = 1000;

/** The rows below and at `root` that match, largest first; a folded run is one of them. */
export function stopsOf(tree: Tree, hit: Uint8Array, root = 0, most = MOST_STOPS): Uint32Array {
  const { frame, sum, end } = tree;
  let count = 0;
  for (let i = root; i < end[root]; i++) count += hit[frame[i]];
  // Of very many matches only the largest are sorted; numbers alone sort fast.
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
    const row = standIn(tree, i);
    if (row === last) continue;
    last = row;
    found.push(row);
  }
  return Uint32Array.from(found.sort((a, b) => sum[b] - sum[a] || a - b).slice(0, most));
}
