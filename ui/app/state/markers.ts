// Marks of the fleet's own events on the timeline, for the profiles of this Davy.

import { computed } from '@preact/signals';
import { audit, processes } from '../api/control';
import { groupsOf, marksOf } from '../logic/markers';
import { service, span } from './explore';
import { resource } from './resource';

const CHANGES = 200;
const MINUTE = 60_000;

/** Profiles of other services have nothing to do with this fleet's processes. */
const OWN = 'davy';

const events = resource(
  () => (service.value === OWN && span.value !== null ? String(Math.floor(span.value.until / MINUTE)) : null),
  async () => {
    const [started, changes] = await Promise.all([processes(), audit(CHANGES)]);
    return { started: started.data, changes: changes.data };
  },
);

/** Without an answer there are no marks: they are not needed for anything. */
export const marks = computed(() => {
  const { data } = events.state.value;
  if (data === null || span.value === null || service.value !== OWN) return [];
  return groupsOf(marksOf(data.started, data.changes, span.value), span.value);
});
