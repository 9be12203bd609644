// Search by name: which frames match, and their exact share of the profile. A match inside another
// match is not counted again.

import type { Tree } from './layout';

export interface Query {
  regex: RegExp;
  /** Shown to the user when the text is not a regular expression and is searched for literally. */
  note: string | null;
}

export const escapeRegex = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** The longest name that a search contains whole; of longer ones, their beginning is searched for. */
const EXACT_MAX = 200;

/** The search for exactly this name. */
export function exactly(name: string): string {
  return name.length <= EXACT_MAX ? `^${escapeRegex(name)}$` : `^${escapeRegex(name.slice(0, EXACT_MAX))}`;
}

/** Null for an empty search. Case-sensitive only if the text has a capital letter. */
export function compile(text: string): Query | null {
  if (text === '') return null;
  // The letter of a class such as \W or \S is not a capital letter of the text.
  const flags = /[A-Z]/.test(text.replace(/\\./g, '')) ? '' : 'i';
  try {
    return { regex: new RegExp(text, flags), note: null };
  } catch {
    return {
      regex: new RegExp(escapeRegex(text), flags),
      note: 'Invalid regular expression; searching for plain text.',
    };
  }
}

export function matchNames(names: string[], query: Query): Uint8Array {
  const hit = new Uint8Array(names.length);
  for (let i = 0; i < names.length; i++) if (query.regex.test(names[i])) hit[i] = 1;
  return hit;
}

export interface Share {
  /** The total of all outermost matches. */
  matched: number;
  /** The value of undrawn frames outside of every match, which may or may not match. */
  unknown: number;
  /** The total of the subtree that was searched. */
  of: number;
  /** The number of drawn nodes that match, nested ones included. */
  nodes: number;
}

/** The share of the matches below `root`; `before` is of the same tree and matches. */
export function share(tree: Tree, hit: Uint8Array, before: Uint32Array, root = 0): Share {
  const { frame, sum, hidden, end } = tree;
  let matched = 0;
  let unknown = 0;
  const stop = end[root];
  for (let i = root; i < stop; ) {
    if (hit[frame[i]] === 1) {
      matched += sum[i];
      i = end[i];
    } else {
      unknown += hidden[i++];
    }
  }
  return { matched, unknown, of: sum[root], nodes: before[stop] - before[root] };
}

/** `before[i]` is the number of matches among the nodes before `i`, which gives the matches of any subtree in O(1). */
export function matchesBefore(tree: Tree, hit: Uint8Array): Uint32Array {
  const { n, frame } = tree;
  const before = new Uint32Array(n + 1);
  let count = 0;
  for (let i = 0; i < n; ) {
    count += hit[frame[i]];
    before[++i] = count;
  }
  return before;
}
