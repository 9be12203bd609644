// The zoom, the search and the focus, over whichever tree is on show.

import { computed, effect, signal } from '@preact/signals';
import { standIn } from '../logic/fold';
import { neighbour } from '../logic/nav';
import { type NodeId, ROOT, nodeId } from '../logic/units';
import { findPath, pathOf } from '../logic/zoompath';
import type { Row } from '../logic/top';
import type { Found } from '../worker/protocol';
import { asks, shown } from './data';
import { state, update } from './explore';
import { toggleRun } from './folding';

const zoomKey = computed(() => JSON.stringify(state.value.zoom));

/** The zoomed frame, found again by its names in every new tree. */
export const zoom = computed(() => {
  zoomKey.value;
  const loaded = shown.value;
  if (loaded === null) return { node: ROOT, depth: 0, missing: 0 };
  const path = state.peek().zoom;
  const found = findPath(loaded.tree, loaded.frames.names, path);
  // A frame within a folded run is as wide as the run, which stands for it.
  return { ...found, node: standIn(loaded.tree, found.node), missing: path.length - found.depth };
});
export const zoomNode = computed(() => zoom.value.node);

export function zoomTo(node: NodeId): void {
  const loaded = shown.peek();
  if (loaded) update({ zoom: pathOf(loaded.tree, loaded.frames.names, node) });
}

/** One row towards the root. */
export function zoomOut(): boolean {
  const loaded = shown.peek();
  const node = zoomNode.peek();
  if (!loaded || node === ROOT) return false;
  zoomTo(neighbour(loaded.tree, node, 'caller'));
  return true;
}

export const focusPath = signal<string[] | null>(null);
export const focusNode = computed<NodeId | null>(() => {
  const loaded = shown.value;
  if (loaded === null || focusPath.value === null) return null;
  return standIn(loaded.tree, findPath(loaded.tree, loaded.frames.names, focusPath.value).node);
});
export function focus(node: NodeId | null): void {
  const loaded = shown.peek();
  focusPath.value = loaded && node !== null ? pathOf(loaded.tree, loaded.frames.names, node) : null;
}

/** Folds the run that begins at the node, or unfolds it; false where none does. */
export function turnRun(node: NodeId): boolean {
  const loaded = shown.peek();
  if (loaded === null || loaded.tree.run[node] === 0) return false;
  focus(node);
  toggleRun(pathOf(loaded.tree, loaded.frames.names, node));
  return true;
}

/** The matches of the search, for the tree that they were found in. */
export const found = signal<{ result: Found; of: object } | null>(null);
const search = computed(() => state.value.search);
let searches = 0;
let searched = '';

/** Which of the search's places is looked at; -1 for none. */
export const at = signal(-1);
/** A frame that is to be brought into view, however the view is now. */
export const lookedAt = signal<{ node: NodeId; of: object } | null>(null);

function stepTo(k: number): void {
  const { result, of } = found.peek()!;
  at.value = k;
  const node = nodeId(result.stops[k]);
  focus(node);
  lookedAt.value = { node, of };
}

/** The next of the search's places, or the one before; past an end it begins at the other. */
export function step(by: 1 | -1): void {
  const count = found.peek()?.result.stops.length ?? 0;
  if (count === 0) return;
  const from = at.peek() < 0 && by < 0 ? 0 : at.peek();
  stepTo((from + by + count) % count);
}
effect(() => {
  const loaded = shown.value;
  const text = search.value;
  const root = zoomNode.value;
  const mine = ++searches;
  if (loaded === null || text === '') {
    found.value = null;
    if (text === '') searched = '';
    return;
  }
  asks({ kind: 'search', text, root }).then(
    (result) => {
      if (mine !== searches) return;
      found.value = result && { result, of: loaded.tree };
      at.value = result ? result.stops.indexOf(focusNode.peek() ?? -1) : -1;
      // A refresh, another zoom or a fold leaves the view alone: only another search leads elsewhere.
      if (text !== searched && result && result.stops.length > 0) stepTo(0);
      searched = text;
    },
    () => {
      if (mine === searches) found.value = null;
    },
  );
});

/** The table of the zoomed frame; null when nothing is zoomed, and the server's table holds. */
export const zoomedTop = signal<Row[] | null>(null);
let tables = 0;
effect(() => {
  const loaded = shown.value;
  const root = zoomNode.value;
  const mine = ++tables;
  if (loaded === null || root === ROOT || state.value.view === 'flame') {
    zoomedTop.value = null;
    return;
  }
  asks({ kind: 'top', root }).then(
    (rows) => {
      if (mine === tables) zoomedTop.value = rows;
    },
    () => {
      if (mine === tables) zoomedTop.value = null;
    },
  );
});
