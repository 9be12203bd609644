// Links from a line to its flame graph in Explore.

import { UNTAGGED } from '../names';
import { SERVICE, type Matcher } from '../selector';
import { DEFAULTS, toUrl } from '../urlstate';

export type Profile = 'cpu' | 'heap';

const TYPES: Record<Profile, string> = {
  cpu: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
  heap: 'memory:inuse_space:bytes:space:bytes',
};
/** Short, since an incident is happening now: an average over an hour would hide what started minutes ago. */
const FROM = 'now-15m';

export interface About {
  member?: string;
  op?: string;
  process?: string;
}

/** Groups a process by member and a member by operation; an operation is not grouped. */
export function flameUrl(service: string, about: About, profile: Profile): string {
  const matchers: Matcher[] = [{ name: SERVICE, op: '=', value: service }];
  for (const name of ['process', 'member', 'op'] as const) {
    const value = about[name];
    // Untagged samples do not have the label, which the empty value matches.
    if (value !== undefined) matchers.push({ name, op: '=', value: value === UNTAGGED ? '' : value });
  }
  const by = about.op !== undefined ? [] : about.member !== undefined ? ['op'] : ['member'];
  return `./explore${toUrl({ ...DEFAULTS, type: TYPES[profile], matchers, by, range: { from: FROM, until: 'now' } })}`;
}
