// The overview of the archive, requested every minute while the page is visible.

import { effect, signal } from '@preact/signals';
import { overview as request } from '../api/archive';
import { type Problem, problemOf } from '../api/problem';
import type { ArchiveOverview } from '../api/types';

/** The server keeps an overview for as long. */
export const REFRESH_MS = 60_000;
const RETRY_MS = 10_000;

export const overview = signal<ArchiveOverview | null>(null);
/** Why the last request failed; null if it succeeded. */
export const problem = signal<Problem | null>(null);
export const loading = signal(false);
/** This page's clock in steps of some seconds, for the age of the data. */
export const clock = signal(Date.now());
/** Whether all services are listed. */
export const allServices = signal(false);
const visible = signal(document.visibilityState === 'visible');

let timer: number | undefined;
export async function refresh(): Promise<void> {
  if (loading.peek()) return;
  loading.value = true;
  clearTimeout(timer);
  try {
    overview.value = await request();
    problem.value = null;
  } catch (error) {
    problem.value = problemOf(error);
  }
  clock.value = Date.now();
  loading.value = false;
  if (visible.peek()) timer = window.setTimeout(() => void refresh(), problem.peek() === null ? REFRESH_MS : RETRY_MS);
}

document.addEventListener('visibilitychange', () => {
  visible.value = document.visibilityState === 'visible';
});
effect(() => {
  if (!visible.value) return;
  void refresh();
  const ticking = setInterval(() => { clock.value = Date.now(); }, 5_000);
  return () => {
    clearInterval(ticking);
    clearTimeout(timer);
  };
});
