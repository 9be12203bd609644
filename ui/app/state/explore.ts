// The state of Explore that is in its URL, and values derived from it alone.

import { computed, effect, signal } from '@preact/signals';
import { begunLink } from '../api/query';
import { type Span, isRelative, resolve, showing } from '../logic/range';
import { formatSelector, serviceOf } from '../logic/selector';
import type { Offsets, TimeSpan } from '../logic/subsecond';
import { type State, toUrl } from '../logic/urlstate';
import { Address, type HistoryMode } from './address';
import { stateOf } from './folding';

export const state = signal<State>(stateOf(location));

/** The time that "now" refers to in every request of one refresh. */
export const now = signal(begunAt() ?? Date.now());
export const NODES_INITIAL = 20_000;
/** The width in device pixels for which frames are requested first: that of the window is not known to the document. */
export const WIDTH_INITIAL = 3_840;
/** The largest number of frames that the server returns. */
export const NODES_MAX = 1_000_000;
export const maxNodes = signal(NODES_INITIAL);
/** The time of the request that the document has begun, whose range ends now. */
function begunAt(): number | null {
  const link = begunLink();
  const { range, pick: part } = state.peek();
  return link === null || part !== null || range.until !== 'now' ? null : Number(new URL(link.href).searchParams.get('until'));
}
/** How long everything else waits for the first flame graph. */
const FIRST_MS = 300;
/** Whether the first flame graph is on the screen, or takes longer: what it does not need is requested and loaded from then on. */
export const othersMayLoad = signal(false);
const loadOthers = (): void => { othersMayLoad.value = true; };
setTimeout(loadOthers, FIRST_MS);
/** Called with each drawing: the browser shows it before the others are loaded. */
export const onDrawn = (): void => { if (!othersMayLoad.peek()) setTimeout(loadOthers); };

/** A hidden tab does not refresh; it catches up when it becomes visible again. */
export const visible = signal(document.visibilityState === 'visible');

/** A profile from a local file, which is shown in place of the server's. */
export interface LocalFile {
  name: string;
  format: string;
  kinds: { label: string; unit: string }[];
  kind: number;
  /** When the values were sampled; null in files without times. */
  offsets: Offsets | null;
  /** The part of the time that is shown; null for all of it. */
  part: TimeSpan | null;
}
export const local = signal<LocalFile | null>(null);

const address = new Address(() => toUrl(state.peek()));

export function update(patch: Partial<State>, mode: HistoryMode = 'push'): void {
  address.update(() => { state.value = { ...state.peek(), ...patch, ...(patch.matchers ? { invalidSelector: '' } : {}) }; }, mode);
}

// A stored setting that is not in the URL is added to it, so that a shared link shows the same.
if (!state.peek().fold) update({}, 'replace');

addEventListener('popstate', () => {
  address.forget();
  state.value = stateOf(location);
});
document.addEventListener('visibilitychange', () => {
  visible.value = document.visibilityState === 'visible';
});

/** Moves relative ranges to the current time and repeats every request. */
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

/** The range of the timeline; null if it is invalid. */
export const span = computed<Span | null>(() => {
  const range = resolve(state.value.range, now.value);
  return range && showing(range, state.value.pick);
});
/** The range of the flame graph: the selected part of the timeline, or all of it. */
export const picked = computed<Span | null>(() => state.value.pick ?? span.value);
export const service = computed(() => serviceOf(state.value.matchers));
export const selector = computed(() => formatSelector(state.value.matchers));
export const relativeRange = computed(() => isRelative(state.value.range));

export function setRange(from: string, until: string): void {
  now.value = Date.now();
  update({ range: { from, until }, pick: null });
}

export function pick(span: Span | null): void {
  update({ pick: span });
}
