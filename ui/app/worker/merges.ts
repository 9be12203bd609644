// What the worker needs to merge the call paths of a tree that is loaded, and to sort them by name.

import { byName, prepareByName } from '../logic/byname';
import { FrameKind, type Frames } from '../logic/decode';
import type { Tree } from '../logic/layout';
import { filtered, reshape } from '../logic/merge';
import { sandwich } from '../logic/sandwich';

export { byName, filtered, prepareByName, reshape, sandwich };

/** As for a narrow window. */
const PREPARED_SHARE = 0.002;

/** Merges the callers and callees of the hottest and of the outermost function: browsers compile a merge while it first runs. */
export function prepareSandwich(tree: Tree, { names, kinds }: Frames): void {
  for (const wanted of [names[hottestOf(tree, kinds)], names[outermostOf(tree, kinds)]]) {
    sandwich(tree, names, kinds, (name) => name === wanted, PREPARED_SHARE);
  }
}

/** The frame of the first function below the groups. */
function outermostOf({ n, frame }: Tree, kinds: Uint8Array): number {
  let i = 1;
  while (i < n && kinds[frame[i]] !== FrameKind.Function) i++;
  return frame[i < n ? i : 0];
}

/** The frame of the function with the largest self value. */
function hottestOf({ n, frame, self }: Tree, kinds: Uint8Array): number {
  const sums = new Float64Array(kinds.length);
  for (let i = 1; i < n; i++) sums[frame[i]] += self[i];
  let hottest = frame[0];
  for (let f = 0; f < sums.length; f++) if (kinds[f] === FrameKind.Function && sums[f] > sums[hottest]) hottest = f;
  return hottest;
}
