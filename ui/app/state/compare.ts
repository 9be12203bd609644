// The state of Compare: its URL, the loaded comparison, and what is zoomed, focused and searched for.

import { computed, effect, signal } from '@preact/signals';
import * as api from '../api/query';
import { type Problem, problemOf } from '../api/problem';
import { ALLOCATORS, hasAllocators } from '../logic/allocator';
import type { RankRow } from '../logic/compare/rank';
import { type CompareState, fromCompareUrl, matchersOf, toCompareUrl } from '../logic/compare/urlstate';
import { visibleNode } from '../logic/fold';
import { insteadOf } from '../logic/profiletypes';
import { type Span, absolute, resolve } from '../logic/range';
import { SERVICE, formatSelector, serviceOf, withService } from '../logic/selector';
import { type NodeId, ROOT } from '../logic/units';
import { findShort, pathOf, shortPath } from '../logic/zoompath';
import { Matcher } from '../worker/matcher';
import type { Arrangement, Compared, Found } from '../worker/protocol';
import { Address, type HistoryMode } from './address';
import { files, worker } from './comparefiles';
import { Latest } from './latest';
import { resource } from './resource';

export const state = signal<CompareState>(fromCompareUrl(location.search, location.hash));
/** The time that "now" refers to in every request of one refresh. */
export const now = signal(Date.now());

const address = new Address(() => toCompareUrl(state.peek()));
export const update = (patch: Partial<CompareState>, mode: HistoryMode = 'push'): void =>
  address.update(() => { state.value = { ...state.peek(), ...patch }; }, mode);
addEventListener('popstate', () => {
  address.forget();
  state.value = fromCompareUrl(location.search, location.hash);
});

export const refresh = (): void => { now.value = Date.now(); };

export const spans = computed<{ now: Span | null; base: Span | null }>(() => ({
  now: resolve(state.value.now.range, now.value),
  base: resolve(state.value.base.range, now.value),
}));

/** The state with absolute ranges, for a link that shows the same later. */
export function pinnedUrl(): string {
  const { now: a, base: b } = spans.peek();
  const s = state.peek();
  return toCompareUrl({
    ...s, now: { ...s.now, range: a ? absolute(a) : s.now.range }, base: { ...s.base, range: b ? absolute(b) : s.base.range },
  });
}

const keyOf = (query: object | null): string | null => (query === null ? null : JSON.stringify(query));
const queryOf = (key: string): api.Query => JSON.parse(key) as api.Query;

/** The service of the compared side. */
export const service = computed(() => serviceOf(matchersOf(state.value.now.selector)));
const ofService = computed(() => (service.value === null ? '' : formatSelector(withService(service.value))));

export const services = resource(
  () => keyOf(spans.value.now && state.value.now.selector === '' ? { name: SERVICE, ...spans.value.now } : null),
  (key, signal) => api.labels(queryOf(key), signal),
);
export const types = resource(
  () => keyOf(spans.value.now && { ...spans.value.now, selector: ofService.value }),
  (key, signal) => api.types(queryOf(key), signal),
);
export const labels = resource(
  () => keyOf(spans.value.now && service.value !== null ? { ...spans.value.now, selector: ofService.value } : null),
  (key, signal) => api.labels(queryOf(key), signal),
);

// A page without a service or type in its URL chooses them.
effect(() => {
  const known = services.state.value.data;
  if (!known || known.length === 0 || state.value.now.selector !== '') return;
  const selector = formatSelector(withService(known.includes('davy') ? 'davy' : known[0]));
  update({ now: { ...state.peek().now, selector }, base: { ...state.peek().base, selector } }, 'replace');
});
effect(() => {
  const known = types.state.value.data;
  if (known && known.length > 0 && state.value.type === '') update({ type: insteadOf('', known) }, 'replace');
});

/** The frames of a response: JSON of more takes longer than a second. */
export const NODES = 30_000;
/** The frames of the server's side of a comparison with a file. Those that are left out would count as gone. */
const HALF_NODES = 300_000;
export const attributes = computed(() => hasAllocators(state.value.type) && !state.value.allocators);

/** The queries of the sides that are not files, which are merged in the worker; null if neither is one. */
const halves = computed(() => {
  const { now, base } = files.value;
  const s = state.value;
  if (now === null && base === null) return null;
  const of = (file: object | null, selector: string, span: Span | null): api.Query | null =>
    file !== null || span === null || selector === '' || s.type === '' ? null : { type: s.type, selector, from: Math.round(span.from), until: Math.round(span.until), max_nodes: HALF_NODES };
  const queries = { now: of(now, s.now.selector, spans.value.now), base: of(base, s.base.selector, spans.value.base) };
  return (now !== null || queries.now !== null) && (base !== null || queries.base !== null) ? { queries, now, base } : null;
});

