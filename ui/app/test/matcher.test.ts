import { Worker as Thread } from 'node:worker_threads';
import { describe, expect, test, vi } from 'vitest';
import { compile, matchNames } from '../logic/search';
import { Matcher, type RegexReply, type RegexRequest, TooSlow } from '../worker/matcher';

/** A real thread that runs the regular expression, in place of the browser's worker. */
function start(started: { count: number }) {
  return () => {
    started.count++;
    const thread = new Thread(
      `const { parentPort } = require('node:worker_threads');
       const lists = new Map();
       parentPort.on('message', ({ id, list, names, text }) => {
         parentPort.postMessage({ id, begun: true });
         if (names) lists.set(list, names);
         const regex = new RegExp(text);
         parentPort.postMessage({ id, hit: Uint8Array.from(lists.get(list), (n) => regex.test(n) ? 1 : 0), note: null });
       });`,
      { eval: true },
    );
    const port = {
      onmessage: null as ((event: MessageEvent<RegexReply>) => void) | null,
      onerror: null as unknown,
      postMessage: (request: RegexRequest) => thread.postMessage(request),
      terminate: () => void thread.terminate(),
    };
    thread.on('message', (data: RegexReply) => port.onmessage?.({ data } as MessageEvent<RegexReply>));
    thread.unref();
    return port;
  };
}

describe('search in a worker', () => {
  test('a regular expression that takes for ever is stopped, and the next one works', async () => {
    const started = { count: 0 };
    const matcher = new Matcher(start(started) as never, 300);
    const names = ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac', 'ab'];
    await expect(matcher.match(names, '^(a+)+b$')).rejects.toBeInstanceOf(TooSlow);
    const { hit } = await matcher.match(names, '^ab$');
    expect([...hit]).toEqual([0, 1]);
    expect(started.count).toBe(2);
  });

  test('the time until the worker begins does not count', async () => {
    vi.useFakeTimers();
    try {
      const port = { onmessage: null as ((event: { data: RegexReply }) => void) | null, onerror: null, postMessage: () => {}, terminate: () => {} };
      const matcher = new Matcher((() => port) as never, 300);
      let outcome = '';
      matcher.match(['a'], 'a').then(() => { outcome = 'found'; }, (e: Error) => { outcome = e.constructor.name; });
      await vi.advanceTimersByTimeAsync(60_000);
      expect(outcome).toBe('');
      port.onmessage!({ data: { id: 2, begun: true } });
      await vi.advanceTimersByTimeAsync(299);
      expect(outcome).toBe('');
      await vi.advanceTimersByTimeAsync(1);
      expect(outcome).toBe('TooSlow');
    } finally {
      vi.useRealTimers();
    }
  });

  test('names are sent once for each list', async () => {
    const sent: boolean[] = [];
    const started = { count: 0 };
    const open = start(started);
    const matcher = new Matcher((() => {
      const port = open();
      const post = port.postMessage;
      port.postMessage = (request) => {
        sent.push(request.names !== null);
        post(request);
      };
      return port;
    }) as never);
    const names = ['a', 'b'];
    await matcher.match(names, 'a');
    await matcher.match(names, 'b');
    await matcher.match(['c'], 'c');
    expect(sent).toEqual([true, false, true]);
  });

  test('text that is not a regular expression is searched for literally', () => {
    const query = compile('(a+')!;
    expect([...matchNames(['(a+)', 'a'], query)]).toEqual([1, 0]);
    expect(query.note).toMatch(/plain text/);
  });
});
