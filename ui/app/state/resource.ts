// A value fetched for a key. While the next one is on its way the last one stays on show, so that a
// live page doesn't flicker; an answer that comes after its key was left is thrown away.

import { type Signal, effect, signal } from '@preact/signals';
import { type Problem, problemOf } from '../api/problem';

export interface Fetched<T> {
  data: T | null;
  /** The key that `data` answers. */
  key: string | null;
  loading: boolean;
  problem: Problem | null;
}

export interface Resource<T> {
  state: Signal<Fetched<T>>;
  retry(): void;
}

/** `key` null means that there is nothing to ask yet. */
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
