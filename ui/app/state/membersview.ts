// The view of the fleet: which lines are shown, and in which order.

import { computed, effect, signal } from '@preact/signals';
import { TRENDS, type Trend } from '../logic/members/history';
import { everyLine, lines } from '../logic/members/lines';
import { filtered, inPositions, positionsOf, scalesOf, sorted, visibleLines } from '../logic/members/order';
import { type MembersView, membersFromUrl, membersToUrl } from '../logic/members/urlstate';
import { sum } from '../logic/members/usage';
import { endpoints, history as usageHistory, members, serverNow } from './fleet';
import { form } from './toggleform';

export const view = signal<MembersView>(membersFromUrl(location.search));

/** `push` adds an entry to the browser's history; `replace`, used while typing, does not. */
export function show(patch: Partial<MembersView>, mode: 'push' | 'replace' = 'push'): void {
  const next = { ...view.peek(), ...patch };
  view.value = next;
  const target = membersToUrl(next) || location.pathname;
  if (target === (location.search || location.pathname)) return;
  if (mode === 'push') history.pushState(null, '', target);
  else history.replaceState(null, '', target);
}
addEventListener('popstate', () => { view.value = membersFromUrl(location.search); });

export function openOrClose(key: string): void {
  const { open } = view.peek();
  show({ open: open.includes(key) ? open.filter((k) => k !== key) : [...open, key] }, 'replace');
}

/** Whether the pointer or the keyboard focus is in the table. */
export const inside = signal(false);
/** Whether lines keep their positions: while the user is in the table or in a form. */
export const holding = computed(() => inside.value || form.value !== null);

/** The column that sparklines show: the sort column if it has a history, otherwise the heap. */
export const trend = computed<Trend>(() => {
  const { sort } = view.value;
  return (TRENDS as readonly string[]).includes(sort) ? (sort as Trend) : 'heap';
});

const tree = computed(() => lines(members.value ?? [], endpoints.value, view.value.by));
export const scales = computed(() => scalesOf(everyLine(tree.value)));
export const total = computed(() => sum(members.value ?? []));

const kept = computed(() => filtered(tree.value, view.value.filter));
let positions = new Map<string, number>();
let positionsFor = '';
const ordered = computed(() => {
  const { by, sort, descending } = view.value;
  const order = { sort, descending, now: serverNow.peek(), history: usageHistory, trend: trend.value };
  const key = `${by} ${sort} ${descending}`;
  return holding.value && key === positionsFor ? inPositions(kept.value.tree, positions) : sorted(kept.value.tree, order);
});
effect(() => {
  const { by, sort, descending } = view.value;
  positionsFor = `${by} ${sort} ${descending}`;
  positions = positionsOf(ordered.value);
});

const all = computed(() => visibleLines(ordered.value, new Set([...view.value.open, ...kept.value.open])));
/** Drawing a thousand lines every two seconds would keep the browser busy. */
const LINES_INITIAL = 250;
const linesMax = signal(LINES_INITIAL);
export const drawnLines = computed(() => all.value.slice(0, linesMax.value));
export const notDrawn = computed(() => all.value.length - drawnLines.value.length);
export function showMore(): void {
  linesMax.value *= 4;
}
export const hidden = computed(() => tree.value.length - kept.value.tree.length);
