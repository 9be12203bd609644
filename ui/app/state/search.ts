// The search: its matches in the shown tree, and the match that the view is at.

import { computed, effect, signal } from '@preact/signals';
import { type NodeId, nodeId } from '../logic/units';
import type { FunctionRow } from '../api/types';
import { Matcher } from '../worker/matcher';
import type { Found, Loaded } from '../worker/protocol';
import { state } from './explore';
import { Latest } from './latest';
import { askWorker, shown } from './queries';
import { focus, focusNode, zoomNode } from './zoom';

const matcher = new Matcher();
/** Why the search has no result; empty if it has one. */
export const searchProblem = signal('');

/** The matches, with the text that was searched for and the tree in which they were found. */
export const found = signal<{ result: Found; text: string; of: object } | null>(null);
const search = computed(() => state.value.search);

/** The index of the match that the view is at; -1 if it is at none. */
export const matchIndex = signal(-1);
/** A frame to bring into view. */
export const revealed = signal<{ node: NodeId; of: object } | null>(null);

function goTo(index: number): void {
  clearTimeout(going);
  visited = search.peek();
  const { result, of } = found.peek()!;
  matchIndex.value = index;
  const node = nodeId(result.matches[index]);
  focus(node);
  revealed.value = { node, of };
}

/** Goes to the next or the previous match, and from either end to the other. */
export function step(by: 1 | -1): void {
  // The matches of an earlier text stay on the screen until those of the new one are known.
  if (found.peek()?.text !== search.peek()) return;
  const count = found.peek()?.result.matches.length ?? 0;
  if (count === 0) return;
  const from = matchIndex.peek() < 0 && by < 0 ? 0 : matchIndex.peek();
  goTo((from + by + count) % count);
}

/** Loads the worker that matches names before there is something to search for. */
export function prepareSearch(): void {
  const loaded = shown.peek();
  if (loaded !== null) matcher.match(loaded.frames.names, '').catch(() => {});
}

/** The view goes to the first match when typing pauses: it would jump with every letter. */
const PAUSE_MS = 200;
let going: ReturnType<typeof setTimeout> | undefined;
/** The text that the view has gone to a match of. */
let visited = '';

interface Wanted {
  loaded: Loaded;
  text: string;
  root: NodeId;
}

const searches = new Latest<Wanted>(async ({ loaded, text, root }, isWanted) => {
  let result: Found | null = null;
  let problem = '';
  try {
    const matches = await matcher.match(loaded.frames.names, text);
    result = await askWorker({ kind: 'search', matches, root });
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  if (!isWanted()) return;
  searchProblem.value = problem;
  found.value = result && { result, text, of: loaded.tree };
  matchIndex.value = result ? result.matches.indexOf(focusNode.peek() ?? -1) : -1;
  // Only a new search moves the view; a refresh, zoom or fold repeats the search and does not.
  if (text === visited || problem !== '') return;
  going = setTimeout(() => {
    if (found.peek() !== null && result!.matches.length > 0) goTo(0);
    else visited = text;
  }, PAUSE_MS);
});

effect(() => {
  const loaded = shown.value;
  const text = search.value;
  const root = zoomNode.value;
  clearTimeout(going);
  const isSearch = loaded !== null && text !== '';
  searches.want(isSearch ? { loaded, text, root } : null);
  if (isSearch) return;
  found.value = null;
  searchProblem.value = '';
  if (text === '') visited = '';
});

/** The functions of the table whose names match the search; null without a search. */
export const tableHits = signal<{ rows: FunctionRow[]; hit: Uint8Array } | null>(null);
const namesOf = new WeakMap<FunctionRow[], string[]>();
let tableRequests = 0;

/** Matches the rows of the table; `tableHits` follows. */
export function matchRows(rows: FunctionRow[], text: string): void {
  const request = ++tableRequests;
  if (text === '') {
    tableHits.value = null;
    return;
  }
  let names = namesOf.get(rows);
  if (names === undefined) {
    names = rows.map((row) => row.name);
    namesOf.set(rows, names);
  }
  matcher.match(names, text).then(
    ({ hit }) => { if (request === tableRequests) tableHits.value = { rows, hit }; },
    () => { if (request === tableRequests) tableHits.value = { rows, hit: new Uint8Array(rows.length) }; },
  );
}
