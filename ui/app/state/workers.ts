// The state of the Fleet page, refreshed periodically while the page is visible.

import { batch, effect, signal } from '@preact/signals';
import { type BuildRow, type Cgroup, type FleetOverview, type WorkerRow, builds as requestBuilds, containers as requestContainers, overview as requestOverview, streamLog, workers as requestWorkers } from '../api/fleet';
import { type Problem, problemOf } from '../api/problem';
import { type LogLines, NO_LINES, appended } from '../logic/fleet/loglines';
import { type FleetView, fleetFromUrl, fleetToUrl } from '../logic/fleet/urlstate';

export const REFRESH_MS = 2_000;
export const WORKERS_SHOWN = 100;
const BUILDS_SHOWN = 20;
/** Containers whose figures are looked up; those of the builds that are shown are among them in all but very large fleets. */
const CONTAINERS_READ = 1_000;

export const overview = signal<FleetOverview | null>(null);
export const workers = signal<WorkerRow[]>([]);
/** Running and waiting builds, then the latest others. */
export const builds = signal<BuildRow[]>([]);
/** What the containers of running builds have used, by build. */
export const usage = signal<Map<number, Cgroup>>(new Map());
export const problem = signal<Problem | null>(null);
/** When the page was last refreshed, by its own clock. */
export const seenAt = signal(0);
export const clock = signal(Date.now());
export const view = signal<FleetView>(fleetFromUrl(location.search));
const visible = signal(document.visibilityState === 'visible');

/** The time of the database, which dates everything on this page. */
export const now = (): number => (overview.value?.now ?? 0) + Math.max(0, clock.value - seenAt.value);

export function show(change: Partial<FleetView>): void {
  view.value = { ...view.peek(), ...change };
  history.pushState(null, '', `./fleet${fleetToUrl(view.peek())}`);
  if (change.state !== undefined || change.after !== undefined) void refresh();
}

addEventListener('popstate', () => {
  view.value = fleetFromUrl(location.search);
  void refresh();
});

/** Builds that are not over first, each once, newest first. */
function merged(open: BuildRow[], latest: BuildRow[]): BuildRow[] {
  const rows = new Map([...open, ...latest].map((row) => [row.id, row]));
  const isOpen = (row: BuildRow): number => Number(row.state === 'pending' || row.state === 'started');
  return [...rows.values()].sort((a, b) => isOpen(b) - isOpen(a) || b.id - a.id).slice(0, 2 * BUILDS_SHOWN);
}

let timer: number | undefined;
let fetching = false;
let again = false;
export async function refresh(): Promise<void> {
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  clearTimeout(timer);
  const { state, after } = view.peek();
  try {
    const [of, rows, started, pending, latest] = await Promise.all([
      requestOverview(),
      requestWorkers(state, after, WORKERS_SHOWN),
      requestBuilds('started', BUILDS_SHOWN),
      requestBuilds('pending', BUILDS_SHOWN),
      requestBuilds('', BUILDS_SHOWN),
    ]);
    const running = started.length === 0 ? [] : await requestContainers(CONTAINERS_READ);
    batch(() => {
      overview.value = of;
      workers.value = rows;
      builds.value = merged([...started, ...pending], latest);
      usage.value = new Map(running.flatMap(({ build, cgroup }) => (build === null || cgroup === null ? [] : [[build, cgroup] as const])));
      problem.value = null;
      seenAt.value = clock.value = Date.now();
    });
  } catch (error) {
    problem.value = problemOf(error);
  }
  fetching = false;
  if (again) {
    again = false;
    void refresh();
    return;
  }
  if (visible.peek()) timer = window.setTimeout(() => void refresh(), REFRESH_MS);
}

document.addEventListener('visibilitychange', () => {
  visible.value = document.visibilityState === 'visible';
});
effect(() => {
  if (!visible.value) return;
  void refresh();
  const ticking = setInterval(() => { clock.value = Date.now(); }, 1_000);
  return () => {
    clearInterval(ticking);
    clearTimeout(timer);
  };
});

export const log = signal<LogLines>(NO_LINES);
/** `connecting`, `live`, `reconnecting` or `over`. */
export const logState = signal<'connecting' | 'live' | 'reconnecting' | 'over'>('connecting');
export const ended = signal<BuildRow | null>(null);

let shown = 0;
let close = (): void => {};
effect(() => {
  const { build } = view.value;
  // A change of the filter does not restart the stream.
  if (build === shown) return;
  shown = build;
  close();
  close = () => {};
  batch(() => {
    log.value = NO_LINES;
    logState.value = 'connecting';
    ended.value = null;
  });
  if (build === 0) return;
  let pending = '';
  let frame = 0;
  const draw = (): void => {
    frame = 0;
    log.value = appended(log.peek(), pending);
    pending = '';
  };
  const stop = streamLog(build, {
    // Many parts arrive in one frame of a fast task.
    text: (text) => {
      pending += text;
      if (frame === 0) frame = requestAnimationFrame(draw);
    },
    end: (row) => {
      ended.value = row;
      logState.value = 'over';
      void refresh();
    },
    open: () => { logState.value = 'live'; },
    lost: () => { if (logState.peek() !== 'over') logState.value = 'reconnecting'; },
  });
  close = () => {
    stop();
    cancelAnimationFrame(frame);
  };
});
