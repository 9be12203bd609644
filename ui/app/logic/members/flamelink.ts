// The address of Explore for a line's flame graph.

import { SERVICE, type Matcher } from '../selector';
import { DEFAULTS, toUrl } from '../urlstate';

export type Profile = 'cpu' | 'heap';

const TYPES: Record<Profile, string> = {
  cpu: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
  heap: 'memory:inuse_space:bytes:space:bytes',
};
/** An incident is about now: an hour's average would hide what began five minutes ago. */
const FROM = 'now-15m';

export interface About {
  member?: string;
  op?: string;
  process?: string;
}

/** A process is grouped by its members, a member by its operations, an operation not at all. */
export function flameAddress(service: string, about: About, profile: Profile): string {
  const matchers: Matcher[] = [{ name: SERVICE, op: '=', value: service }];
  for (const name of ['process', 'member', 'op'] as const) {
    const value = about[name];
    // A sample without a tag has no such label at all, which the empty value stands for.
    if (value !== undefined) matchers.push({ name, op: '=', value: value === '(untagged)' ? '' : value });
  }
  const by = about.op !== undefined ? [] : about.member !== undefined ? ['op'] : ['member'];
  return `./${toUrl({ ...DEFAULTS, type: TYPES[profile], matchers, by, range: { from: FROM, until: 'now' } })}`;
}
