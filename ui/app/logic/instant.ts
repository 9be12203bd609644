// Times as people write them: the forms that the command line and the API accept.

import { type Millis, millis } from './units';

/** The zone of a date and time without an offset: UTC in URLs, as in the API; local in the page's fields. */
export type Zone = 'utc' | 'local';

const SECOND = 1e3;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const UNITS: [RegExp, number][] = [
  [/^(ns|nsec)$/, 1e-6],
  [/^(us|usec)$/, 1e-3],
  [/^(ms|msec)$/, 1],
  [/^(s|secs?|seconds?)$/, SECOND],
  [/^(m|mins?|minutes?)$/, MINUTE],
  [/^(h|hrs?|hours?)$/, HOUR],
  [/^(d|days?)$/, DAY],
  [/^(w|wks?|weeks?)$/, 7 * DAY],
  [/^(M|months?)$/, 30.44 * DAY],
  [/^(y|yrs?|years?)$/, 365.25 * DAY],
];

/** `90m`, `1h30m`, `2 days` in milliseconds; null for other text. */
function parseDuration(text: string): number | null {
  if (!/^(\d+\s*[A-Za-z]+\s*)+$/.test(text)) return null;
  let total = 0;
  for (const [, count, name] of text.matchAll(/(\d+)\s*([A-Za-z]+)/g)) {
    const unit = UNITS.find(([pattern]) => pattern.test(name));
    if (unit === undefined) return null;
    total += Number(count) * unit[1];
  }
  return total;
}

/** How long before now a relative time is, in milliseconds: `now`, `1h`, `-1h`, `now-1h30m`. Null for other text. */
export function parseAgo(text: string): number | null {
  const t = text.trim();
  if (t === 'now') return 0;
  return parseDuration(t.replace(/^(now\s*)?-\s*/, ''));
}

/** Unix time; its unit follows from the number of digits. */
function parseUnix(digits: string): number {
  const number = Number(digits);
  if (digits.length <= 11) return number * SECOND;
  if (digits.length <= 14) return number;
  return digits.length <= 17 ? number / 1e3 : number / 1e6;
}

const CIVIL = /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(\.\d+)?)?\s*([Zz]|[+-]\d{2}(?::?\d{2})?)?)?$/;

/** A date, a date and time, or RFC 3339; null for other text and for dates that do not exist. */
function parseCivil(text: string, zone: Zone): number | null {
  const match = CIVIL.exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  if (hour > 23 || minute > 59 || second > 59) return null;
  const utc = Date.UTC(year, month - 1, day, hour, minute, second);
  // `Date.UTC` carries over: February 30 would become March 2.
  const date = new Date(utc);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  const fraction = Math.floor(Number(match[7] ?? 0) * 1e3);
  const offset = match[8];
  if (offset === undefined) {
    return (zone === 'utc' ? utc : new Date(year, month - 1, day, hour, minute, second).getTime()) + fraction;
  }
  if (/z/i.test(offset)) return utc + fraction;
  const sign = offset[0] === '-' ? -1 : 1;
  return utc + fraction - sign * (Number(offset.slice(1, 3)) * HOUR + Number(offset.slice(3).replace(':', '')) * MINUTE);
}

/** Null if the text has none of the accepted forms. */
export function parseInstant(text: string, now: number, zone: Zone = 'utc'): Millis | null {
  const t = text.trim();
  if (/^\d{1,19}$/.test(t)) return millis(parseUnix(t));
  const ago = parseAgo(t);
  if (ago !== null) return millis(now - ago);
  const ms = parseCivil(t, zone);
  return ms === null ? null : millis(ms);
}
