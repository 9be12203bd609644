// Search by name: which frames match, and exactly how much of the profile they hold. A match
// inside another match is not counted again.

import type { Tree } from './layout';

export interface Query {
  regex: RegExp;
  /** Said to the user when the text was not a regular expression and is searched for as it stands. */
  note: string | null;
}

export const escapeRegex = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Null for an empty search. Case matters only when the text has a capital letter. */
export function compile(text: string): Query | null {
  if (text === '') return null;
  // A class such as \W or \S must not toggle case on.
  const flags = /[A-Z]/.test(text.replace(/\\./g, '')) ? '' : 'i';
  try {
    return { regex: new RegExp(text, flags), note: null };
  } catch {
    return {
      regex: new RegExp(escapeRegex(text), flags),
      note: 'Not a regular expression, so searched for as plain text.',
    };
  }
}

export function matchNames(names: string[], query: Query): Uint8Array {
  const hit = new Uint8Array(names.length);
  for (let i = 0; i < names.length; i++) if (query.regex.test(names[i])) hit[i] = 1;
  return hit;
}

export interface Share {
  /** The value of all outermost matches. */
  matched: number;
  /** What lies in undrawn frames outside of every match: it may match or not. */
  unknown: number;
  /** The value of the subtree that the search was held against. */
  of: number;
  /** How many drawn nodes match, nested ones included. */
  nodes: number;
}

export function share(tree: Tree, hit: Uint8Array, root = 0): Share {
  const { frame, sum, hidden, end } = tree;
  let matched = 0;
  let unknown = 0;
  let nodes = 0;
  const stop = end[root];
  let covered = root;
  for (let i = root; i < stop; i++) {
    const matches = hit[frame[i]] === 1;
    if (matches) nodes++;
    if (i < covered) continue;
    if (matches) {
      matched += sum[i];
      covered = end[i];
    } else {
      unknown += hidden[i];
    }
  }
  return { matched, unknown, of: sum[root], nodes };
}

/** `before[i]` is the number of matches among the nodes before `i`: any subtree is asked in O(1). */
export function matchesBefore(tree: Tree, hit: Uint8Array): Uint32Array {
  const { n, frame } = tree;
  const before = new Uint32Array(n + 1);
  for (let i = 0; i < n; i++) before[i + 1] = before[i] + hit[frame[i]];
  return before;
}
