// The state of the fleet, refreshed periodically while the page is visible.

import { type Signal, batch, computed, effect, signal } from '@preact/signals';
import * as api from '../api/control';
import { type Problem, problemOf } from '../api/problem';
import type { AuditRow, EndpointRow, Health, MemberRow } from '../api/types';
import { History, type Sample, TRENDS } from '../logic/members/history';
import { everyLine, lines } from '../logic/members/lines';
import { NO_USAGE, usageColumn } from '../logic/members/usage';

export const REFRESH_MS = 2_000;
const CHANGES_SHOWN = 20;
/** The audit log is requested at every fourth refresh: it changes rarely. */
const AUDIT_EVERY = 4;

export const members = signal<MemberRow[] | null>(null);
export const endpoints = signal<EndpointRow[]>([]);
export const changes = signal<AuditRow[] | null>(null);
export const health = signal<Health | null>(null);

/** When the members were last received, by this page's clock; 0 before the first response. */
export const seenAt = signal(0);
export const visible = signal(document.visibilityState === 'visible');
/** This page's clock in steps of a second, for the age of the data. */
export const clock = signal(Date.now());
const skew = signal(0);
/** When the members were last received, by the server's clock, which dates everything in the responses. */
export const serverNow = computed(() => seenAt.value + skew.value);

/** Addresses of the debug ports, which accept toggles while the rest of Davy is unavailable. */
export const debugListeners = computed(() => [...new Set((members.value ?? []).map((row) => row.debug).filter(Boolean))]);

export type Part = 'members' | 'endpoints' | 'changes' | 'health';
export const problems = signal<Partial<Record<Part, Problem>>>({});
/** The failure of the last request for members; null if it succeeded. */
export const lost = computed(() => problems.value.members ?? null);

export const history = new History();

async function part<T>(name: Part, fetch: () => Promise<T>, receive: (answer: T) => void): Promise<void> {
  try {
    receive(await fetch());
    if (problems.peek()[name]) {
      const { [name]: solved, ...rest } = problems.peek();
      void solved;
      problems.value = rest;
    }
  } catch (error) {
    problems.value = { ...problems.peek(), [name]: problemOf(error) };
  }
}

/** Sets a changed value only, so that an identical response does not redraw a table of a thousand lines. */
function setChanged<T>(into: Signal<T>, answer: T): void {
  if (JSON.stringify(into.peek()) !== JSON.stringify(answer)) into.value = answer;
}

function addHistory(rows: MemberRow[], at: number): void {
  const samples: [string, Sample][] = [];
  for (const by of ['member', 'process'] as const) {
    for (const { key, usage } of everyLine(lines(rows, [], by))) {
      samples.push([key, Object.fromEntries(TRENDS.map((t) => [t, usageColumn(t).of(usage)])) as Sample]);
    }
  }
  history.add(at, samples);
}

/** The usage of an endpoint is in its member's row; without it the response rarely changes. */
const withoutUsage = (row: EndpointRow): EndpointRow => ({ ...row, ...NO_USAGE });

let refreshes = 0;
async function fetchAll(): Promise<void> {
  const withAudit = refreshes++ % AUDIT_EVERY === 0 || soon > 0 || lost.peek() !== null;
  await Promise.all([
    part('members', api.members, ({ data, at }) => {
      const now = Date.now();
      addHistory(data, now);
      batch(() => {
        // The server's date has whole seconds: half a second is the best estimate of the rest.
        if (Math.abs(at + 500 - now - skew.peek()) > 1_500) skew.value = at + 500 - now;
        clock.value = now;
        seenAt.value = now;
        members.value = data;
      });
    }),
    part('endpoints', api.endpoints, ({ data }) => setChanged(endpoints, data.map(withoutUsage))),
    part('health', api.health, (answer) => setChanged(health, answer)),
    ...(withAudit ? [part('changes', () => api.audit(CHANGES_SHOWN), ({ data }) => setChanged(changes, data))] : []),
  ]);
}

let soon = 0;
let timer: number | undefined;
let fetching = false;
async function refresh(): Promise<void> {
  if (fetching) return;
  fetching = true;
  clearTimeout(timer);
  await fetchAll();
  fetching = false;
  if (!visible.peek()) return;
  const wait = soon > 0 ? 250 : REFRESH_MS;
  if (soon > 0) soon--;
  timer = window.setTimeout(() => void refresh(), wait);
}

/** Refreshes now and a few more times soon: every process applies a change within a second. */
export function refreshSoon(): void {
  soon = 5;
  clearTimeout(timer);
  void refresh();
}

document.addEventListener('visibilitychange', () => {
  visible.value = document.visibilityState === 'visible';
});
effect(() => {
  if (!visible.value) return;
  clock.value = Date.now();
  void refresh();
  const ticking = setInterval(() => { clock.value = Date.now(); }, 1_000);
  return () => {
    clearInterval(ticking);
    clearTimeout(timer);
  };
});

/** The service name of the fleet's own profiles, for links to flame graphs. */
export const service = signal('davy');
/** Resolves when the service name is known, or cannot be. */
export const serviceKnown = fetch(new URL('api/v1/profiles/labels?name=service_name&from=now-1h&selector=%7Bmember%3D~%22.%2B%22%7D', new URL('.', document.baseURI)))
  .then((response) => (response.ok ? (response.json() as Promise<string[]>) : []))
  .then(
    (known) => { if (known.length > 0 && !known.includes('davy')) service.value = known[0]; },
    () => { /* Keep the default name. */ },
  );
