import { expect, test } from 'vitest';
import type { AuditRow, ProcessRow } from '../api/types';
import { groupsOf, marksOf } from '../logic/markers';
import { millis } from '../logic/units';

const started = (at: number, version: string, kind = 'web'): ProcessRow => ({ id: `${at}`, kind, host: 'node-1', pid: at, version, started_at: at, stopped_at: null });
const change: AuditRow = { id: 1, at: 60, operator: 'ada', what: 'endpoint.disable', name: 'ListAllJobs', detail: null, why: 'too slow', process: null, source: 'api' };
const span = { from: millis(0), until: millis(100) };

test('a version is marked where it was first seen, further processes as starts, and changes with their reason', () => {
  // The first known process may have been preceded by others of its version.
  const marks = marksOf([started(70, '2'), started(50, '2'), started(10, '1'), started(150, '3')], [change], span);
  expect(marks.map(({ at, kind, text }) => `${at} ${kind} ${text}`)).toEqual([
    '10 start web (10) started on node-1',
    '50 version version 2 started: web (50) on node-1',
    '60 change disable endpoint ListAllJobs by ada: too slow',
    '70 start web (70) started on node-1',
  ]);
});

test('marks near each other are one, of the most important kind', () => {
  const marks = marksOf([started(1, '1'), started(50, '1'), started(50, '2')], [{ ...change, at: 50.5 }], span);
  expect(groupsOf(marks, span).map(({ at, kind, marks: of }) => `${at} ${kind} ${of.length}`)).toEqual(['1 start 1', '50 version 3']);
});
