import { describe, expect, test } from 'vitest';
import { formatSeconds } from '../logic/format';
import { History, SPAN_MS, type Sample, path } from '../logic/members/history';
import { type TableLine, everyLine, lines } from '../logic/members/lines';
import { type Order, filtered, inPositions, positionsOf, scalesOf, sorted, visibleLines } from '../logic/members/order';
import { DEFAULT_VIEW, type MembersView, membersFromUrl, membersToUrl, sortedBy } from '../logic/members/urlstate';
import { NO_USAGE, formatCores, formatRate, sum } from '../logic/members/usage';
import { pageOf } from '../logic/route';
import { NOW, ON, endpoint, line, member, named, operation, run, shape } from './members-fixtures';

const heap = (bytes: number): Sample => ({ heap: bytes, cpu: 0, alloc: 0, tasks: 0, rate: 0, flight: 0 });
const order = (more: Partial<Order> = {}): Order =>
  ({ sort: 'heap', descending: true, now: NOW, history: new History(), trend: 'heap', ...more });
const names = (tree: readonly TableLine[]): string[] => tree.map((l) => l.name);

describe('usage', () => {
  test('a sum adds usage, adds errors in quadrature and keeps the largest quantile', () => {
    const a = { ...NO_USAGE, heap_bytes: 10, heap_error_bytes: 3, poll_p99_seconds: 0.1, cpu: 0.5 };
    const b = { ...NO_USAGE, heap_bytes: 20, heap_error_bytes: 4, poll_p99_seconds: 0.01, cpu: 0.25 };
    expect(sum([a, b])).toMatchObject({ heap_bytes: 30, heap_error_bytes: 5, poll_p99_seconds: 0.1, cpu: 0.75 });
    expect(sum([])).toEqual(NO_USAGE);
  });

  test('values have units, and a small value is never shown as 0', () => {
    expect([0, 0.00001, 0.0123, 0.25, 2].map(formatCores)).toEqual(['0%', '<0.01%', '1.23%', '25.0%', '200%']);
    expect([0, 0.0001, 0.025, 10].map(formatSeconds)).toEqual(['0 s', '100 us', '25.0 ms', '10.0 s']);
    expect([0, 0.01, 2.5, 1234.4].map(formatRate)).toEqual(['0', '<0.1', '2.5', '1,234']);
  });
});

describe('lines', () => {
  const fleet = [
    member('api', { heap_bytes: 5, operations: [operation('Get', 5)] }),
    member('api', { host: 'node-2', heap_bytes: 7, state: 'failed', operations: [operation('Get', 7)] }),
    member('gc', { process: 'backend', pid: 8 }),
  ];

  test('members are summed over processes and show their most severe state', () => {
    const [api, gc] = lines(fleet, [], 'member');
    expect(api).toMatchObject({ key: 'api', state: 'failed', inState: 1, usage: { heap_bytes: 12 } });
    expect(api.children[0]).toMatchObject({ key: 'api/Get', usage: { heap_bytes: 12 } });
    expect(gc).toMatchObject({ state: 'ready', inState: 1 });
  });

  test('processes with the same name are separate lines', () => {
    expect(named(fleet, [], 'process')).toEqual([['web', [['api', ['Get']]]], ['web', [['api', ['Get']]]], ['backend', ['gc']]]);
  });

  test('every line has a unique key in every grouping', () => {
    for (const by of ['member', 'process', 'operation'] as const) {
      const keys = [...everyLine(lines(fleet, [endpoint('Get'), endpoint('Put')], by))].map((l) => l.key);
      expect(new Set(keys).size).toBe(keys.length);
    }
  });

  test('an endpoint without requests can be toggled', () => {
    const [api] = lines(fleet, [endpoint('Get'), endpoint('Put'), endpoint('Other', 'ui')], 'member');
    expect(names(api.children)).toEqual(['Get', 'Put']);
    expect(api.children.map((c) => c.toggle)).toEqual([ON, ON]);
  });

  test('operations that are not endpoints and untagged usage have no toggle', () => {
    const tick = line('gc', { operations: [operation('tick')] }).children[0];
    expect(tick.toggle).toBeNull();
    const untagged = line('api', { state: '-', operations: [operation('Get')] }, [endpoint('Get')]);
    expect(untagged.toggle).toBeNull();
    expect(untagged.children[0].toggle).toBeNull();
  });

  test('an operation shows the state of its member if that has no line', () => {
    expect(lines([member('api', { state: 'off', operations: [operation('Get')] })], [], 'operation')[0].state).toBe('off');
  });
});

