// The page's requests: what is fetched, when, and with which defaults.

import { batch, computed, effect, signal } from '@preact/signals';
import * as api from '../api/query';
import { type Problem, problemOf } from '../api/problem';
import { ALLOCATORS, hasAllocators } from '../logic/allocator';
import type { ColourBy } from '../logic/colours';
import { effectiveRange } from '../logic/effective';
import type { Span } from '../logic/range';
import { SERVICE, formatSelector, parseSelector, serviceOf, withService } from '../logic/selector';
import { insteadOf } from '../logic/profiletypes';
import { ofSpans } from '../logic/tracelink';
import { filtersOf, shapesOf } from '../logic/transforms';
import { withVisibleNames } from '../logic/top';
import { TreeWorker } from '../worker/client';
import type { Arrangement, Loaded } from '../worker/protocol';
import { NODES_INITIAL, WIDTH_INITIAL, local, maxNodes, othersMayLoad, picked, selector, service, span, state, update } from './explore';
import { unfolded } from './folding';
import { needRules, own, rules } from './viewer';
import { resource } from './resource';

const MINUTE = 60_000;
// Names of services, types and labels change slowly: ranges in whole minutes avoid most requests of a
// live page.
// A local file needs no requests.
const wholeMinutes = computed(() =>
  span.value === null || local.value !== null || state.value.capture !== ''
    ? null
    : {
        from: Math.floor(span.value.from / MINUTE) * MINUTE,
        until: Math.ceil(span.value.until / MINUTE) * MINUTE,
      },
);

export const keyOf = (query: object | null): string | null => (query === null ? null : JSON.stringify(query));
export const queryOf = (key: string): api.Query => JSON.parse(key) as api.Query;

const ofService = (name: string | null): string => (name === null ? '' : formatSelector(withService(name)));

export const services = resource(
  () => keyOf(othersMayLoad.value && wholeMinutes.value ? { name: SERVICE, ...wholeMinutes.value } : null),
  (key, signal) => api.labels(queryOf(key), signal),
);

export const types = resource(
  () =>
    keyOf(othersMayLoad.value && wholeMinutes.value ? { ...wholeMinutes.value, selector: ofService(service.value) } : null),
  (key, signal) => api.types(queryOf(key), signal),
);

