// A value fetched for a key. The last value remains visible while the next is fetched, so that a live
// page does not flicker; a response for a key that is no longer current is discarded.

import { type Signal, effect, signal } from '@preact/signals';
import { type Problem, problemOf } from '../api/problem';

export interface Fetched<T> {
  data: T | null;
  /** The key for which `data` was fetched. */
  key: string | null;
  loading: boolean;
  problem: Problem | null;
}

export interface Resource<T> {
  state: Signal<Fetched<T>>;
  retry(): void;
}

/** Fetches the value whenever the key changes; a null key fetches nothing. */
export function resource<T>(
  key: () => string | null,
  fetcher: (key: string, signal: AbortSignal) => Promise<T>,
): Resource<T> {
  const state = signal<Fetched<T>>({ data: null, key: null, loading: false, problem: null });
  const tries = signal(0);
  effect(() => {
    tries.value;
    const wanted = key();
    if (wanted === null) return;
    const control = new AbortController();
    state.value = { ...state.peek(), loading: true };
    fetcher(wanted, control.signal).then(
      (data) => {
        if (!control.signal.aborted) state.value = { data, key: wanted, loading: false, problem: null };
      },
      (error) => {
        if (control.signal.aborted) return;
        state.value = { ...state.peek(), loading: false, problem: problemOf(error) };
      },
    );
    return () => control.abort();
  });
  return { state, retry: () => { tries.value++; } };
}
