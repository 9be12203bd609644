// Actions on a function: transforms of what is shown, and the view of its callers and callees.

import { computed, effect, signal } from '@preact/signals';
import * as api from '../api/query';
import { problemOf } from '../api/problem';
import { mergeWidth } from '../logic/mergewidth';
import { type Transform, named, pushed } from '../logic/transforms';
import { FrameKind } from '../logic/decode';
import { nameKey } from '../logic/zoompath';
import type { Laid, Loaded } from '../worker/protocol';
import { WIDTH_INITIAL, state, update } from './explore';
import { aroundQuery, askWorker, keyOf, queryOf, shown, top } from './queries';

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

export type ActionId = 'sandwich' | 'focus' | 'ignore' | 'hide' | 'collapse' | 'packages' | 'invert' | 'mine' | 'copy';

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
  { id: 'packages', label: 'Collapse packages: one frame for neighbours of one', key: 'p', ofFunction: false },
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

/**
 * What the view of callers and callees shows; null while it is computed. `laid` is null if the function is not in the profile,
 * and `partly` says that it is of the drawn frames only, until the server has merged all of them.
 */
export const sandwich = signal<{ laid: Laid | null; of: object; partly: boolean; problem: string } | null>(null);
const wanted = computed(() => (state.value.view === 'sandwich' ? state.value.fn : ''));
const around = computed(() => keyOf(aroundQuery.value));

/** What the page finds among the drawn frames. */
const drawn = signal<{ laid: Laid | null; of: Loaded; fn: string } | null>(null);
effect(() => {
  const of = shown.value;
  const fn = wanted.value;
  drawn.value = null;
  if (of === null || fn === '') return;
  const isCurrent = (): boolean => shown.peek() === of && wanted.peek() === fn;
  askWorker({ kind: 'sandwich', key: fn, width: mergeWidth(of.tree, innerWidth * devicePixelRatio, screen.width * devicePixelRatio, WIDTH_INITIAL) }).then(
    (laid) => { if (isCurrent()) drawn.value = { laid, of, fn }; },
    (error) => { if (isCurrent()) sandwich.value = { laid: null, of, partly: false, problem: problemOf(error).detail }; },
  );
});

/** The name in the table, which may have a function of which no frame is drawn. Only another name repeats the requests below. */
const rows = computed(() => top.state.value.data?.functions);
const nameInTable = computed(() => {
  const fn = drawn.value?.fn;
  return rows.value?.find((row) => nameKey(row.name) === fn)?.name;
});

effect(() => {
  if (drawn.value === null) return;
  const { laid, of } = drawn.value;
  const query = around.value;
  const name = laid?.name ?? nameInTable.value;
  // Without undrawn frames the page has everything.
  const isWhole = query === null || of.tree.undrawn === 0;
  const show = (all: Laid | null, partly = false, problem = ''): void => { sandwich.value = { laid: all, of, partly, problem }; };
  if (isWhole || name === undefined) return show(laid);
  if (laid !== null) show(laid, true);
  const control = new AbortController();
  const sides = (['callers', 'callees'] as const).map((side) => api.flamegraph({ ...queryOf(query), function: name, side }, control.signal));
  Promise.all(sides).then(([callers, callees]) => askWorker({ kind: 'around', callers, callees })).then(
    (all) => { if (!control.signal.aborted) show(all); },
    (error) => { if (!control.signal.aborted) show(laid, false, problemOf(error).detail); },
  );
  return () => control.abort();
});
