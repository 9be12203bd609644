// What the fleet says of itself, asked again and again while somebody looks.

import { type Signal, batch, computed, effect, signal } from '@preact/signals';
import * as api from '../api/control';
import { type Problem, problemOf } from '../api/problem';
import { everyLine, lines } from '../logic/members/lines';
import { History, type Sample, TRENDS } from '../logic/members/history';
import { NOTHING, figure } from '../logic/members/usage';

export const EVERY_MS = 2_000;
const CHANGES_SHOWN = 20;
/** What nobody waits for is asked for at every so many looks. */
const SELDOM = 4;

export const members = signal<api.MemberRow[] | null>(null);
export const endpoints = signal<api.EndpointRow[]>([]);
export const changes = signal<api.AuditRow[] | null>(null);
export const health = signal<api.Health | null>(null);

/** When what is shown was true, by this page's clock; 0 before anything came. */
export const seenAt = signal(0);
export const visible = signal(document.visibilityState === 'visible');
/** This page's clock, in steps of a second: how old it all is, is told by it. */
export const clock = signal(Date.now());
const skew = signal(0);
/** When what is shown was true, by the server's clock, by which everything in it is dated. */
export const serverNow = computed(() => seenAt.value + skew.value);

/** Debug ports, which take toggles while everything else is gone. */
export const doors = computed(() => [...new Set((members.value ?? []).map((row) => row.debug).filter(Boolean))]);

export type Part = 'members' | 'endpoints' | 'changes' | 'health';
export const problems = signal<Partial<Record<Part, Problem>>>({});
/** What is shown is from before: the members were asked for and did not come. */
export const lost = computed(() => problems.value.members ?? null);

export const history = new History();

async function part<T>(name: Part, ask: () => Promise<T>, take: (answer: T) => void): Promise<void> {
  try {
    const answer = await ask();
    take(answer);
    if (problems.peek()[name]) {
      const { [name]: gone, ...rest } = problems.peek();
      void gone;
      problems.value = rest;
    }
  } catch (error) {
    problems.value = { ...problems.peek(), [name]: problemOf(error) };
  }
}

/** Takes what is new: a table of a thousand lines is not drawn again for the same answer. */
function renew<T>(into: Signal<T>, answer: T): void {
  if (JSON.stringify(into.peek()) !== JSON.stringify(answer)) into.value = answer;
}

function remember(rows: api.MemberRow[], at: number): void {
  const samples: [string, Sample][] = [];
  for (const by of ['member', 'process'] as const) {
    for (const { key, usage } of everyLine(lines(rows, [], by))) {
      samples.push([key, Object.fromEntries(TRENDS.map((t) => [t, figure(t).of(usage)])) as Sample]);
    }
  }
  history.add(at, samples);
}

/** The usage of an endpoint is in its member's row. */
const quiet = (row: api.EndpointRow): api.EndpointRow => ({ ...row, ...NOTHING });

let looks = 0;
async function look(): Promise<void> {
  const seldom = looks++ % SELDOM === 0 || hurry > 0 || lost.peek() !== null;
  await Promise.all([
    part('members', api.members, ({ data, at }) => {
      const now = Date.now();
      remember(data, now);
      batch(() => {
        // The server tells whole seconds: half of one is the best guess, and less is no difference.
        if (Math.abs(at + 500 - now - skew.peek()) > 1_500) skew.value = at + 500 - now;
        clock.value = now;
        seenAt.value = now;
        members.value = data;
      });
    }),
    part('endpoints', api.endpoints, ({ data }) => renew(endpoints, data.map(quiet))),
    part('health', api.health, (answer) => renew(health, answer)),
    ...(seldom ? [part('changes', () => api.audit(CHANGES_SHOWN), ({ data }) => renew(changes, data))] : []),
  ]);
}

let hurry = 0;
let timer: number | undefined;
let looking = false;
async function round(): Promise<void> {
  if (looking) return;
  looking = true;
  clearTimeout(timer);
  await look();
  looking = false;
  if (!visible.peek()) return;
  const wait = hurry > 0 ? 250 : EVERY_MS;
  if (hurry > 0) hurry--;
  timer = window.setTimeout(() => void round(), wait);
}

/** After a change: looks at once, and some more times soon, until every process has obeyed. */
export function lookSoon(): void {
  hurry = 5;
  clearTimeout(timer);
  void round();
}

document.addEventListener('visibilitychange', () => {
  visible.value = document.visibilityState === 'visible';
});
effect(() => {
  if (!visible.value) return;
  clock.value = Date.now();
  void round();
  const ticking = setInterval(() => { clock.value = Date.now(); }, 1_000);
  return () => {
    clearInterval(ticking);
    clearTimeout(timer);
  };
});

/** The service that the fleet's own profiles carry: where a flame graph of it is looked for. */
export const service = signal('davy');
fetch(new URL('api/v1/profiles/labels?name=service_name&from=now-1h&selector=%7Bmember%3D~%22.%2B%22%7D', new URL('.', document.baseURI)))
  .then((response) => (response.ok ? (response.json() as Promise<string[]>) : []))
  .then(
    (known) => { if (known.length > 0 && !known.includes('davy')) service.value = known[0]; },
    () => { /* The usual name stays. */ },
  );
