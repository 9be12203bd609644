// Requests to the bucket by level and kind, and what they cost.

import type { ArchiveCharges, ArchiveRequestRow } from '../../api/types';

export const KINDS = ['put', 'get', 'list', 'delete'] as const;
export type Kind = (typeof KINDS)[number];

/** The requests of a level. */
export interface RequestLine {
  level: string;
  requests: Record<Kind, number>;
  written: number;
  read: number;
  /** Null if nothing has a price. */
  charge: number | null;
}

const kindOf = (request: string): Kind | null => (request === 'head' ? 'get' : (KINDS as readonly string[]).includes(request) ? (request as Kind) : null);

const ORDER = ['segments', 'hour', 'day', 'month', 'symbols', 'quarantine', 'table'];
const rank = (level: string): number => (ORDER.includes(level) ? ORDER.indexOf(level) : ORDER.length);

/** One line for each level, and the sum of all. Requests for sizes count as reads, as they are charged. */
export function requestLines(rows: ArchiveRequestRow[]): { lines: RequestLine[]; sum: RequestLine } {
  const empty = (level: string): RequestLine => ({ level, requests: { put: 0, get: 0, list: 0, delete: 0 }, written: 0, read: 0, charge: null });
  const lines = new Map<string, RequestLine>();
  const sum = empty('');
  for (const row of rows) {
    const kind = kindOf(row.request);
    if (kind === null) continue;
    const line = lines.get(row.level) ?? empty(row.level);
    lines.set(row.level, line);
    for (const of of [line, sum]) {
      of.requests[kind] += row.requests;
      if (kind === 'put') of.written += row.bytes;
      else of.read += row.bytes;
      if (row.charge !== null) of.charge = (of.charge ?? 0) + row.charge;
    }
  }
  const sorted = [...lines.values()].sort((a, b) => rank(a.level) - rank(b.level) || (a.level < b.level ? -1 : 1));
  return { lines: sorted, sum };
}

/** An amount of money: two decimals, more for less than one unit. */
export function moneyText(amount: number, currency: string): string {
  const size = Math.abs(amount);
  let text: string;
  if (size === 0) text = '0';
  else if (size < 0.0001) text = '<0.0001';
  else if (size < 1) text = String(Number(amount.toPrecision(2)));
  else text = amount.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return `${text} ${currency}`;
}

const MONTH_MS = 30 * 86_400_000;
/** A shorter time says little about a month. */
const MEASURED_MS = 10 * 60_000;

/** What 30 days cost at the rate since the start; null if that was just now. */
export function perMonth(amount: number, elapsedMs: number): number | null {
  return elapsedMs < MEASURED_MS ? null : (amount / elapsedMs) * MONTH_MS;
}

const NAMES: Record<string, string> = {
  put_per_1000: 'writes', list_per_1000: 'listings', get_per_1000: 'reads', delete_per_1000: 'deletions',
  storage_per_gb_month: 'storage', transfer_per_gb: 'transfer',
};

/** The charges without a price, in words; empty if everything has one. */
export function missingText({ missing }: ArchiveCharges): string {
  if (missing.length === 0) return '';
  return `Without ${missing.map((name) => NAMES[name] ?? name).join(', ')}: no price in [bucket.prices].`;
}
