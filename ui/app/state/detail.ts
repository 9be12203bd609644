// Level of detail on demand: when a frame is zoomed into, the frames below it that the first response left out are
// requested, at a cost in proportion to its subtree.

import { effect, signal } from '@preact/signals';
import * as api from '../api/query';
import { hiddenShare } from '../logic/graft';
import { RANK, pathOf } from '../logic/zoompath';
import { NODES_INITIAL, NODES_MAX, local, state } from './explore';
import { askWorker, arrangementNow, flame, ownNow, queryOf, shown } from './queries';
import { zoomNode } from './zoom';

/** Undrawn frames that are together narrower than this share of the zoomed frame are less than some pixels wide. */
const SHARE_MIN = 0.002;

/** Whether the frames below a frame are being requested. */
export const detailing = signal(false);
/** Paths whose frames were requested, of the current response. */
let asked = new Set<string>();
let askedOf: string | null = null;

/** Requests the frames below a path. False if they cannot take the place of those that are shown. */
export async function loadBelow(path: string[]): Promise<boolean> {
  const { key, data } = flame.state.peek();
  const isPlain = state.peek().transforms.every((t) => 'pattern' in t || (t.kind === 'mine' && ownNow.peek() === null) || t.kind === 'preset');
  if (key === null || data === null || local.peek() !== null || path.length === 0 || !isPlain) return false;
  if (path.some((step) => step.includes(RANK)) || data.tree.n + NODES_INITIAL > NODES_MAX) return false;
  if (askedOf !== key) [asked, askedOf] = [new Set(), key];
  const wanted = path.join('\0');
  if (asked.has(wanted)) return false;
  asked.add(wanted);
  detailing.value = true;
  try {
    const buffer = await api.flamegraph({ ...queryOf(key), max_nodes: NODES_INITIAL, path }, new AbortController().signal);
    if (flame.state.peek().key !== key) return true;
    const loaded = await askWorker({ kind: 'graft', buffer, path, as: arrangementNow() });
    if (loaded === null) return false;
    const current = flame.state.peek();
    if (current.key === key) flame.state.value = { ...current, data: loaded };
    return true;
  } catch {
    // The frames stay undrawn; their sum is shown.
    return false;
  } finally {
    detailing.value = false;
  }
}

effect(() => {
  const loaded = shown.value;
  const node = zoomNode.value;
  if (loaded === null || node === 0 || node >= loaded.tree.n || hiddenShare(loaded.tree, node) < SHARE_MIN) return;
  void loadBelow(pathOf(loaded.tree, loaded.frames.names, node));
});
