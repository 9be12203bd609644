// The page's requests: what is fetched, when, and with which defaults.

import { computed, effect, signal } from '@preact/signals';
import * as api from '../api/query';
import { type Problem, problemOf } from '../api/problem';
import type { ColourBy } from '../logic/colours';
import { type Aggregation, aggregationOf } from '../logic/decode';
import { effectiveRange } from '../logic/effective';
import { DEFAULT_RANGE, FRESH_RANGE, type Span, isFresh, stepFor } from '../logic/range';
import { SERVICE, formatSelector, withService } from '../logic/selector';
import { shape } from '../logic/timeline';
import { withVisibleNames } from '../logic/top';
import { TreeWorker } from '../worker/client';
import type { Arrangement, Loaded } from '../worker/protocol';
import { maxNodes, picked, selector, service, span, state, update } from './explore';
import { unfolded } from './folding';
import { type Resource, resource } from './resource';

const MINUTE = 60_000;
// Names of services, types and labels change slowly: ranges in whole minutes avoid most requests of a
// live page.
const wholeMinutes = computed(() =>
  span.value === null
    ? null
    : {
        from: Math.floor(span.value.from / MINUTE) * MINUTE,
        until: Math.ceil(span.value.until / MINUTE) * MINUTE,
      },
);

const keyOf = (query: object | null): string | null => (query === null ? null : JSON.stringify(query));
const queryOf = (key: string): api.Query => JSON.parse(key) as api.Query;

export const services = resource(
  () => keyOf(wholeMinutes.value && { name: SERVICE, ...wholeMinutes.value }),
  (key, signal) => api.labels(queryOf(key), signal),
);

export const types = resource(
  () =>
    keyOf(wholeMinutes.value && {
      ...wholeMinutes.value,
      selector: service.value === null ? '' : formatSelector(withService(service.value)),
    }),
  (key, signal) => api.types(queryOf(key), signal),
);

const labelResource = resource(
  () =>
    keyOf(
      wholeMinutes.value && service.value !== null && state.value.type !== ''
        ? { ...wholeMinutes.value, type: state.value.type, selector: formatSelector(withService(service.value)) }
        : null,
    ),
  async (key, signal) => ({ of: queryOf(key).selector, names: await api.labels(queryOf(key), signal) }),
);

/** The label names of the shown service; null until they are known. */
export const labelNames = computed<string[] | null>(() => {
  const { data } = labelResource.state.value;
  const current = service.value === null ? null : formatSelector(withService(service.value));
  return data !== null && data.of === current ? data.names : null;
});

/** The values of a label within the service, for the filter editor. */
export function labelValues(name: string, signal: AbortSignal): Promise<string[]> {
  const within = service.peek() === null ? '' : formatSelector(withService(service.peek()!));
  return api.labels({ name, type: state.peek().type, selector: within, ...wholeMinutes.peek()! }, signal);
}

// A page without a service or type in its URL chooses them, so that it opens with a flame graph.
effect(() => {
  const known = services.state.value.data;
  if (!known || known.length === 0 || state.value.matchers.length > 0 || state.value.invalidSelector !== '') return;
  update({ matchers: withService(known.includes('davy') ? 'davy' : known[0]) }, 'replace');
});
effect(() => {
  const known = types.state.value.data;
  if (!known || known.length === 0 || state.value.type !== '') return;
  update({ type: known.find((t) => t.startsWith('process_cpu:')) ?? known[0] }, 'replace');
});

/** The grouping labels; null until it is known whether the service has members. */
export const grouping = computed<string[] | null>(() => {
  if (state.value.by !== null) return state.value.by;
  if (labelNames.value !== null) return labelNames.value.includes('member') ? ['member'] : [];
  return labelResource.state.value.problem !== null || service.value === null ? [] : null;
});

export const colouring = computed<ColourBy>(
  () => state.value.colour ?? ((grouping.value?.length ?? 0) > 0 ? 'group' : 'package'),
);

/** The services that a selector without a single service matches. */
const matchingResource = resource(
  () =>
    keyOf(
      wholeMinutes.value && service.value === null && state.value.matchers.length > 0
        ? { name: SERVICE, ...wholeMinutes.value, selector: selector.value }
        : null,
    ),
  async (key, signal) => ({ of: queryOf(key).selector, names: await api.labels(queryOf(key), signal) }),
);
export const matchingServices = computed<string[] | null>(() => {
  const { data } = matchingResource.state.value;
  return service.value === null && data !== null && data.of === selector.value ? data.names : null;
});

// Profiles of several services are not merged: the user chooses one of them first.
const oneService = computed(() => service.value !== null || (matchingServices.value !== null && matchingServices.value.length <= 1));
const ready = computed(() => state.value.type !== '' && state.value.matchers.length > 0 && oneService.value);
const by = computed(() => grouping.value?.join(',') ?? null);