describe('order', () => {
  const some = lines([member('b', { heap_bytes: 1, restarts: 2 }), member('c', { heap_bytes: 3 }), member('a', { heap_bytes: 1, polls: 1 })], [], 'member');

  test('lines are sorted by column; equal ones by name', () => {
    expect(names(sorted(some, order()))).toEqual(['c', 'a', 'b']);
    expect(names(sorted(some, order({ descending: false })))).toEqual(['a', 'b', 'c']);
    expect(names(sorted(some, order({ sort: 'name', descending: false })))).toEqual(['a', 'b', 'c']);
    expect(names(sorted(some, order({ sort: 'restarts' })))).toEqual(['b', 'a', 'c']);
  });

  test('idle lines come last among equal ones', () => {
    const tree = lines([member('a'), member('b', { requests: 3 })], [], 'member');
    expect(names(sorted(tree, order({ sort: 'cpu' })))).toEqual(['b', 'a']);
  });

  test('the most severe state comes first, an unknown state before all others', () => {
    const tree = lines(['ready', 'off', 'failed', 'hibernating', 'backing-off'].map((state) => member(state, { state })), [], 'member');
    expect(names(sorted(tree, order({ sort: 'state' })))).toEqual(['hibernating', 'failed', 'backing-off', 'off', 'ready']);
  });

  test('sorting by change puts the largest growth first, sorting by last run the most intervals', () => {
    const history = new History();
    history.add(NOW - 2_000, [['a', heap(5)], ['b', heap(1)], ['c', heap(100)]]);
    history.add(NOW, [['a', heap(6)], ['b', heap(9)], ['c', heap(90)]]);
    expect(names(sorted(some, order({ sort: 'trend', history })))).toEqual(['b', 'a', 'c']);
    const runs = [member('slow', { last_run: run({ at: NOW - 90_000, interval_seconds: 3600 }) }), member('late', { last_run: run({ interval_seconds: 1 }) }), member('none')];
    expect(names(sorted(lines(runs, [], 'member'), order({ sort: 'run' })))).toEqual(['late', 'slow', 'none']);
  });

  test('lines keep their positions while held, and new ones come last', () => {
    const positions = positionsOf(sorted(some, order()));
    const later = lines([member('new', { heap_bytes: 99 }), member('a', { heap_bytes: 50 }), member('b'), member('c')], [], 'member');
    expect(names(inPositions(sorted(later, order()), positions))).toEqual(['c', 'a', 'b', 'new']);
  });

  test('a filter finds operations and opens their members', () => {
    const tree = lines([member('api', { operations: [operation('ListAllJobs'), operation('Get')] }), member('gc', { state: 'failed' })], [], 'member');
    expect(shape(filtered(tree, 'alljobs').tree)).toEqual([['api', ['ListAllJobs']]]);
    expect([...filtered(tree, 'alljobs').open]).toEqual(['api']);
    expect(shape(filtered(tree, 'api').tree)).toEqual([['api', ['ListAllJobs', 'Get']]]);
    expect(shape(filtered(tree, 'API alljobs').tree)).toEqual([['api', ['ListAllJobs']]]);
    expect(names(filtered(tree, 'failed').tree)).toEqual(['gc']);
    expect(filtered(tree, 'nothing').tree).toEqual([]);
    expect(names(filtered(tree, '  ').tree)).toEqual(['api', 'gc']);
  });

  test('a process is kept with the members that match', () => {
    const tree = lines([member('api'), member('gc'), member('gc', { process: 'backend', pid: 8 })], [], 'process');
    expect(shape(filtered(tree, 'api').tree)).toEqual([['web', ['api']]]);
    expect(shape(filtered(tree, 'backend').tree)).toEqual([['backend', ['gc']]]);
  });

  test('only an open line shows its operations, followed by its facts', () => {
    const tree = lines([member('api', { operations: [operation('Get')] }), member('gc')], [], 'member');
    const show = (open: string[]) => visibleLines(tree, new Set(open)).map((p) => `${p.depth}${p.line.name}${p.part === 'facts' ? ' facts' : ''}`);
    expect(show([])).toEqual(['0api', '0gc']);
    expect(show(['api', 'gone'])).toEqual(['0api', '1Get', '0api facts', '0gc']);
  });

  test('bars of members and operations share a scale, processes have their own', () => {
    const tree = lines([member('a', { heap_bytes: 4, operations: [operation('x', 9)] }), member('b', { heap_bytes: 8 })], [], 'process');
    const most = scalesOf(everyLine(tree));
    expect([most.processes.heap, most.rest.heap]).toEqual([12, 9]);
  });
});

