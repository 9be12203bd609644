import { describe, expect, test } from 'vitest';
import { DEFAULT_SHOWN, type Shown, fromAddress, sortedBy, toAddress } from '../logic/members/address';
import { NOTHING, formatCores, formatRate, formatSeconds, sum } from '../logic/members/usage';
import { History, SPAN_MS, type Sample, path } from '../logic/members/history';
import { type Line, everyLine, lines } from '../logic/members/lines';
import { type Order, filtered, held, largest, placed, placesOf, sorted } from '../logic/members/order';
import { pageOf } from '../logic/route';
import { NOW, ON, endpoint, line, member, named, operation, run, shape } from './members-fixtures';

const heap = (bytes: number): Sample => ({ heap: bytes, cpu: 0, alloc: 0, tasks: 0, rate: 0, flight: 0 });
const order = (more: Partial<Order> = {}): Order =>
  ({ sort: 'heap', descending: true, now: NOW, history: new History(), trend: 'heap', ...more });
const names = (tree: readonly Line[]): string[] => tree.map((l) => l.name);

describe('usage', () => {
  test('a sum adds figures, errors in their squares, and keeps the worst quantile', () => {
    const a = { ...NOTHING, heap_bytes: 10, heap_error_bytes: 3, poll_p99_seconds: 0.1, cpu: 0.5 };
    const b = { ...NOTHING, heap_bytes: 20, heap_error_bytes: 4, poll_p99_seconds: 0.01, cpu: 0.25 };
    expect(sum([a, b])).toMatchObject({ heap_bytes: 30, heap_error_bytes: 5, poll_p99_seconds: 0.1, cpu: 0.75 });
    expect(sum([])).toEqual(NOTHING);
  });

  test('figures have units, and a little never reads as nothing', () => {
    expect([0, 0.00001, 0.0123, 0.25, 2].map(formatCores)).toEqual(['0 %', '< 0.01 %', '1.23 %', '25.0 %', '200 %']);
    expect([0, 0.0001, 0.025, 10].map(formatSeconds)).toEqual(['–', '100 µs', '25 ms', '10 s']);
    expect([0, 0.01, 2.5, 1234.4].map(formatRate)).toEqual(['0', '< 0.1', '2.5', '1\u202f234']);
  });
});

describe('lines', () => {
  const fleet = [
    member('api', { heap_bytes: 5, operations: [operation('Get', 5)] }),
    member('api', { host: 'node-2', heap_bytes: 7, state: 'failed', operations: [operation('Get', 7)] }),
    member('gc', { process: 'backend', pid: 8 }),
  ];

  test('members are summed over processes, and show their most telling state', () => {
    const [api, gc] = lines(fleet, [], 'member');
    expect(api).toMatchObject({ key: 'api', state: 'failed', inState: 1, usage: { heap_bytes: 12 } });
    expect(api.children[0]).toMatchObject({ key: 'api/Get', usage: { heap_bytes: 12 } });
    expect(gc).toMatchObject({ state: 'ready', inState: 1 });
  });

  test('two processes of one name are two', () => {
    expect(named(fleet, [], 'process')).toEqual([['web', [['api', ['Get']]]], ['web', [['api', ['Get']]]], ['backend', ['gc']]]);
  });

  test('every line has a key of its own from whichever side', () => {
    for (const by of ['member', 'process', 'operation'] as const) {
      const keys = [...everyLine(lines(fleet, [endpoint('Get'), endpoint('Put')], by))].map((l) => l.key);
      expect(new Set(keys).size).toBe(keys.length);
    }
  });

  test('an endpoint that nobody has asked for yet is there to be toggled', () => {
    const [api] = lines(fleet, [endpoint('Get'), endpoint('Put'), endpoint('Other', 'ui')], 'member');
    expect(names(api.children)).toEqual(['Get', 'Put']);
    expect(api.children.map((c) => c.toggle)).toEqual([ON, ON]);
  });

  test('an operation that is no endpoint has no toggle, nor has work of no member', () => {
    const tick = line('gc', { operations: [operation('tick')] }).children[0];
    expect(tick.toggle).toBeNull();
    const foreign = line('api', { state: '-', operations: [operation('Get')] }, [endpoint('Get')]);
    expect(foreign.toggle).toBeNull();
    expect(foreign.children[0].toggle).toBeNull();
  });

  test('an operation shows the state of its member where no line above does', () => {
    expect(lines([member('api', { state: 'off', operations: [operation('Get')] })], [], 'operation')[0].state).toBe('off');
  });
});

