// What the view of callers and callees shows beside them: the function's own timeline, and its source lines.

import { computed, effect, signal } from '@preact/signals';
import * as api from '../api/query';
import { problemOf, problemText } from '../api/problem';
import { finestFor, widthFor } from '../logic/buckets';
import { aggregationOf } from '../logic/decode';
import { rateScale } from '../logic/rates';
import { exactly } from '../logic/search';
import type { SourceFacts } from '../logic/sourcelines';
import { shape } from '../logic/timeline';
import { filtersOf } from '../logic/transforms';
import type { LinesReply, LinesRequest } from '../worker/lines.worker';
import { selector, span, state } from './explore';
import { graphQuery, grouping, labelNames, keyOf, queryOf, ready } from './queries';
import { resource } from './resource';
import { sandwich } from './transforms';
import { needRules } from './viewer';

const name = computed(() => (state.value.view === 'sandwich' ? (sandwich.value?.laid?.name ?? null) : null));

/** Member and operation, where the service has them; otherwise as the flame graph is grouped. */
const groups = computed(() => {
  const known = labelNames.value?.filter((label) => label === 'member' || label === 'op').sort() ?? [];
  return known.length > 0 ? known : (grouping.value ?? []);
});

/** Lines of the timeline; the last sums up the smaller ones. */
const LINES = 6;

const history = resource(
  () => {
    if (name.value === null || !ready.value || span.value === null || labelNames.value === null) return null;
    const width = widthFor(span.value.until - span.value.from, 120);
    const step = width * 1000;
    return JSON.stringify({
      width: step,
      query: {
        type: state.value.type, selector: selector.value, from: Math.floor(span.value.from / step) * step, until: span.value.until,
        step: finestFor(width), by: groups.value.join(','), focus: exactly(name.value),
      } satisfies api.Query,
    });
  },
  (key, abort) => api.series((JSON.parse(key) as { query: api.Query }).query, abort),
);

/** The timeline of the stacks with the function; null until it is known. */
export const ownTimeline = computed(() => {
  const { data, key, problem } = history.state.value;
  if (problem !== null) return { problem: problemText(problem) };
  if (data === null || key === null || name.value === null) return null;
  const { width, query } = JSON.parse(key) as { width: number; query: api.Query };
  if (query.focus !== exactly(name.value)) return null;
  const by = (query.by ?? '').split(',').filter(Boolean);
  const combined = aggregationOf(data.aggregation);
  return { ...shape(data, by, true, combined, width, LINES), by, averaged: combined === 'average', unit: data.unit, scale: rateScale(data.type, data.unit, combined), range: { from: query.from, until: query.until } };
});

/** The profile of a function that is called by everything can be as large as that of the service. */
const BYTES_MAX = 24 * 1024 * 1024;

/** Null while nothing is requested. */
export const source = signal<{ facts: SourceFacts | null; problem: string } | null>(null);

/** The profile with the lines of the function, and the filter that the server does not apply together with it. */
const sourceQuery = computed(() => {
  if (name.value === null || !state.value.lines || graphQuery.value === null) return null;
  const { focus, ignore } = filtersOf(state.value.transforms);
  return keyOf({ query: { ...graphQuery.value, by: 'version', focus: exactly(name.value), ...(ignore === undefined ? {} : { ignore }) }, name: name.value, focus: focus ?? null });
});

effect(() => {
  const key = sourceQuery.value;
  source.value = null;
  if (key === null) return;
  needRules();
  const control = new AbortController();
  let worker: Worker | null = null;
  const end = (facts: SourceFacts | null, problem = ''): void => {
    worker?.terminate();
    if (!control.signal.aborted) source.value = { facts, problem };
  };
  const { query, name: of, focus } = queryOf(key) as unknown as { query: api.Query } & Omit<LinesRequest, 'buffer'>;
  api.pprof(query, control.signal, BYTES_MAX).then(
    (buffer) => {
      if (control.signal.aborted) return;
      worker = new Worker(new URL('../worker/lines.worker.ts', import.meta.url), { type: 'module' });
      worker.onmessage = ({ data }: MessageEvent<LinesReply>) => { if ('facts' in data) end(data.facts); else end(null, `The profile could not be read: ${data.error}.`); };
      worker.onerror = () => end(null, 'The part of the page that reads profiles could not be loaded. Reload the page.');
      worker.postMessage({ buffer, name: of, focus } satisfies LinesRequest, [buffer]);
    },
    (error) => end(null, problemText(problemOf(error))),
  );
  return () => {
    worker?.terminate();
    control.abort();
  };
});