const query = computed<api.Query | null>(() => {
  const { now: a, base: b } = spans.value;
  const s = state.value;
  if (files.value.now !== null || files.value.base !== null) return null;
  if (a === null || b === null || s.type === '' || s.now.selector === '') return null;
  return {
    type: s.type, selector: s.now.selector, from: Math.round(a.from), until: Math.round(a.until),
    base_selector: s.base.selector, base_from: Math.round(b.from), base_until: Math.round(b.until),
    by: s.by.join(','), max_nodes: NODES, ...(attributes.value ? { hide: ALLOCATORS } : {}),
  };
});

/** Paths to the first frames of the unfolded runs. */
const open = signal<string[][]>([]);
const arrangement = (): Arrangement => ({ order: 'heavy', fold: true, open: open.peek() });

export const comparison = resource<Compared>(
  () => keyOf(halves.value ?? query.value),
  async (key, signal) => {
    const { queries } = JSON.parse(key) as { queries?: Record<'now' | 'base', api.Query | null> };
    if (queries !== undefined) {
      const [now, base] = await Promise.all([queries.now, queries.base].map((of) => of && api.flamegraph(of, signal)));
      return worker.ask({ kind: 'join', now, base, scale: state.peek().scale, as: arrangement() });
    }
    return worker.ask({ kind: 'diff', text: await api.diff(queryOf(key), signal), scale: state.peek().scale, as: arrangement() });
  },
);

/** The shown comparison, in the current scale. */
export const shown = signal<Compared | null>(null);
export const problem = signal<Problem | null>(null);
let arranged = '';
effect(() => {
  const { data } = comparison.state.value;
  if (data === null) return;
  arranged = JSON.stringify([state.peek().scale, open.peek()]);
  shown.value = data;
});
effect(() => {
  const wanted = JSON.stringify([state.value.scale, open.value]);
  if (shown.peek() === null || wanted === arranged) return;
  arranged = wanted;
  worker.ask({ kind: 'scale', scale: state.peek().scale, as: arrangement() }).then(
    (data) => { if (wanted === arranged) shown.value = data; },
    (error) => { problem.value = problemOf(error); },
  );
});

export const zoomNode = computed<NodeId>(() => {
  const loaded = shown.value;
  if (loaded === null) return ROOT;
  return visibleNode(loaded.tree, findShort(loaded.tree, loaded.frames.names, state.value.zoom).node);
});

export function zoomTo(node: NodeId): void {
  const loaded = shown.peek();
  if (loaded) update({ zoom: shortPath(pathOf(loaded.tree, loaded.frames.names, node)) });
}

export const focusNode = signal<NodeId | null>(null);

/** Folds or unfolds the run that starts at the node; false if none does. */
export function foldOrUnfold(node: NodeId): boolean {
  const loaded = shown.peek();
  if (loaded === null || loaded.tree.run[node] === 0) return false;
  const path = pathOf(loaded.tree, loaded.frames.names, node);
  const key = JSON.stringify(path);
  const rest = open.peek().filter((other) => JSON.stringify(other) !== key);
  open.value = rest.length < open.peek().length ? rest : [...rest, path];
  return true;
}

export const ranked = signal<RankRow[] | null>(null);
export const found = signal<{ result: Found; of: object } | null>(null);
/** The names that match the search; null without a search. */
export const matching = signal<ReadonlySet<string> | null>(null);
export const searchProblem = signal('');
const matcher = new Matcher();
effect(() => {
  const loaded = shown.value;
  const root = zoomNode.value;
  if (loaded === null) return;
  worker.ask({ kind: 'rank', root }).then(
    (rows) => { if (shown.peek() === loaded) ranked.value = rows; },
    (error) => { problem.value = problemOf(error); },
  );
});
const searches = new Latest<{ loaded: Compared; text: string; root: NodeId }>(async ({ loaded, text, root }, isWanted) => {
  let result: Found | null = null;
  let hit: Uint8Array | null = null;
  let failed = '';
  try {
    const matches = await matcher.match(loaded.frames.names, text);
    ({ hit } = matches);
    result = await worker.ask({ kind: 'search', matches, root });
  } catch (error) {
    failed = error instanceof Error ? error.message : String(error);
  }
  if (!isWanted()) return;
  searchProblem.value = failed;
  found.value = result && { result, of: loaded.tree };
  matching.value = new Set(failed === '' ? loaded.frames.names.filter((_, f) => hit![f] === 1) : []);
});
effect(() => {
  const loaded = shown.value;
  const { search: text } = state.value;
  const root = zoomNode.value;
  const isSearch = loaded !== null && text !== '';
  searches.want(isSearch ? { loaded, text, root } : null);
  if (isSearch) return;
  found.value = null;
  matching.value = null;
  searchProblem.value = '';
});
