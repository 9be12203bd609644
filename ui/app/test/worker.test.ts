import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { binary, SHOP } from './fixtures';

const as = { order: 'heavy' as const, fold: false, open: [] };

beforeEach(() => { vi.resetModules(); });
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.doUnmock('../worker/merges');
});

test('a request to a worker that failed before it is rejected with the reason', async () => {
  const started = { onerror: (_: object): void => {}, postMessage: vi.fn() };
  vi.stubGlobal('davyWorker', started);
  const { TreeWorker } = await import('../worker/client');
  const worker = new TreeWorker();
  started.onerror({ message: '' });
  await expect(worker.ask({ kind: 'rank', root: 0 })).rejects.toThrow("The page's worker failed: its script could not be loaded; reload the page");
  expect(started.postMessage).not.toHaveBeenCalled();
});

/** A worker, the number of times that it has prepared for clicks, and what it answered. */
async function startWorker() {
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  const prepare = vi.fn();
  vi.doMock('../worker/merges', () => ({ prepareByName: prepare, prepareSandwich: vi.fn() }));
  const replies: { error?: string }[] = [];
  const scope = { onmessage: (_: object): void => {}, postMessage: (reply: object) => { replies.push(reply); } };
  vi.stubGlobal('self', scope);
  await import('../worker/tree.worker');
  let id = 0;
  const ask = async (request: object): Promise<string | undefined> => {
    scope.onmessage({ data: { id: ++id, request } });
    await vi.waitFor(() => expect(replies).toHaveLength(id));
    await vi.advanceTimersByTimeAsync(500);
    return replies[id - 1].error;
  };
  return { prepare, ask };
}

test.each([
  ['a graph of the server', () => ({ kind: 'load', buffer: binary(SHOP), as })],
  ['a local file', () => ({ kind: 'open', buffer: new TextEncoder().encode('main;query 2\n').buffer, as })],
])('the first click is prepared after %s', async (_, request) => {
  const { prepare, ask } = await startWorker();
  expect(await ask({ kind: 'open', buffer: new ArrayBuffer(0), as })).toBeDefined();
  expect(prepare).not.toHaveBeenCalled();
  expect(await ask(request())).toBeUndefined();
  await vi.waitFor(() => expect(prepare).toHaveBeenCalledTimes(1));
});
