// The series of the timeline, and the hues of what it and the flame graph show.

import { computed, effect } from '@preact/signals';
import * as api from '../api/query';
import { finestFor, widthFor } from '../logic/buckets';
import { type Hues, assignHues, groupsOf } from '../logic/colours';
import { type Aggregation, aggregationOf } from '../logic/decode';
import { UNTAGGED, visible } from '../logic/names';
import { DEFAULT_RANGE, FRESH_RANGE, isFresh } from '../logic/range';
import { rateScale } from '../logic/rates';
import { shape } from '../logic/timeline';
import { othersMayLoad, selector, span, state, update } from './explore';
import { by, ready, shown } from './queries';
import { resource } from './resource';

/** The query, and the width of the time buckets in ms. */
interface SeriesKey {
  query: api.Query;
  width: number;
}

const aligned = (t: number, step: number): number => Math.floor(t / step) * step;

export const series = resource(
  () => {
    if (!othersMayLoad.value || !ready.value || span.value === null || by.value === null) return null;
    const width = widthFor(span.value.until - span.value.from);
    const query = {
      type: state.value.type,
      selector: selector.value,
      // Starts with a whole time bucket: a partial one would look like a drop.
      from: aligned(span.value.from, width * 1000),
      until: span.value.until,
      step: finestFor(width),
      by: by.value,
    };
    return JSON.stringify({ query, width: width * 1000 } satisfies SeriesKey);
  },
  (key, signal) => api.series((JSON.parse(key) as SeriesKey).query, signal),
);

// An hour with data in its last minutes only would be a narrow strip at the right edge.
effect(() => {
  const { data, loading } = series.state.value;
  if (data === null || loading || state.value.range !== DEFAULT_RANGE || state.value.pick !== null) return;
  if (isFresh(data.series, data.until)) update({ range: FRESH_RANGE }, 'replace');
});

export const shaped = computed(() => {
  const { data: answer, key } = series.state.value;
  if (answer === null || key === null) return null;
  // The grouping of the response, which may differ from the current one.
  const { query, width } = JSON.parse(key) as SeriesKey;
  const grouped = (query.by ?? '').split(',').filter(Boolean);
  const combined = aggregationOf(answer.aggregation);
  const result = shape(answer, grouped, state.value.plot !== 'lines', combined, width);
  return { ...result, grouped, unit: answer.unit, averaged: combined === 'average', scale: rateScale(answer.type, answer.unit, combined) };
});

/** How the windows of the shown type are combined; null if the server does not say. */
export const aggregation = computed<Aggregation | null>(() => {
  const answer = series.state.value.data;
  const meta = shown.value?.meta;
  return aggregationOf(answer?.aggregation) ?? (meta?.type === state.value.type ? meta.aggregation : null);
});

/** The hues of the values of the first grouping label: the same in the timeline, its legend and the flame graph. */
export const hues = computed<Hues>(() => {
  const label = by.value?.split(',')[0] ?? '';
  const answer = series.state.value.data;
  const inSeries = label === '' || answer === null ? [] : answer.series.map((s) => visible(s.labels[label] || UNTAGGED));
  const tree = shown.value;
  const inTree = tree === null || tree.meta.by[0] !== label ? [] : groupsOf(tree.tree, tree.frames);
  return assignHues([...inSeries, ...inTree]);
});
