// What the worker needs to merge the call paths of a tree that is loaded, and to sort them by name.

import { byName, ranksOf } from '../logic/byname';
import { FrameKind, type Frames } from '../logic/decode';
import type { Tree } from '../logic/layout';
import { filtered, reshape } from '../logic/merge';
import { sandwich } from '../logic/sandwich';

export { byName, filtered, reshape, sandwich };

/** As for a narrow window. */
const PREPARED_SHARE = 0.001;

/** Computes what sorting by name needs, and the callers and callees of the hottest function: a browser compiles a merge while it first runs. */
export function prepare(tree: Tree, { names, kinds }: Frames): void {
  ranksOf(names);
  const hottest = names[hottestOf(tree, kinds)];
  sandwich(tree, names, kinds, (name) => name === hottest, PREPARED_SHARE);
}

/** The frame of the function with the largest self value. */
function hottestOf({ n, frame, self }: Tree, kinds: Uint8Array): number {
  const sums = new Float64Array(kinds.length);
  for (let i = 1; i < n; i++) sums[frame[i]] += self[i];
  let hottest = frame[0];
  for (let f = 0; f < sums.length; f++) if (kinds[f] === FrameKind.Function && sums[f] > sums[hottest]) hottest = f;
  return hottest;
}