export const labelResource = resource(
  () =>
    keyOf(
      othersMayLoad.value && wholeMinutes.value && service.value !== null && state.value.type !== ''
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

// A page without a service or type in its URL shows those that the server has chosen for the first flame graph. If that has
// failed, the page chooses them.
const hasBegun = signal(false);
const hasFailed = signal(false);
effect(() => {
  if (!hasBegun.value) return;
  const known = services.state.value.data;
  if (!known || known.length === 0 || state.value.matchers.length > 0 || state.value.invalidSelector !== '') return;
  update({ matchers: withService(known.includes('davy') ? 'davy' : known[0]) }, 'replace');
});
/** Set when the user chooses another service, which may lack the shown type. */
export const adaptType = signal(false);
/** The type that the chosen service lacks, if another is shown in its place. */
export const replacedType = signal<{ service: string; type: string } | null>(null);
effect(() => {
  if (!hasBegun.value) return;
  const { data: known, key, loading } = types.state.value;
  if (!known || known.length === 0 || loading || key === null) return;
  const { type } = state.value;
  if (type !== '' && !(adaptType.value && !known.includes(type))) {
    if (queryOf(key).selector === ofService(service.value)) adaptType.value = false;
    return;
  }
  if (type !== '' && queryOf(key).selector !== ofService(service.value)) return;
  adaptType.value = false;
  if (type !== '') replacedType.value = { service: service.value ?? '', type };
  update({ type: insteadOf(type, known) }, 'replace');
});
effect(() => {
  const at = replacedType.value;
  if (at !== null && (service.value !== at.service || state.value.type === at.type)) replacedType.value = null;
});

/** Whether the selector names a trace or a span but no service. A trace crosses services, so the graph is grouped by service. */
const isOfTrace = computed(() => service.value === null && ofSpans(state.value.matchers).length > 0);

/** The grouping that the server has chosen for a service. */
const chosen = signal<{ of: string | null; by: string[] } | null>(null);

/** The grouping labels; null until it is known whether the service has members. */
export const grouping = computed<string[] | null>(() => {
  if (state.value.by !== null) return state.value.by;
  if (chosen.value !== null && chosen.value.of === service.value) return chosen.value.by;
  if (isOfTrace.value) return [SERVICE];
  if (service.value === null && state.value.matchers.length > 0) return [];
  // The server chooses, with the flame graph.
  if (!hasFailed.value) return null;
  if (labelNames.value !== null) return labelNames.value.includes('member') ? ['member'] : [];
  return labelResource.state.value.problem !== null ? [] : null;
});

/** Whether the shown frames have groups: those of a local file have none. */
const hasGroups = computed(() => local.value === null && (grouping.value?.length ?? 0) > 0);
export const colouring = computed<ColourBy>(() => {
  const { colour } = state.value;
  return colour === null || (colour === 'group' && !hasGroups.value) ? (hasGroups.value ? 'group' : 'package') : colour;
});

/** The services that a selector without a single service matches. */
export const matchingResource = resource(
  () =>
    keyOf(
      wholeMinutes.value && service.value === null && state.value.matchers.length > 0 && !isOfTrace.value
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
const oneService = computed(() => service.value !== null || isOfTrace.value || (matchingServices.value !== null && matchingServices.value.length <= 1));
export const ready = computed(() => local.value === null && state.value.type !== '' && state.value.matchers.length > 0 && oneService.value);
export const by = computed(() => grouping.value?.join(',') ?? null);

/** The query of the flame graph, the table and the exports. */
export const graphQuery = computed<api.Query | null>(() =>
  ready.value && picked.value
    ? { type: state.value.type, selector: selector.value, from: picked.value.from, until: picked.value.until }
    : null,
);

const worker = new TreeWorker();
export const askWorker = worker.ask.bind(worker);

const isMine = computed(() => local.value === null && state.value.transforms.some(({ kind }) => kind === 'mine'));
effect(() => { if (isMine.value) needRules(); });
/** The pattern of the code that is kept, if only the service's own code is shown and a rule says which that is. */
export const ownNow = computed(() => (isMine.value ? own.value : null));

const arrangement = computed<Arrangement>(() => ({
  order: state.value.order,
  fold: state.value.fold,
  open: unfolded.value,
  shapes: shapesOf(state.value.transforms, ownNow.value),
  ...(local.value === null ? {} : { filters: filtersOf(state.value.transforms) }),
}));
export const arrangementNow = (): Arrangement => arrangement.peek();
const arrangementKey = computed(() => JSON.stringify(arrangement.value));

/** The filters of the flame graph, the table and the exports. */
const filters = computed(() => JSON.stringify(filtersOf(state.value.transforms, '', ownNow.value)));
const filtered = (query: api.Query): api.Query => ({ ...query, ...(JSON.parse(filters.value) as object) });

/** More frames are asked for explicitly, however narrow they are. */
const size = computed(() => ({ max_nodes: maxNodes.value, ...(maxNodes.value === NODES_INITIAL ? { width: WIDTH_INITIAL } : {}) }));

/** The flame graph of what the URL says, and of what the server chooses where it says nothing. */
const openQuery = computed<api.Query | null>(() => {
  const { type, matchers, invalidSelector, capture } = state.value;
  const isOpen = local.value === null && capture === '' && invalidSelector === '' && picked.value !== null;
  if (!isOpen || (matchers.length > 0 && !oneService.value)) return null;
  if (hasBegun.value && (type === '' || matchers.length === 0)) return null;
  const { from, until } = picked.value!;
  return { ...filtered({ type, selector: matchers.length === 0 ? '' : selector.value, from, until }), defaults: 'true' };
});

/** The last response to a query with defaults, by the key of the query that names them. */
let answered: { key: string; loaded: Loaded } | null = null;

export const flame = resource<Loaded>(
  () => {
    // What is requested depends on the rules.
    if (isMine.value && rules.value === null) return null;
    const query = graphQuery.value && by.value !== null ? { ...filtered(graphQuery.value), by: by.value } : openQuery.value;
    return keyOf(query && { ...query, ...size.value });
  },
  async (key, signal) => {
    if (answered?.key === key) return answered.loaded;
    answered = null;
    const query = queryOf(key);
    try {
      const buffer = await api.flamegraph(query, signal);
      const loaded = await worker.ask({ kind: 'load', buffer, as: arrangement.peek() });
      if (query.defaults && !signal.aborted) take(loaded, query);
      return loaded;
    } catch (error) {
      if (query.defaults && !signal.aborted) hasFailed.value = true;
      throw error;
    } finally {
      if (!signal.aborted) hasBegun.value = true;
    }
  },
);

/** Shows what the server has chosen. */
function take(loaded: Loaded, { defaults: _, max_nodes, width, ...query }: api.Query): void {
  const { type, by: names, selector: text } = loaded.meta;
  const parsed = parseSelector(text);
  if (!parsed.ok || parsed.matchers.length === 0) return;
  answered = { key: keyOf({ ...query, type, selector: formatSelector(parsed.matchers), by: names.join(','), max_nodes, width })!, loaded };
  batch(() => {
    hasBegun.value = true;
    hasFailed.value = false;
    chosen.value = { of: serviceOf(parsed.matchers), by: names };
    update({ type, matchers: parsed.matchers }, 'replace');
  });
}

/** The query of the callers and callees of a function. */
export const aroundQuery = computed<api.Query | null>(() =>
  graphQuery.value && by.value !== null ? { ...filtered(graphQuery.value), by: by.value, max_nodes: NODES_INITIAL, width: WIDTH_INITIAL } : null,
);

/** Whether the table attributes frames of allocators to their callers. */
export const attributes = computed(() => hasAllocators(state.value.type) && !state.value.allocators);

/** The number of functions requested for the table: those with the largest self values. */
export const TABLE_ROWS = 5_000;
export const topQuery = computed<api.Query | null>(() =>
  graphQuery.value && {
    ...graphQuery.value, limit: TABLE_ROWS, ...filtersOf(state.value.transforms, attributes.value ? ALLOCATORS : '', ownNow.value),
    // The server has the frames that are not drawn.
    ...(ownNow.value === null ? {} : { show: ownNow.value }),
  },
);
export const top = resource(
  () => keyOf(state.value.view !== 'flame' && state.value.view !== 'tree' && !(isMine.value && rules.value === null) ? topQuery.value : null),
  async (key, signal) => withVisibleNames(await api.top(queryOf(key), signal)),
);

/** The shown tree, in the current arrangement. */
export const shown = signal<Loaded | null>(null);
export const viewerProblem = signal<Problem | null>(null);
let arranged = arrangementKey.peek();
effect(() => {
  const loaded = flame.state.value.data;
  if (loaded !== null && local.peek() === null) shown.value = loaded;
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

/** The range that the shown flame graph counts, if it is wider than the one that was asked for. */
export const effective = computed<Span | null>(() => {
  const meta = shown.value?.meta;
  return meta === undefined || picked.value === null ? null : effectiveRange(meta, picked.value);
});

/** The query of links to other forms of the flame graph: its range is the one that is counted. */
export const linkQuery = computed<api.Query | null>(() =>
  graphQuery.value === null ? null : { ...filtered(graphQuery.value), ...effective.value },
);