const aligned = (t: number, step: number): number => Math.floor(t / step) * step;

export const series = resource(
  () =>
    keyOf(
      ready.value && span.value && by.value !== null
        ? {
            type: state.value.type,
            selector: selector.value,
            // Starts with a whole time bucket: a partial one would look like a drop.
            from: aligned(span.value.from, stepFor(span.value) * 1000),
            until: span.value.until,
            step: stepFor(span.value),
            by: by.value,
          }
        : null,
    ),
  (key, signal) => api.series(queryOf(key), signal),
);

// An hour with data in its last minutes only would be a narrow strip at the right edge.
effect(() => {
  const { data, loading } = series.state.value;
  if (data === null || loading || state.value.range !== DEFAULT_RANGE || state.value.pick !== null) return;
  if (isFresh(data.series, data.until)) update({ range: FRESH_RANGE }, 'replace');
});

/** The query of the flame graph, the table and the exports. */
export const graphQuery = computed<api.Query | null>(() =>
  ready.value && picked.value
    ? { type: state.value.type, selector: selector.value, from: picked.value.from, until: picked.value.until }
    : null,
);

const worker = new TreeWorker();
export const askWorker = worker.ask.bind(worker);

const arrangement = computed<Arrangement>(() => ({
  order: state.value.order,
  fold: state.value.fold,
  open: unfolded.value,
}));
const arrangementKey = computed(() => JSON.stringify(arrangement.value));

export const flame = resource<Loaded>(
  () =>
    keyOf(graphQuery.value && by.value !== null ? { ...graphQuery.value, by: by.value, max_nodes: maxNodes.value } : null),
  async (key, signal) => {
    const buffer = await api.flamegraph(queryOf(key), signal);
    return worker.ask({ kind: 'load', buffer, as: arrangement.peek() });
  },
);

/** The number of functions requested for the table: those with the largest self values. */
export const TABLE_ROWS = 5_000;
export const top = resource(
  () => keyOf(graphQuery.value && state.value.view !== 'flame' ? { ...graphQuery.value, limit: TABLE_ROWS } : null),
  async (key, signal) => withVisibleNames(await api.top(queryOf(key), signal)),
);

/** The shown tree, in the current arrangement. */
export const shown = signal<Loaded | null>(null);
export const viewerProblem = signal<Problem | null>(null);
let arranged = arrangementKey.peek();
effect(() => {
  const loaded = flame.state.value.data;
  if (loaded !== null) shown.value = loaded;
});
effect(() => {
  const wanted = arrangementKey.value;
  if (shown.peek() === null || wanted === arranged) {
    arranged = wanted;
    return;
  }
  arranged = wanted;
  askWorker({ kind: 'arrange', as: arrangement.peek() }).then(
    (loaded) => { shown.value = loaded; },
    (error) => { viewerProblem.value = problemOf(error); },
  );
});

export const shaped = computed(() => {
  const answer = series.state.value.data;
  if (answer === null) return null;
  // The grouping of the response, which may differ from the current one.
  const key = series.state.value.key;
  const grouped = (key ? (queryOf(key).by ?? '') : '').split(',').filter(Boolean);
  const result = shape(answer, grouped, state.value.plot === 'stack');
  return { ...result, grouped, unit: answer.unit };
});

/** How the windows of the shown type are combined; null if the server does not say. */
export const aggregation = computed<Aggregation | null>(() => {
  const answer = series.state.value.data;
  const meta = shown.value?.meta;
  return aggregationOf(answer?.aggregation) ?? (meta?.type === state.value.type ? meta.aggregation : null);
});

/** The range that the shown flame graph counts, if it is wider than the one that was asked for. */
export const effective = computed<Span | null>(() => {
  const meta = shown.value?.meta;
  return meta === undefined || picked.value === null ? null : effectiveRange(meta, picked.value);
});

/** The query of links to other forms of the flame graph: its range is the one that is counted. */
export const linkQuery = computed<api.Query | null>(() =>
  graphQuery.value === null ? null : { ...graphQuery.value, ...effective.value },
);

/** The page's resources, with their names in notices. */
export const resources: [string, Resource<unknown>][] = [
  ['Services', services],
  ['Profile types', types],
  ['Labels', labelResource],
  ['Matching services', matchingResource],
  ['Timeline', series],
  ['Flame graph', flame],
  ['Table', top],
].map(([what, of]) => [what as string, of as Resource<unknown>]);

/** Sentences that name what is missing from the shown responses, without duplicates. */
export const partial = computed(() => {
  const all = [
    ...(shown.value?.meta.partial ?? []),
    ...(series.state.value.data?.partial ?? []),
    ...(top.state.value.data?.partial ?? []),
  ];
  return [...new Set(all)];
});

export const busy = computed(
  () => flame.state.value.loading || series.state.value.loading || (state.value.view !== 'flame' && top.state.value.loading),
);
