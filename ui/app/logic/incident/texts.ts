// What changed, in words, and links to why.

import type { Base, ChangeKind, ChangesAnswer, ChangesMeasure, MeasureName, UsageChange } from '../../api/types';
import { COMPARE_DEFAULTS, toCompareUrl } from '../compare/urlstate';
import { formatPercent, formatSeconds, formatValue } from '../format';
import { formatCores, formatRate } from '../members/usage';
import { absolute } from '../range';
import { type Matcher, SERVICE, formatSelector, parseSelector, serviceOf } from '../selector';
import { millis } from '../units';
import { DEFAULTS, toUrl } from '../urlstate';

export const MEASURE_LABELS: Record<MeasureName, string> = { cpu: 'CPU', heap: 'Heap', allocations: 'Alloc/s', requests: 'Req/s', errors: 'Errors/s', p99: 'p99' };
export const MEASURE_TITLES: Record<MeasureName, string> = {
  cpu: 'CPU time per second; 100% is one core',
  heap: 'Live heap, the average of the range',
  allocations: 'Bytes allocated per second',
  requests: 'Requests answered per second',
  errors: 'Responses with a status of 5xx per second',
  p99: '99th percentile of the duration of requests',
};
export const BASE_LABELS: Record<Base, string> = { hour: 'an hour ago', day: 'yesterday', week: 'a week ago' };
export const KIND_SIGNS: Record<ChangeKind, string> = { grew: '▲', shrank: '▼', new: '+', gone: '×', same: '=', unknown: '?' };
export const UNTAGGED_LABEL = '(untagged)';

export function formatMeasure(measure: MeasureName, value: number): string {
  switch (measure) {
    case 'cpu':
      return formatCores(value);
    case 'heap':
    case 'allocations':
      return formatValue(value, 'bytes');
    case 'requests':
    case 'errors':
      return formatRate(value);
    case 'p99':
      return formatSeconds(value);
  }
}

/** `+1.20 GiB`; a change that rounds to nothing has no sign. */
export function formatDelta(measure: MeasureName, delta: number): string {
  const size = formatMeasure(measure, Math.abs(delta));
  return delta === 0 ? size : `${delta > 0 ? '+' : '−'}${size}`;
}

/** `+12%`, `3.2 times`; empty without a value before. */
export function formatFactor(now: number, before: number): string {
  if (!(before > 0) || !(now > 0)) return '';
  const factor = now / before;
  if (factor >= 3) return `${factor >= 100 ? Math.round(factor) : factor.toFixed(1)} times`;
  return `${factor >= 1 ? '+' : '−'}${formatPercent(Math.abs(factor - 1) * 100)}`;
}

/** The name of a group: its operation and its member, or its service if there is no member. */
export function nameOf(labels: Record<string, string>, services: number): { name: string; of: string } {
  const { service_name: service = '', member = '', op = '' } = labels;
  const of = [services > 1 ? service : '', op !== '' ? member : ''].filter(Boolean).join(' · ');
  return { name: op || member || UNTAGGED_LABEL, of };
}

export interface Row {
  key: string;
  change: UsageChange;
  name: string;
  /** What it belongs to: the member of an operation, the service of a member. */
  of: string;
}

/** The rows that match, and how many did not change. */
export function rowsOf(answer: ChangesAnswer, { measure, filter, all }: { measure: MeasureName | null; filter: string; all: boolean }): { rows: Row[]; same: number } {
  const services = new Set(answer.changes.map(({ labels }) => labels['service_name'])).size;
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  let same = 0;
  const rows: Row[] = [];
  for (const change of answer.changes) {
    if (measure !== null && change.measure !== measure) continue;
    const text = `${Object.values(change.labels).join(' ')} ${MEASURE_LABELS[change.measure]} ${change.kind}`.toLowerCase();
    if (!words.every((word) => text.includes(word))) continue;
    if (change.kind === 'same' && !all) {
      same++;
      continue;
    }
    rows.push({ key: `${Object.values(change.labels).join('\0')}\0${change.measure}`, change, ...nameOf(change.labels, services) });
  }
  return { rows, same };
}

const matchersOf = (labels: Record<string, string>): Matcher[] =>
  Object.entries(labels).map(([name, value]) => ({ name, op: '=' as const, value }));

const typeOf = (answer: ChangesAnswer, measure: MeasureName): string => answer.measures.find(({ name }) => name === measure)!.type;

interface Times {
  from: number;
  until: number;
}
const between = ({ from, until }: Times) => absolute({ from: millis(from), until: millis(until) });

/** The flame graph of a group in a measure, in the range of the comparison. */
export function graphLink(answer: ChangesAnswer, labels: Record<string, string>, measure: MeasureName): string {
  const by = labels['op'] !== undefined && labels['op'] !== '' ? [] : labels['member'] ? ['op'] : ['member'];
  return `./explore${toUrl({ ...DEFAULTS, type: typeOf(answer, measure), matchers: matchersOf(labels), by, range: between(answer) })}`;
}

/** The difference of the flame graphs of a group now and in an earlier range; null without one. */
export function diffLink(answer: ChangesAnswer, { labels, measure }: UsageChange, against: Base): string | null {
  const base = answer.ranges.find(({ name }) => name === against);
  if (base === undefined || base.windows === 0) return null;
  const selector = formatSelector(matchersOf(labels));
  const by = labels['op'] === undefined && labels['member'] !== '' ? ['op'] : [];
  return `./compare${toCompareUrl({
    ...COMPARE_DEFAULTS, type: typeOf(answer, measure), by, now: { selector, range: between(answer) }, base: { selector, range: between(base) },
  })}`;
}

/** The service of Davy's own profiles, unless it is configured otherwise. */
const OWN = 'davy';

/** Whether a change is of a member of this Davy, which can be toggled: other services can have members of the same names. */
export function isOwn(answer: ChangesAnswer, { member, [SERVICE]: service }: Record<string, string>, members: ReadonlySet<string>): boolean {
  if (member === undefined || !members.has(member)) return false;
  if (service === undefined || service === OWN) return true;
  // Davy's own service can have another name if the answer does not have this one; the answer of a filtered page never has it.
  return !isFiltered(answer) && !ofService(answer).includes(OWN);
}

function isFiltered({ selector }: ChangesAnswer): boolean {
  const parsed = parseSelector(selector);
  return parsed.ok && serviceOf(parsed.matchers) !== null;
}

/** The toggle of a member or operation on Members. */
export function switchLink(labels: Record<string, string>): string {
  const { member = '', op = '' } = labels;
  return op === '' ? `./members?${new URLSearchParams({ filter: member })}` : `./members?${new URLSearchParams({ by: 'operation', filter: op })}`;
}

/** The change of a sum over all groups. */
export function totalOf({ name, now, before }: ChangesMeasure, against: Base | null): { now: string; change: string; up: boolean | null } | null {
  if (now === undefined) return null;
  const then = against === null ? undefined : before?.[against];
  // Empty without a comparison.
  const change = then === undefined ? '' : now === then ? 'no change' : now === 0 && then === 0 ? '' : formatFactor(now, then) || formatDelta(name, now - then);
  return { now: formatMeasure(name, now), change, up: then === undefined || now === then ? null : now > then };
}

export const ofService = (answer: ChangesAnswer): string[] => [...new Set(answer.changes.map(({ labels }) => labels[SERVICE] ?? ''))].filter(Boolean).sort();