describe('order', () => {
  const some = lines([member('b', { heap_bytes: 1, restarts: 2 }), member('c', { heap_bytes: 3 }), member('a', { heap_bytes: 1, polls: 1 })], [], 'member');

  test('sorts by figure and by name, equal ones always from A', () => {
    expect(names(sorted(some, order()))).toEqual(['c', 'a', 'b']);
    expect(names(sorted(some, order({ descending: false })))).toEqual(['a', 'b', 'c']);
    expect(names(sorted(some, order({ sort: 'name', descending: false })))).toEqual(['a', 'b', 'c']);
    expect(names(sorted(some, order({ sort: 'restarts' })))).toEqual(['b', 'a', 'c']);
  });

  test('among equal ones, what never did anything comes last', () => {
    const tree = lines([member('a'), member('b', { requests: 3 })], [], 'member');
    expect(names(sorted(tree, order({ sort: 'cpu' })))).toEqual(['b', 'a']);
  });

  test('the worst state comes first, and an unknown one before all', () => {
    const tree = lines(['ready', 'off', 'failed', 'possessed', 'backing-off'].map((state) => member(state, { state })), [], 'member');
    expect(names(sorted(tree, order({ sort: 'state' })))).toEqual(['possessed', 'failed', 'backing-off', 'off', 'ready']);
  });

  test('what has grown most comes first, and lateness counts in intervals', () => {
    const history = new History();
    history.add(NOW - 2_000, [['a', heap(5)], ['b', heap(1)], ['c', heap(100)]]);
    history.add(NOW, [['a', heap(6)], ['b', heap(9)], ['c', heap(90)]]);
    expect(names(sorted(some, order({ sort: 'trend', history })))).toEqual(['b', 'a', 'c']);
    const runs = [member('slow', { last_run: run({ at: NOW - 90_000, interval_seconds: 3600 }) }), member('late', { last_run: run({ interval_seconds: 1 }) }), member('none')];
    expect(names(sorted(lines(runs, [], 'member'), order({ sort: 'run' })))).toEqual(['late', 'slow', 'none']);
  });

  test('a held order keeps every line where it was, and puts new ones last', () => {
    const places = placesOf(sorted(some, order()));
    const later = lines([member('new', { heap_bytes: 99 }), member('a', { heap_bytes: 50 }), member('b'), member('c')], [], 'member');
    expect(names(held(sorted(later, order()), places))).toEqual(['c', 'a', 'b', 'new']);
  });

  test('a filter finds operations too, and opens what they are in', () => {
    const tree = lines([member('api', { operations: [operation('ListAllJobs'), operation('Get')] }), member('gc', { state: 'failed' })], [], 'member');
    expect(shape(filtered(tree, 'alljobs').tree)).toEqual([['api', ['ListAllJobs']]]);
    expect([...filtered(tree, 'alljobs').open]).toEqual(['api']);
    expect(shape(filtered(tree, 'api').tree)).toEqual([['api', ['ListAllJobs', 'Get']]]);
    expect(shape(filtered(tree, 'API alljobs').tree)).toEqual([['api', ['ListAllJobs']]]);
    expect(names(filtered(tree, 'failed').tree)).toEqual(['gc']);
    expect(filtered(tree, 'nothing').tree).toEqual([]);
    expect(names(filtered(tree, '  ').tree)).toEqual(['api', 'gc']);
  });

  test('a process stays for the members in it that match, with those alone', () => {
    const tree = lines([member('api'), member('gc'), member('gc', { process: 'backend', pid: 8 })], [], 'process');
    expect(shape(filtered(tree, 'api').tree)).toEqual([['web', ['api']]]);
    expect(shape(filtered(tree, 'backend').tree)).toEqual([['backend', ['gc']]]);
  });

  test('only what is open shows its operations, and its facts after them', () => {
    const tree = lines([member('api', { operations: [operation('Get')] }), member('gc')], [], 'member');
    const show = (open: string[]) => placed(tree, new Set(open)).map((p) => `${p.depth}${p.line.name}${p.part === 'facts' ? ' facts' : ''}`);
    expect(show([])).toEqual(['0api', '0gc']);
    expect(show(['api', 'gone'])).toEqual(['0api', '1Get', '0api facts', '0gc']);
  });

  test('bars of members and operations have one scale, processes another', () => {
    const tree = lines([member('a', { heap_bytes: 4, operations: [operation('x', 9)] }), member('b', { heap_bytes: 8 })], [], 'process');
    const most = largest(everyLine(tree));
    expect([most.processes.heap, most.rest.heap]).toEqual([12, 9]);
  });
});

