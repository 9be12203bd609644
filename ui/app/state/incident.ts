// What changed, requested every half minute while the page is visible and its range ends now.

import { effect, signal } from '@preact/signals';
import { members as requestMembers } from '../api/control';
import { begunLink, changes } from '../api/query';
import { formatSelector, SERVICE } from '../logic/selector';
import { type IncidentState, fromIncidentUrl, groupedBy, toIncidentUrl } from '../logic/incident/urlstate';
import { resource } from './resource';

export const REFRESH_MS = 30_000;
/** Enough for every group of a large fleet in six measures. */
const LIMIT = 2_000;

export const state = signal<IncidentState>(fromIncidentUrl(location.search));
/** The time of the request that the document has begun, or that of the browser. */
const now = signal(Number(begunLink()?.href.match(/until=(\d+)/)?.[1] ?? Date.now()));
const visible = signal(document.visibilityState === 'visible');

export function show(patch: Partial<IncidentState>, mode: 'push' | 'replace' = 'push'): void {
  const next = { ...state.peek(), ...patch };
  state.value = next;
  const target = toIncidentUrl(next) || location.pathname;
  if (target === (location.search || location.pathname)) return;
  if (mode === 'push') history.pushState(null, '', target);
  else history.replaceState(null, '', target);
}
addEventListener('popstate', () => { state.value = fromIncidentUrl(location.search); });

const keyOf = ({ against, by, service, minutes, until }: IncidentState, at: number): string =>
  JSON.stringify([against, by, service, minutes, until ?? at]);

export const answer = resource(
  () => keyOf(state.value, now.value),
  (_, signal) => {
    const { against, by, service, minutes, until } = state.peek();
    const end = until ?? now.peek();
    return changes(
      {
        from: end - minutes * 60_000, until: end, by: groupedBy(by), limit: LIMIT,
        ...(against === null ? {} : { against }),
        ...(service === '' ? {} : { selector: formatSelector([{ name: SERVICE, op: '=', value: service }]) }),
      },
      signal,
    );
  },
);

export function refresh(): void {
  now.value = Date.now();
  answer.retry();
}

/** The names of the members of this Davy, which can be toggled; empty until they are known. */
export const ownMembers = signal<ReadonlySet<string>>(new Set());
requestMembers().then(({ data }) => { ownMembers.value = new Set(data.map(({ name }) => name)); }, () => {});

document.addEventListener('visibilitychange', () => {
  visible.value = document.visibilityState === 'visible';
});
effect(() => {
  if (!visible.value || state.value.until !== null) return;
  const timer = setInterval(() => { now.value = Date.now(); }, REFRESH_MS);
  return () => clearInterval(timer);
});
