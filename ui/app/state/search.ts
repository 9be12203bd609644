// The search: its matches in the shown tree, and the match that the view is at.

import { computed, effect, signal } from '@preact/signals';
import { type NodeId, nodeId } from '../logic/units';
import type { FunctionRow } from '../api/types';
import { Matcher } from '../worker/matcher';
import type { Found } from '../worker/protocol';
import { state } from './explore';
import { askWorker, shown } from './queries';
import { focus, focusNode, zoomNode } from './zoom';

const matcher = new Matcher();
/** Why the search has no result; empty if it has one. */
export const searchProblem = signal('');

/** The matches, with the tree in which they were found. */
export const found = signal<{ result: Found; of: object } | null>(null);
const search = computed(() => state.value.search);
let requests = 0;
let searched = '';

/** The index of the match that the view is at; -1 if it is at none. */
export const matchIndex = signal(-1);
/** A frame to bring into view. */
export const revealed = signal<{ node: NodeId; of: object } | null>(null);

function goTo(index: number): void {
  const { result, of } = found.peek()!;
  matchIndex.value = index;
  const node = nodeId(result.matches[index]);
  focus(node);
  revealed.value = { node, of };
}

/** Goes to the next or the previous match, and from either end to the other. */
export function step(by: 1 | -1): void {
  const count = found.peek()?.result.matches.length ?? 0;
  if (count === 0) return;
  const from = matchIndex.peek() < 0 && by < 0 ? 0 : matchIndex.peek();
  goTo((from + by + count) % count);
}

effect(() => {
  const loaded = shown.value;
  const text = search.value;
  const root = zoomNode.value;
  const request = ++requests;
  if (loaded === null || text === '') {
    found.value = null;
    searchProblem.value = '';
    if (text === '') searched = '';
    return;
  }
  find(loaded.frames.names, text, root).then(
    (result) => {
      if (request !== requests) return;
      searchProblem.value = '';
      found.value = result && { result, of: loaded.tree };
      matchIndex.value = result ? result.matches.indexOf(focusNode.peek() ?? -1) : -1;
      // Only a new search moves the view; a refresh, zoom or fold repeats the search and does not.
      if (text !== searched && result && result.matches.length > 0) goTo(0);
      searched = text;
    },
    (error) => {
      if (request !== requests) return;
      found.value = null;
      searchProblem.value = error instanceof Error ? error.message : String(error);
    },
  );
});

async function find(names: string[], text: string, root: NodeId): Promise<Found | null> {
  const matches = await matcher.match(names, text);
  return askWorker({ kind: 'search', matches, root });
}

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
