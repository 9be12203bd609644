// The state of the page that is in its address, and what follows from it alone.

import { computed, effect, signal } from '@preact/signals';
import { type Span, isRelative, resolve } from '../logic/range';
import { formatSelector, serviceOf } from '../logic/selector';
import { type State, toUrl } from '../logic/urlstate';
import { stateOf } from './folding';

export const state = signal<State>(stateOf(location));

/** The moment that "now" means in every request of one refresh. */
export const now = signal(Date.now());
export const START_NODES = 20_000;
/** The server gives no more frames than this at once. */
export const MOST_NODES = 1_000_000;
export const maxNodes = signal(START_NODES);
/** A refresh that the tab slept through is made up for when it is looked at again. */
export const visible = signal(document.visibilityState === 'visible');

type Kind = 'step' | 'tweak';

/** A step can be gone back from; a tweak (typing, a toggle) changes the address in place. */
export function update(patch: Partial<State>, kind: Kind = 'step'): void {
  const next = { ...state.peek(), ...patch };
  if (patch.matchers) next.unread = '';
  const url = toUrl(next);
  const same = url === `${location.search}${location.hash}` || (url === '' && location.search + location.hash === '');
  state.value = next;
  if (same) return;
  const target = url === '' ? location.pathname : url;
  if (kind === 'step') history.pushState(null, '', target);
  else history.replaceState(null, '', url.startsWith('#') ? location.pathname + url : target);
}

// What is remembered and not in the address is put there: a link shows others what one sees.
if (!state.peek().fold) update({}, 'tweak');

addEventListener('popstate', () => {
  state.value = stateOf(location);
});
document.addEventListener('visibilitychange', () => {
  visible.value = document.visibilityState === 'visible';
});

/** Reads the clock again: relative ranges move, everything is asked for anew. */
export function refresh(): void {
  now.value = Date.now();
}

const live = computed(() => state.value.live);
effect(() => {
  if (live.value === 0 || !visible.value) return;
  if (Date.now() - now.peek() > live.value * 1000) refresh();
  const timer = setInterval(refresh, live.value * 1000);
  return () => clearInterval(timer);
});

/** The range of the timeline; null when what was typed is no range. */
export const span = computed<Span | null>(() => resolve(state.value.range, now.value));
/** The range of the flame graph: the part picked on the timeline, else all of it. */
export const picked = computed<Span | null>(() => state.value.pick ?? span.value);
export const service = computed(() => serviceOf(state.value.matchers));
export const selector = computed(() => formatSelector(state.value.matchers));
export const moving = computed(() => isRelative(state.value.range));

export function setRange(from: string, until: string): void {
  now.value = Date.now();
  update({ range: { from, until }, pick: null });
}

export function pick(span: Span | null): void {
  update({ pick: span });
}