describe('history', () => {
  test('keeps two minutes and drops lines that disappeared', () => {
    const history = new History();
    history.add(NOW - SPAN_MS, [['a', heap(1)], ['b', heap(1)]]);
    history.add(NOW - 1_000, [['a', heap(2)]]);
    history.add(NOW, [['a', heap(3)]]);
    expect(history.of('a', 'heap').map((p) => p.value)).toEqual([2, 3]);
    expect(history.change('a', 'heap')).toBe(1);
    expect(history.size).toBe(1);
    expect(history.of('b', 'heap')).toEqual([]);
  });

  test('a sparkline has now at the right, zero at the bottom and no line across a gap', () => {
    const points = [{ at: NOW - 120_000, value: 0 }, { at: NOW - 118_000, value: 4 }, { at: NOW, value: 8 }];
    expect(path(points, NOW, 0, 120, 18)).toBe('M0.0 17.0L2.0 9.0M120.0 1.0');
  });

  test('points of the archive come before those that the page has seen, and a line joins them', () => {
    const history = new History();
    history.add(NOW - 2_000, [['api', heap(5)]]);
    history.add(NOW, [['api', heap(6)]]);
    history.seed('api', 'heap', [{ at: NOW - 30_000, value: 2 }, { at: NOW - 20_000, value: 3 }, { at: NOW - 10_000, value: 4 }, { at: NOW - 1_000, value: 9 }], 10_000);
    history.seed('api', 'cpu', [{ at: NOW - 40_000, value: 7 }, { at: NOW - 15_000, value: 1 }], 10_000);
    history.seed('gone', 'heap', [{ at: NOW - 20_000, value: 1 }], 10_000);
    expect(history.of('api', 'heap').map((p) => p.value)).toEqual([2, 3, 4, 5, 6]);
    expect(history.change('api', 'heap')).toBe(4);
    expect(history.of('api', 'cpu').map((p) => p.value)).toEqual([7, 1, 0, 0]);
    history.seed('api', 'alloc', [{ at: NOW - 30_000, value: 3 }, { at: NOW - 20_000, value: 4 }], 10_000);
    expect(history.of('api', 'alloc').map((p) => p.value)).toEqual([3, 4, 0, 0]);
    expect(path(history.of('api', 'heap'), NOW, 0, 120, 18).match(/M/g)).toHaveLength(1);
    expect(history.of('gone', 'heap')).toEqual([]);
  });

  test('small values are drawn low, and zero is not drawn', () => {
    expect(path([{ at: NOW, value: 1 }], NOW, 16, 120, 18)).toBe('M120.0 16.0');
    expect(path([{ at: NOW, value: 0 }], NOW, 0, 120, 18)).toBe('');
    expect(path([], NOW, 5, 120, 18)).toBe('');
  });
});

describe('URL', () => {
  test('every part of the view is preserved, and defaults are left out', () => {
    const s: MembersView = { by: 'process', sort: 'cpu', descending: false, filter: 'a b&=#', open: ['web:node-1:7/api', 'x y'] };
    expect(membersFromUrl(membersToUrl(s))).toEqual(s);
    expect(membersToUrl(DEFAULT_VIEW)).toBe('');
    expect(membersFromUrl('')).toEqual(DEFAULT_VIEW);
    expect(membersToUrl({ ...DEFAULT_VIEW, sort: 'name', descending: false })).toBe('?sort=name');
  });

  test('invalid parts fall back to their defaults', () => {
    expect(membersFromUrl('?by=x&sort=weather&order=up&open=')).toEqual(DEFAULT_VIEW);
  });

  test('a second click on a column reverses its order', () => {
    const cpu = sortedBy(DEFAULT_VIEW, 'cpu');
    expect(cpu).toMatchObject({ sort: 'cpu', descending: true });
    expect(sortedBy(cpu, 'cpu').descending).toBe(false);
    expect(sortedBy(cpu, 'name')).toMatchObject({ sort: 'name', descending: false });
  });

  test('the last segment of the path determines the page under any prefix', () => {
    expect(['/', '/members', '/davy/members', '/davy/archive', '/davy/', '/members/x', '/nope'].map((path) => pageOf(new URL(path, 'http://davy')))).toEqual(['incident', 'members', 'members', 'archive', 'incident', null, null]);
  });
});
