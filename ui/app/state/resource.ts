// A value fetched for a key. The last value remains visible while the next is fetched, so that a live
// page does not flicker; a response for a key that is no longer current is discarded.

import { type Signal, computed, effect, signal } from '@preact/signals';
import { type Problem, isTemporary, problemOf } from '../api/problem';

export interface Fetched<T> {
  data: T | null;
  /** The key for which `data` was fetched. */
  key: string | null;
  loading: boolean;
  /** Whether the request takes longer than usual. */
  slow: boolean;
  problem: Problem | null;
  /** Whether the request that failed will be repeated. */
  retrying: boolean;
}

export interface Resource<T> {
  state: Signal<Fetched<T>>;
  retry(): void;
  /** Gives up on the request in progress; the last value remains. */
  cancel(): void;
}

/** A request that takes longer shows a hint and can be cancelled. */
export const SLOW_MS = 4_000;

/** The times until a request is repeated whose failure can pass; the last one is used again. */
const RETRIES_MS = [2_000, 5_000, 15_000];

/** Repeats a request, when the page is visible: nobody waits for the data of a hidden page. */
function whenVisible(repeat: () => void, signal: AbortSignal): void {
  if (document.visibilityState === 'hidden') document.addEventListener('visibilitychange', repeat, { once: true, signal });
  else repeat();
}

/** Fetches the value whenever the key changes; a null key fetches nothing. */
export function resource<T>(
  key: () => string | null,
  fetcher: (key: string, signal: AbortSignal) => Promise<T>,
): Resource<T> {
  const state = signal<Fetched<T>>({ data: null, key: null, loading: false, slow: false, problem: null, retrying: false });
  const tries = signal(0);
  // The key of most changes of the page's state is the same: only another one is fetched.
  const current = computed(key);
  let cancel = (): void => {};
  let failures = 0;
  let latest: string | null = null;
  effect(() => {
    tries.value;
    const wanted = current.value;
    if (wanted !== latest) failures = 0;
    latest = wanted;
    if (wanted === null) {
      // Nothing is requested any more: a request in progress was aborted, and one that failed is not repeated.
      state.value = { ...state.peek(), loading: false, slow: false, problem: null, retrying: false };
      return;
    }
    const control = new AbortController();
    state.value = { ...state.peek(), loading: true, slow: false };
    const hint = setTimeout(() => { state.value = { ...state.peek(), slow: true }; }, SLOW_MS);
    let again: ReturnType<typeof setTimeout> | undefined;
    const end = (): void => {
      clearTimeout(hint);
      clearTimeout(again);
      control.abort();
    };
    cancel = () => {
      end();
      state.value = { ...state.peek(), loading: false, slow: false, retrying: false, problem: { title: 'Cancelled', detail: 'The request took too long and was cancelled', status: 0 } };
    };
    fetcher(wanted, control.signal).then(
      (data) => {
        clearTimeout(hint);
        if (control.signal.aborted) return;
        failures = 0;
        state.value = { data, key: wanted, loading: false, slow: false, problem: null, retrying: false };
      },
      (error) => {
        clearTimeout(hint);
        if (control.signal.aborted) return;
        const problem = problemOf(error);
        const retrying = isTemporary(problem);
        if (retrying) again = setTimeout(() => whenVisible(() => { tries.value++; }, control.signal), RETRIES_MS[Math.min(failures++, RETRIES_MS.length - 1)]);
        state.value = { ...state.peek(), loading: false, slow: false, problem, retrying };
      },
    );
    return end;
  });
  return { state, retry: () => { tries.value++; }, cancel: () => cancel() };
}
