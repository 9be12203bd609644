// The state of Incident in its URL. The parameters of the query have the names of the API.

import type { Base, MeasureName } from '../../api/types';

export const BASES = ['hour', 'day', 'week'] as const;
export const MEASURES = ['cpu', 'heap', 'allocations', 'requests', 'errors', 'p99'] as const;
/** Lengths of the range whose usage is compared, in minutes. */
export const LENGTHS = [2, 10, 60] as const;

export interface IncidentState {
  /** Null: the nearest range with data. */
  against: Base | null;
  by: 'member' | 'operation';
  /** Null: all. */
  measure: MeasureName | null;
  service: string;
  filter: string;
  minutes: number;
  /** The end of the range, in milliseconds since 1970; null: now. */
  until: number | null;
  /** Whether what did not change is listed. */
  all: boolean;
}

export const INCIDENT_DEFAULTS: IncidentState = { against: null, by: 'member', measure: null, service: '', filter: '', minutes: 10, until: null, all: false };

export function toIncidentUrl(s: IncidentState): string {
  const q = new URLSearchParams();
  if (s.against !== null) q.set('against', s.against);
  if (s.by !== 'member') q.set('by', s.by);
  if (s.measure !== null) q.set('measure', s.measure);
  if (s.service !== '') q.set('service', s.service);
  if (s.filter !== '') q.set('filter', s.filter.slice(0, 200));
  if (s.minutes !== INCIDENT_DEFAULTS.minutes) q.set('minutes', String(s.minutes));
  if (s.until !== null) q.set('until', String(s.until));
  if (s.all) q.set('all', 'shown');
  const text = q.toString();
  return text === '' ? '' : `?${text}`;
}

export function fromIncidentUrl(search: string): IncidentState {
  const q = new URLSearchParams(search);
  const one = <T extends string>(key: string, allowed: readonly T[]): T | null => allowed.find((value) => value === q.get(key)) ?? null;
  const minutes = Number(q.get('minutes'));
  const until = q.get('until') ?? '';
  return {
    against: one('against', BASES),
    by: one('by', ['member', 'operation'] as const) ?? 'member',
    measure: one('measure', MEASURES),
    service: q.get('service') ?? '',
    filter: q.get('filter') ?? '',
    minutes: Number.isInteger(minutes) && minutes >= 1 && minutes <= 60 ? minutes : INCIDENT_DEFAULTS.minutes,
    until: /^\d{12,14}$/.test(until) ? Number(until) : null,
    all: q.get('all') === 'shown',
  };
}

/** The labels by which usage is grouped. */
export const groupedBy = (by: IncidentState['by']): string => (by === 'member' ? 'service_name,member' : 'service_name,member,op');
