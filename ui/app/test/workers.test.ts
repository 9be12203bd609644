import { describe, expect, test } from 'vitest';
import type { BuildRow, ContainerRow, FleetOverview, WorkerRow } from '../api/fleet';
import { buildsOf, containersOf, fleetOf, workersOf } from '../../fixture/workers.mjs';
import { attention, summary } from '../logic/fleet/attention';
import { LINES_MAX, NO_LINES, appended } from '../logic/fleet/loglines';
import { ago, commandOf, durationOf, endingOf, notesOf, usageLines, usageOf, usageText } from '../logic/fleet/rows';
import { fleetFromUrl, fleetToUrl } from '../logic/fleet/urlstate';

const NOW = Date.UTC(2026, 2, 1, 3, 12, 0);
const fleet = (is: string): FleetOverview => fleetOf(is, NOW) as FleetOverview;
const workers = (is: string): WorkerRow[] => workersOf(is, NOW) as WorkerRow[];
const notes = (name: string): string[] => {
  const row = workers('wedged').find((one) => one.name === name)!;
  return notesOf(row, NOW, 250).map(({ text }) => text);
};

describe('what needs attention', () => {
  test('nothing needs attention while workers report and collectors run', () => {
    expect(attention(fleet('fine'), workers('fine'))).toEqual([]);
    expect(attention(fleet('none'), [])).toEqual([]);
  });

  test('everything that is wrong is named, the most urgent first', () => {
    const all = attention(fleet('wedged'), workers('wedged'));
    expect(all.map(({ id }) => id)).toEqual(['foreign', 'stalled', 'hung', 'late-gc.volumes', 'missing', 'unknown', 'old-gc.containers', 'disk', 'waiting']);
    expect(all.find(({ id }) => id === 'late-gc.volumes')?.text).toContain('failed: database davy.db: disk I/O error');
    for (const { title } of all) expect(title).toMatch(/\.$/);
  });
});

describe('rows', () => {
  test('a worker says what is wrong with it', () => {
    expect(notes('wedged')[0]).toBe('3 destroys hung past the deadline; others go on');
    expect(notes('liar')[0]).toContain('reports 3 handles of other workers');
    expect(notes('robbed')[0]).toContain('6 containers and volumes missing');
    expect(notes('restored')[0]).toBe('40 unknown handles in its last report: restored from a snapshot?');
    expect(notes('full')).toEqual(['9.00 GiB of the disk free', '241 of 250 containers']);
    expect(notes('gone')[0]).toBe('has not reported since 26 min ago; what it has is kept');
    expect(notes('ci-1')).toEqual([]);
  });

  test('a build says its command, how long it took and how it ended', () => {
    const builds = buildsOf('fine', NOW) as BuildRow[];
    const texts = builds.map((row) => [row.id, durationOf(row, NOW), endingOf(row)]);
    expect(texts).toEqual([
      [107, '3 s', 'waits for a worker'], [106, '1 min 2 s', ''], [105, '1 min 2 s', 'abort requested'], [104, '58 s', ''],
      [103, '58 s', 'exit code 2'], [102, '58 s', 'worker gone did not report about the task in time'], [101, '58 s', ''],
    ]);
    expect(commandOf(builds[1])).toBe('make test PKG=davy-106');
    expect(commandOf({ ...builds[1], task: 'not JSON' })).toBe('');
    expect(ago(NOW - 12_000, NOW)).toBe('12 s ago');
  });

  test('a running build says what its container uses, and one that is over what it has used', () => {
    const builds = buildsOf('fine', NOW) as BuildRow[];
    const running = new Map((containersOf('fine', NOW) as ContainerRow[]).map((row) => [row.build, row.cgroup!]));
    const texts = builds.map((row) => {
      const used = usageOf(row, running.get(row.id));
      return [row.id, used === null ? '' : usageText(used)];
    });
    expect(texts).toEqual([
      [107, ''], [106, '12.5 s CPU, 200 MiB'], [105, '12.5 s CPU, 200 MiB'], [104, '41.3 s CPU, 350 MiB'], [103, ''], [102, ''], [101, ''],
    ]);
    expect(usageLines(running.get(106)!)).toEqual([
      'most memory: 220 MiB', 'memory limit: 512 MiB', 'read: 0 B', 'written: 4.00 KiB', '7 processes and threads',
      'waited for the CPU: 1.50 s', 'waited for memory: 0 s', 'waited for I/O: 250 ms',
    ]);
  });

  test('the fleet is summed up in one line', () => {
    expect(summary(fleet('fine'))).toBe('3 workers: 3 running · 18 containers · 27 volumes · 2 builds run, 1 waits');
    expect(summary(fleet('none'))).toBe('No worker has registered.');
  });
});

describe('log', () => {
  const lines = (...parts: string[]): string[] => parts.reduce(appended, NO_LINES).lines;

  test('parts that begin and end in the middle of a line are joined', () => {
    expect(lines('a\nb', 'c\n', 'd')).toEqual(['a', 'bc', 'd']);
    expect(lines('a\n', '\n', 'b')).toEqual(['a', '', 'b']);
  });

  test('colours are left out, and a carriage return overwrites its line', () => {
    expect(lines('\u001b[1;32mok\u001b[0m\r\n')).toEqual(['ok']);
    expect(lines('10%\r20%\r', '30%\n')).toEqual(['30%']);
  });

  test('the last lines are kept, and the others are counted', () => {
    const all = appended(NO_LINES, `${Array.from({ length: LINES_MAX + 3 }, (_, i) => `line ${i}`).join('\n')}\n`);
    expect([all.lines.length, all.lines[0], all.dropped]).toEqual([LINES_MAX, 'line 3', 3]);
  });
});

test('the view is in the URL, and invalid values are ignored', () => {
  const view = { state: 'stalled', after: 'w-1', build: 7 };
  expect(fleetFromUrl(fleetToUrl(view))).toEqual(view);
  expect(fleetFromUrl('?state=odd&build=-3')).toEqual({ state: '', after: '', build: 0 });
});
