import { describe, expect, test } from 'vitest';
import { parseInstant } from '../logic/instant';
import { isRelative, rangeFromFields } from '../logic/range';

const NOW = 1_764_334_800_000; // 2025-11-28T13:00:00Z
const HOUR = 3_600_000;

describe('instant', () => {
  const check = (text: string, expected: number | null): void => expect(parseInstant(text, NOW), text).toBe(expected);

  test('every form of the command line is understood', () => {
    check('now', NOW);
    for (const text of ['1h', '-1h', 'now-1h', 'now-60m', '30m30m', '1 hour', 'now - 1h', ' now-1h ']) check(text, NOW - HOUR);
    check('now-1h30m', NOW - 1.5 * HOUR);
    check('2 days', NOW - 48 * HOUR);
    check('1w', NOW - 168 * HOUR);
    check('2025-11-28', Date.UTC(2025, 10, 28));
    for (const text of [
      '2025-11-28 13:00', '2025-11-28T13:00', '2025-11-28 13:00:00', '2025-11-28T13:00:00Z', '2025-11-28T14:00:00+01:00',
      '2025-11-28 13:00:00.000Z', '2025-11-28T07:30:00-05:30', '1764334800', '1764334800000', '1764334800000000', '1764334800000000000',
    ]) check(text, NOW);
    check('2025-11-28T13:00:00.250Z', NOW + 250);
    check('0', 0);
  });

  test('other text is rejected', () => {
    for (const text of [
      '', 'yesterday', 'now-', '-', '1x', 'now1h', '2025-02-30', '2026-13-45', '25:00', '2025-11-28T25:00:00Z', '99999999999999999999', 'ä',
    ]) check(text, null);
  });

  test('a date without an offset is UTC in URLs and local in fields', () => {
    const local = new Date(2026, 10, 28, 13, 0).getTime();
    expect(parseInstant('2026-11-28 13:00', NOW, 'local')).toBe(local);
    expect(parseInstant('2026-11-28 13:00', NOW)).toBe(Date.UTC(2026, 10, 28, 13));
    expect(parseInstant('2026-11-28T13:00Z', NOW, 'local')).toBe(Date.UTC(2026, 10, 28, 13));
  });
});

describe('range fields', () => {
  test('relative ends remain relative, absolute ends become unix milliseconds', () => {
    const local = String(new Date(2025, 10, 28, 1, 0).getTime());
    expect(rangeFromFields('90m', 'now', NOW)).toEqual({ from: 'now-90m', until: 'now' });
    expect(rangeFromFields('-2h', '1h', NOW)).toEqual({ from: 'now-2h', until: 'now-1h' });
    expect(rangeFromFields('2025-11-28 01:00', 'now', NOW)).toEqual({ from: local, until: 'now' });
    expect(rangeFromFields('1764330000', '1764334800000', NOW)).toEqual({ from: '1764330000000', until: '1764334800000' });
  });

  test('an invalid or empty range is rejected', () => {
    expect(rangeFromFields('yesterday', 'now', NOW)).toBeNull();
    expect(rangeFromFields('1h', '2h', NOW)).toBeNull();
  });

  test('a range that ends now and starts at a relative time moves with the clock', () => {
    for (const from of ['now-1h', '1h', '-1h']) expect(isRelative({ from, until: 'now' })).toBe(true);
    expect(isRelative({ from: '2025-11-28', until: 'now' })).toBe(false);
    expect(isRelative({ from: 'now-2h', until: 'now-1h' })).toBe(false);
  });
});