describe('history', () => {
  test('remembers two minutes, and forgets lines that are gone', () => {
    const history = new History();
    history.add(NOW - SPAN_MS, [['a', heap(1)], ['b', heap(1)]]);
    history.add(NOW - 1_000, [['a', heap(2)]]);
    history.add(NOW, [['a', heap(3)]]);
    expect(history.of('a', 'heap').map((p) => p.value)).toEqual([2, 3]);
    expect(history.change('a', 'heap')).toBe(1);
    expect(history.size).toBe(1);
    expect(history.of('b', 'heap')).toEqual([]);
  });

  test('the newest point is at the right, zero is at the bottom, and a gap is not drawn across', () => {
    const points = [{ at: NOW - 120_000, value: 0 }, { at: NOW - 118_000, value: 4 }, { at: NOW, value: 8 }];
    expect(path(points, NOW, 0, 120, 18)).toBe('M0.0 17.0L2.0 9.0M120.0 1.0');
  });

  test('a small line is drawn low beside a large one, and nothing is no line', () => {
    expect(path([{ at: NOW, value: 1 }], NOW, 16, 120, 18)).toBe('M120.0 16.0');
    expect(path([{ at: NOW, value: 0 }], NOW, 0, 120, 18)).toBe('');
    expect(path([], NOW, 5, 120, 18)).toBe('');
  });
});

describe('address', () => {
  test('every part survives, and a fresh page has a bare address', () => {
    const s: Shown = { by: 'process', sort: 'cpu', descending: false, filter: 'a b&=#', open: ['web:node-1:7/api', 'x y'] };
    expect(fromAddress(toAddress(s))).toEqual(s);
    expect(toAddress(DEFAULT_SHOWN)).toBe('');
    expect(fromAddress('')).toEqual(DEFAULT_SHOWN);
    expect(toAddress({ ...DEFAULT_SHOWN, sort: 'name', descending: false })).toBe('?sort=name');
  });

  test('what an address has wrong falls back', () => {
    expect(fromAddress('?by=x&sort=weather&order=up&open=')).toEqual(DEFAULT_SHOWN);
  });

  test('a column is sorted from its telling end, and a second click turns it round', () => {
    const cpu = sortedBy(DEFAULT_SHOWN, 'cpu');
    expect(cpu).toMatchObject({ sort: 'cpu', descending: true });
    expect(sortedBy(cpu, 'cpu').descending).toBe(false);
    expect(sortedBy(cpu, 'name')).toMatchObject({ sort: 'name', descending: false });
  });

  test('the page is told by the last part of the path, under any prefix', () => {
    expect(['/', '/members', '/davy/members', '/davy/', '/members/x', '/nope'].map(pageOf)).toEqual(['explore', 'members', 'members', 'explore', null, null]);
  });
});
