import { signal } from '@preact/signals';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ProblemError, isTemporary, problemFrom, problemOf } from '../api/problem';
import { resource } from '../state/resource';

const lost = new TypeError('fetch failed');
const refused = (status: number, detail: string) => problemFrom(status, 'application/problem+json', JSON.stringify({ title: 'Service Unavailable', detail }));
const page = Object.assign(new EventTarget(), { visibilityState: 'visible' });

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('document', page);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A resource whose requests fail, with its key and the keys that were requested. */
function failing(error: Error = lost) {
  const key = signal<string | null>('a');
  const requests: string[] = [];
  const { state } = resource(() => key.value, (of) => {
    requests.push(of);
    return Promise.reject(error);
  });
  return { key, requests, state };
}

test('only failures that can pass are repeated', () => {
  expect([lost, new Error('x')].map((error) => isTemporary(problemOf(error)))).toEqual([true, false]);
  expect([429, 500, 502, 503, 504].filter((status) => isTemporary(refused(status, 'not ready')))).toEqual([502, 503]);
  expect(isTemporary(refused(503, 'the bucket is not available'))).toBe(true);
  expect(isTemporary(refused(503, 'query.flamegraph was disabled by ada at 03:12: disk nearly full'))).toBe(false);
  expect(isTemporary(refused(503, 'query.flamegraph is disabled'))).toBe(false);
});

test('a request is repeated after 2, 5 and then every 15 seconds, and another key begins again', async () => {
  const { key, requests } = failing();
  for (const [ms, count] of [[1_900, 1], [200, 2], [4_800, 2], [200, 3], [14_800, 3], [200, 4], [15_000, 5]]) {
    await vi.advanceTimersByTimeAsync(ms);
    expect(requests.length).toBe(count);
  }
  key.value = 'b';
  await vi.advanceTimersByTimeAsync(2_100);
  expect(requests.slice(5)).toEqual(['b', 'b']);
  key.value = null;
});

test('without a key nothing is repeated, and no failure is shown', async () => {
  const { key, requests, state } = failing();
  await vi.advanceTimersByTimeAsync(0);
  expect(state.value).toMatchObject({ retrying: true, loading: false });
  expect(state.value.problem).not.toBeNull();
  key.value = null;
  expect(state.value).toMatchObject({ retrying: false, problem: null, loading: false });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(requests).toEqual(['a']);
});

test('a hidden page repeats a request when it becomes visible', async () => {
  const { key, requests } = failing();
  await vi.advanceTimersByTimeAsync(0);
  page.visibilityState = 'hidden';
  await vi.advanceTimersByTimeAsync(60_000);
  expect(requests.length).toBe(1);
  page.visibilityState = 'visible';
  page.dispatchEvent(new Event('visibilitychange'));
  expect(requests.length).toBe(2);
  page.dispatchEvent(new Event('visibilitychange'));
  expect(requests.length).toBe(2);
  key.value = null;
});

test('a request to a disabled endpoint is not repeated', async () => {
  const { requests, state } = failing(new ProblemError(refused(503, 'query.flamegraph was disabled by ada at 03:12: no reason given')));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(requests.length).toBe(1);
  expect(state.value.retrying).toBe(false);
});
