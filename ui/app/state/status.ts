// The page's requests taken together: which fail, what is missing, whether any is in progress.

import { computed } from '@preact/signals';
import { flame, labelResource, matchingResource, services, shown, top, types } from './queries';
import { state } from './explore';
import type { Resource } from './resource';
import { series } from './timeline';

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
