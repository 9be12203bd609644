// What of the fleet is on show, and in which order.

import { computed, effect, signal } from '@preact/signals';
import { type Shown, fromAddress, toAddress } from '../logic/members/address';
import { sum } from '../logic/members/usage';
import { TRENDS, type Trend } from '../logic/members/history';
import { everyLine, lines } from '../logic/members/lines';
import { filtered, held, largest, placed, placesOf, sorted } from '../logic/members/order';
import { endpoints, history, members, serverNow } from './fleet';
import { form } from './toggling';

export const shown = signal<Shown>(fromAddress(location.search));

/** A step can be gone back from; typing changes the address in place. */
export function show(patch: Partial<Shown>, kind: 'step' | 'tweak' = 'step'): void {
  const next = { ...shown.peek(), ...patch };
  shown.value = next;
  const target = toAddress(next) || location.pathname;
  if (target === (location.search || location.pathname)) return;
  if (kind === 'step') history_.pushState(null, '', target);
  else history_.replaceState(null, '', target);
}
const history_ = window.history;
addEventListener('popstate', () => { shown.value = fromAddress(location.search); });

export function toggle(key: string): void {
  const { open } = shown.peek();
  show({ open: open.includes(key) ? open.filter((k) => k !== key) : [...open, key] }, 'tweak');
}

/** Whether somebody is in the table, by pointer or by keyboard. */
export const inside = signal(false);
export const holding = computed(() => inside.value || form.value !== null);

/** What the sparklines show: the column sorted by, where it has a course. */
export const trend = computed<Trend>(() => {
  const { sort } = shown.value;
  return (TRENDS as readonly string[]).includes(sort) ? (sort as Trend) : 'heap';
});

const tree = computed(() => lines(members.value ?? [], endpoints.value, shown.value.by));
export const most = computed(() => largest(everyLine(tree.value)));
export const total = computed(() => sum(members.value ?? []));

const kept = computed(() => filtered(tree.value, shown.value.filter));
let places = new Map<string, number>();
let placesOfOrder = '';
const ordered = computed(() => {
  const { by, sort, descending } = shown.value;
  const order = { sort, descending, now: serverNow.peek(), history, trend: trend.value };
  const name = `${by} ${sort} ${descending}`;
  return holding.value && name === placesOfOrder ? held(kept.value.tree, places) : sorted(kept.value.tree, order);
});
effect(() => {
  const { by, sort, descending } = shown.value;
  placesOfOrder = `${by} ${sort} ${descending}`;
  places = placesOf(ordered.value);
});

const all = computed(() => placed(ordered.value, new Set([...shown.value.open, ...kept.value.open])));
/** So many lines at first: drawing a thousand anew every other second keeps a machine busy. */
const LINES = 250;
export const wanted = signal(LINES);
export const onShow = computed(() => all.value.slice(0, wanted.value));
export const below = computed(() => all.value.length - onShow.value.length);
export function showMore(): void {
  wanted.value *= 4;
}
export const hidden = computed(() => tree.value.length - kept.value.tree.length);
