// The zoomed frame, the focused frame, and the table of the zoomed frame.

import { computed, effect, signal } from '@preact/signals';
import type { FunctionRow } from '../api/types';
import { visibleNode } from '../logic/fold';
import { neighbour } from '../logic/neighbours';
import { type NodeId, ROOT } from '../logic/units';
import { findPath, findShort, pathOf, shortPath } from '../logic/zoompath';
import { local, state, update } from './explore';
import { foldOrUnfold } from './folding';
import { askWorker, attributes, shown } from './queries';

const zoomKey = computed(() => JSON.stringify(state.value.zoom));

/** The zoomed frame, looked up by its path in every new tree. */
export const zoom = computed(() => {
  zoomKey.value;
  const loaded = shown.value;
  if (loaded === null) return { node: ROOT, depth: 0, missing: 0 };
  const path = state.peek().zoom;
  const found = findShort(loaded.tree, loaded.frames.names, path);
  // A frame within a folded run is as wide as the run, which is zoomed instead.
  return { ...found, node: visibleNode(loaded.tree, found.node), missing: path.length - found.depth };
});
export const zoomNode = computed(() => zoom.value.node);

export function zoomTo(node: NodeId): void {
  const loaded = shown.peek();
  if (loaded) update({ zoom: shortPath(pathOf(loaded.tree, loaded.frames.names, node)) });
}

/** Zooms out by one row; false if nothing is zoomed. */
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
  return visibleNode(loaded.tree, findPath(loaded.tree, loaded.frames.names, focusPath.value).node);
});
export function focus(node: NodeId | null): void {
  const loaded = shown.peek();
  focusPath.value = loaded && node !== null ? pathOf(loaded.tree, loaded.frames.names, node) : null;
}

/** Folds or unfolds the run that starts at the node; false if none does. */
export function foldOrUnfoldRun(node: NodeId): boolean {
  const loaded = shown.peek();
  if (loaded === null || loaded.tree.run[node] === 0) return false;
  focus(node);
  foldOrUnfold(pathOf(loaded.tree, loaded.frames.names, node));
  return true;
}

/** The table of the zoomed frame; null if nothing is zoomed, when the server's table is shown. */
export const zoomedTop = signal<FunctionRow[] | null>(null);
let requests = 0;
effect(() => {
  const loaded = shown.value;
  const root = zoomNode.value;
  const request = ++requests;
  if (loaded === null || (root === ROOT && local.value === null) || state.value.view === 'flame') {
    zoomedTop.value = null;
    return;
  }
  askWorker({ kind: 'top', root, attribute: attributes.value }).then(
    (rows) => {
      if (request === requests) zoomedTop.value = rows;
    },
    () => {
      if (request === requests) zoomedTop.value = null;
    },
  );
});
