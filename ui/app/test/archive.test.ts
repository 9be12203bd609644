import { describe, expect, test } from 'vitest';
import type { ArchiveOverview } from '../api/types';
import { overview as synthetic } from '../../fixture/archive.mjs';
import { missingText, moneyText, perMonth, requestLines } from '../logic/archive/requests';
import { amount, attention, isLate, lagText, periodText } from '../logic/archive/texts';

const NOW = Date.UTC(2026, 2, 1, 3, 12, 0);
const archive = (state: string): ArchiveOverview => synthetic(state, NOW) as ArchiveOverview;

describe('what needs attention', () => {
  const ids = (of: ArchiveOverview): string[] => attention(of).map(({ id }) => id);

  test('nothing needs attention in an archive that is compacted', () => {
    expect(ids(archive('fine'))).toEqual([]);
  });

  test('everything that is wrong is named, the most urgent first, with what to do', () => {
    const all = attention(archive('broken'));
    expect(all.map(({ id }) => id)).toEqual(['no-archiver', 'late-segment', 'quarantined', 'waiting-windows', 'unreadable']);
    for (const { text } of all) expect(text).toMatch(/archive\.compactor|davy archive/);
    expect(all[0]).toMatchObject({ tone: 'error', text: expect.stringContaining('seen 2 h ago') as string });
    expect(all[1].title).toBe('Segments have waited for 8 h 25 min to be merged.');
  });

  test('an archiver that has not been seen for long does not count', () => {
    const of = archive('fine');
    expect(ids({ ...of, archivers: { present: 1, last_seen: NOW - 20 * 60_000 } })).toEqual(['no-archiver']);
    expect(ids({ ...of, archivers: { present: 0, last_seen: null } })).toEqual(['no-archiver']);
  });

  test('a lag is late only when compaction should have been done', () => {
    const level = (name: string, lag_seconds: number) => ({ ...archive('fine').levels[0], level: name, lag_seconds });
    expect([level('segment', 1_700), level('segment', 1_900), level('hour', 40_000), level('hour', 44_000), level('day', 1e9)].map(isLate))
      .toEqual([false, true, false, true, false]);
    expect([0, 95].map((lag) => lagText(level('segment', lag)))).toEqual(['–', '1 min 35 s']);
  });
});

test('hours and days are shown as in keys', () => {
  expect(['2026-03-01/05', '2026-03-01', ''].map(periodText)).toEqual(['2026-03-01 05:00', '2026-03-01', '–']);
  expect([amount(0, 0), amount(1, 2048), amount(2_000, 3 << 20)]).toEqual(['–', '1 piece, 2.00 KiB', '2,000 pieces, 3.00 MiB']);
});

describe('requests and their cost', () => {
  const row = (request: string, level: string, requests: number, bytes: number, charge: number | null) => ({ request, level, requests, bytes, charge });

  test('requests are lines by level with columns by kind, and sizes count as reads', () => {
    const { lines, sum } = requestLines([
      row('list', 'archivers', 4, 0, 0.5), row('get', 'hour', 10, 100, 1), row('head', 'hour', 2, 0, 0.25), row('put', 'segments', 3, 30, null),
    ]);
    expect(lines.map(({ level }) => level)).toEqual(['segments', 'hour', 'archivers']);
    expect(lines[0]).toMatchObject({ requests: { put: 3, get: 0 }, written: 30, read: 0, charge: null });
    expect(lines[1]).toMatchObject({ requests: { get: 12 }, read: 100, charge: 1.25 });
    expect(sum).toMatchObject({ requests: { put: 3, get: 12, list: 4, delete: 0 }, charge: 1.75 });
  });

  test('small amounts of money keep their digits, and are never shown as 0', () => {
    expect([0, 0.00001, 0.00123, 0.2583, 12.5, 1234.567].map((n) => moneyText(n, 'USD')))
      .toEqual(['0 USD', '<0.0001 USD', '0.0012 USD', '0.26 USD', '12.50 USD', '1,234.57 USD']);
  });

  test('a month is estimated only after some minutes', () => {
    expect(perMonth(1, 60_000)).toBeNull();
    expect(perMonth(1, 86_400_000)).toBe(30);
  });

  test('charges without a price are named', () => {
    const { charges } = archive('priced');
    expect(missingText(charges!)).toBe('Without transfer: no price in [bucket.prices].');
    expect(missingText({ ...charges!, missing: [] })).toBe('');
  });
});
