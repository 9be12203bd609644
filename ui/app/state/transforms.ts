// Actions on a function: transforms of what is shown, and the view of its callers and callees.

import { effect, signal } from '@preact/signals';
import { type Transform, named, pushed } from '../logic/transforms';
import { FrameKind } from '../logic/decode';
import { nameKey } from '../logic/zoompath';
import type { Laid } from '../worker/protocol';
import { state, update } from './explore';
import { askWorker, shown } from './queries';

export function apply(t: Transform): void {
  const transforms = pushed(state.peek().transforms, t);
  // Paths begin elsewhere in an inverted tree.
  update({ transforms, ...(t.kind === 'invert' ? { zoom: [] } : {}), ...(state.peek().view === 'table' && t.kind === 'invert' ? { view: 'both' } : {}) });
}

export function remove(index: number): void {
  update({ transforms: state.peek().transforms.filter((_, i) => i !== index) });
}

/** Removes the last transform; false if there is none. */
export function undo(): boolean {
  const { transforms } = state.peek();
  if (transforms.length === 0) return false;
  remove(transforms.length - 1);
  return true;
}

export const sandwichOf = (name: string): void => update({ view: 'sandwich', fn: nameKey(name) });

export type ActionId = 'sandwich' | 'focus' | 'ignore' | 'hide' | 'collapse' | 'invert' | 'mine' | 'copy';

export interface ActionItem {
  id: ActionId;
  label: string;
  key: string;
  /** Whether it needs a function; the others are about the whole graph. */
  ofFunction: boolean;
}

export const ACTIONS: readonly ActionItem[] = [
  { id: 'sandwich', label: 'Callers and callees', key: 'c', ofFunction: true },
  { id: 'focus', label: 'Only stacks with this function', key: 'f', ofFunction: true },
  { id: 'ignore', label: 'Without stacks with this function', key: 'i', ofFunction: true },
  { id: 'hide', label: 'Hide this function, keep its callees', key: 'h', ofFunction: true },
  { id: 'copy', label: 'Copy name', key: 'y', ofFunction: true },
  { id: 'collapse', label: 'Collapse recursion', key: 'r', ofFunction: false },
  { id: 'invert', label: 'Invert: from functions to callers', key: 'v', ofFunction: false },
  { id: 'mine', label: 'Only my code', key: 'm', ofFunction: false },
];

/** Announced to screen readers after an action that changes nothing on the screen. */
export const said = signal('');

export function run(id: ActionId, name: string): void {
  switch (id) {
    case 'sandwich':
      sandwichOf(name);
      break;
    case 'copy':
      navigator.clipboard?.writeText(name).then(() => { said.value = 'Name copied'; }, () => { said.value = 'The browser does not allow copying'; });
      break;
    case 'focus':
    case 'ignore':
    case 'hide':
      apply(named(id, name));
      break;
    default:
      apply({ kind: id });
  }
}

/** The name of a node if it is a function; '' for groups and the root. */
export function functionOf(node: number | null): string {
  const loaded = shown.peek();
  if (loaded === null || node === null || node === 0 || node >= loaded.tree.n) return '';
  const f = loaded.tree.frame[node];
  return loaded.frames.kinds[f] === FrameKind.Function ? loaded.frames.names[f] : '';
}

/** The function that the view of callers and callees shows; null while it is computed or if it is not in the profile. */
export const sandwich = signal<{ laid: Laid | null; of: object } | null>(null);
let requests = 0;
effect(() => {
  const loaded = shown.value;
  const { view, fn } = state.value;
  const request = ++requests;
  if (loaded === null || view !== 'sandwich' || fn === '') return;
  askWorker({ kind: 'sandwich', key: fn }).then(
    (laid) => { if (request === requests) sandwich.value = { laid, of: loaded }; },
    () => { if (request === requests) sandwich.value = { laid: null, of: loaded }; },
  );
});
