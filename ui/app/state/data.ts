// Everything that is fetched: what for, when, and with which defaults.

import { computed, effect, signal } from '@preact/signals';
import * as api from '../api/client';
import { type Problem, problemOf } from '../api/problem';
import type { ColourBy } from '../logic/colours';
import { DEFAULT_RANGE, FRESH_RANGE, isFresh, stepFor } from '../logic/range';
import { SERVICE, formatSelector, withService } from '../logic/selector';
import { shape } from '../logic/timeline';
import { TreeWorker } from '../worker/client';
import type { Arrangement, Loaded } from '../worker/protocol';
import { maxNodes, picked, selector, service, span, state, update } from './explore';
import { unfolded } from './folding';
import { type Resource, resource } from './resource';

const MINUTE = 60_000;
// What exists changes slowly: those requests go by whole minutes, so a live page repeats few.
const coarse = computed(() =>
  span.value === null
    ? null
    : {
        from: Math.floor(span.value.from / MINUTE) * MINUTE,
        until: Math.ceil(span.value.until / MINUTE) * MINUTE,
      },
);

const ask = (query: object | null): string | null => (query === null ? null : JSON.stringify(query));
const asked = (key: string): api.Query => JSON.parse(key) as api.Query;

export const services = resource(
  () => ask(coarse.value && { name: SERVICE, ...coarse.value }),
  (key, signal) => api.labels(asked(key), signal),
);

export const types = resource(
  () =>
    ask(coarse.value && {
      ...coarse.value,
      selector: service.value === null ? '' : formatSelector(withService(service.value)),
    }),
  (key, signal) => api.types(asked(key), signal),
);

const labelling = resource(
  () =>
    ask(
      coarse.value && service.value !== null && state.value.type !== ''
        ? { ...coarse.value, type: state.value.type, selector: formatSelector(withService(service.value)) }
        : null,
    ),
  async (key, signal) => ({ of: asked(key).selector, names: await api.labels(asked(key), signal) }),
);

/** The labels of the service on show; null while only those of another one are known. */
export const labelNames = computed<string[] | null>(() => {
  const { data } = labelling.state.value;
  const current = service.value === null ? null : formatSelector(withService(service.value));
  return data !== null && data.of === current ? data.names : null;
});

/** The values of a label within the service, for the filter editor. */
export function labelValues(name: string, signal: AbortSignal): Promise<string[]> {
  const within = service.peek() === null ? '' : formatSelector(withService(service.peek()!));
  return api.labels({ name, type: state.peek().type, selector: within, ...coarse.peek()! }, signal);
}

// First look: a service and a type are chosen for the user, who sees a flame graph and not a form.
effect(() => {
  const known = services.state.value.data;
  if (!known || known.length === 0 || state.value.matchers.length > 0 || state.value.unread !== '') return;
  update({ matchers: withService(known.includes('davy') ? 'davy' : known[0]) }, 'tweak');
});
effect(() => {
  const known = types.state.value.data;
  if (!known || known.length === 0 || state.value.type !== '') return;
  update({ type: known.find((t) => t.startsWith('process_cpu:')) ?? known[0] }, 'tweak');
});

/** The labels grouped by; null while it is not known whether the service has members. */
export const grouping = computed<string[] | null>(() => {
  if (state.value.by !== null) return state.value.by;
  if (labelNames.value !== null) return labelNames.value.includes('member') ? ['member'] : [];
  return labelling.state.value.problem !== null || service.value === null ? [] : null;
});

export const colouring = computed<ColourBy>(
  () => state.value.colour ?? ((grouping.value?.length ?? 0) > 0 ? 'group' : 'package'),
);

const ready = computed(() => state.value.type !== '' && state.value.matchers.length > 0);
const by = computed(() => grouping.value?.join(',') ?? null);

const aligned = (t: number, step: number): number => Math.floor(t / step) * step;

export const series = resource(
  () =>
    ask(
      ready.value && span.value && by.value !== null
        ? {
            type: state.value.type,
            selector: selector.value,
            // Whole buckets from the first: a part of one would look like a slump.
            from: aligned(span.value.from, stepFor(span.value) * 1000),
            until: span.value.until,
            step: stepFor(span.value),
            by: by.value,
          }
        : null,
    ),
  (key, signal) => api.series(asked(key), signal),
);

// An hour of which only the last minutes have data would be a strip at the right edge.
effect(() => {
  const { data, loading } = series.state.value;
  if (data === null || loading || state.value.range !== DEFAULT_RANGE || state.value.pick !== null) return;
  if (isFresh(data.series, data.until)) update({ range: FRESH_RANGE }, 'tweak');
});

/** What the flame graph, the table and the exports are about. */
export const subject = computed<api.Query | null>(() =>
  ready.value && picked.value
    ? { type: state.value.type, selector: selector.value, from: picked.value.from, until: picked.value.until }
    : null,
);

const worker = new TreeWorker();
export const asks = worker.ask.bind(worker);

const arrangement = computed<Arrangement>(() => ({
  order: state.value.order,
  fold: state.value.fold,
  open: unfolded.value,
}));
const arrangementKey = computed(() => JSON.stringify(arrangement.value));

export const flame = resource<Loaded>(
  () =>
    ask(subject.value && by.value !== null ? { ...subject.value, by: by.value, max_nodes: maxNodes.value } : null),
  async (key, signal) => {
    const buffer = await api.flamegraph(asked(key), signal);
    return worker.ask({ kind: 'load', buffer, as: arrangement.peek() });
  },
);

/** The server is asked for this many functions, those with the largest self. */
export const TABLE_ROWS = 5_000;
export const top = resource(
  () => ask(subject.value && state.value.view !== 'flame' ? { ...subject.value, limit: TABLE_ROWS } : null),
  (key, signal) => api.top(asked(key), signal),
);

/** The tree on show, in the arrangement asked for. */
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
  asks({ kind: 'arrange', as: arrangement.peek() }).then(
    (loaded) => { shown.value = loaded; },
    (error) => { viewerProblem.value = problemOf(error); },
  );
});

export const shaped = computed(() => {
  const answer = series.state.value.data;
  if (answer === null) return null;
  // Grouping as it was asked, not as it is being asked now.
  const key = series.state.value.key;
  const grouped = (key ? (asked(key).by ?? '') : '').split(',').filter(Boolean);
  const result = shape(answer, grouped, state.value.plot === 'stack');
  return { ...result, grouped, unit: answer.unit };
});

/** Every request of the page, with the words for it in a notice. */
export const everything: [string, Resource<unknown>][] = [
  ['The services', services],
  ['The profile types', types],
  ['The labels', labelling],
  ['The timeline', series],
  ['The flame graph', flame],
  ['The table', top],
].map(([what, of]) => [what as string, of as Resource<unknown>]);

/** Sentences about what is missing from the answers on show, each once. */
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
