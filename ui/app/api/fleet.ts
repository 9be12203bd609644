// The requests of the Fleet page, and the types of their responses.

import { ProblemError, problemFrom } from './problem';

export interface LastRun {
  at: number | null;
  outcome: string | null;
  error: string | null;
  duration_seconds: number | null;
  interval_seconds: number;
  stale: boolean;
}

export interface CollectorRow {
  member: string;
  due: number;
  doomed: number;
  doomed_since: number | null;
  last_run: LastRun | null;
}

export interface WorkersInState {
  state: string;
  workers: number;
  capacity: number;
  containers: number;
  volumes: number;
}

export interface FleetOverview {
  now: number;
  workers: WorkersInState[];
  builds: { pending: number; started: number; pending_since: number | null };
  collectors: CollectorRow[];
  containers_max: number;
  sync_interval_seconds: number;
  heartbeat_max_seconds: number;
}

export interface WorkerRow {
  name: string;
  state: string;
  since: number;
  heartbeat_at: number;
  synced_at: number;
  platform: string;
  /** A JSON array. */
  tags: string;
  capacity: number;
  version: string;
  /** JSON: destroys in progress, hung and failed ones, builds. */
  status: string | null;
  /** A JSON array. */
  foreign_handles: string;
  containers: number;
  volumes: number;
  doomed: number;
  missing: number;
  unknown_handles: number;
  unknown_at: number | null;
  disk_bytes: number | null;
  disk_free_bytes: number | null;
  process: string | null;
}

export interface BuildRow {
  id: number;
  state: string;
  since: number;
  created_at: number;
  created_by: string;
  /** JSON. */
  task: string;
  worker: string | null;
  is_ready: boolean;
  is_abort_requested: boolean;
  started_at: number | null;
  exit_code: number | null;
  error: string | null;
  log_bytes: number;
  /** What the task has used, when it is over: JSON. */
  usage: string | null;
}

/** What a cgroup has used; null for what the kernel does not offer. */
export interface Cgroup {
  cpu_seconds: number | null;
  memory_bytes: number | null;
  memory_peak_bytes: number | null;
  memory_max_bytes: number | null;
  read_bytes: number | null;
  written_bytes: number | null;
  pids: number | null;
  cpu_pressure_seconds: number | null;
  memory_pressure_seconds: number | null;
  io_pressure_seconds: number | null;
  oom_kills: number;
}

export interface ContainerRow {
  handle: string;
  worker: string;
  build: number | null;
  cgroup: Cgroup | null;
}

const TIMEOUT_MS = 8_000;
const address = (path: string): string => new URL(`api/v1/${path}`, new URL('.', document.baseURI)).href;

async function get<T>(path: string): Promise<T> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response: Response;
  try {
    response = await fetch(address(path), { headers: { accept: 'application/json' }, signal: timeout });
  } catch (error) {
    if (!timeout.aborted) throw error;
    throw new ProblemError({ title: `Davy did not respond within ${TIMEOUT_MS / 1000} s`, detail: '', status: 0 });
  }
  if (response.ok) return (await response.json()) as T;
  throw new ProblemError(problemFrom(response.status, response.headers.get('content-type') ?? '', await response.text()));
}

export const overview = (): Promise<FleetOverview> => get('fleet');
export const build = (id: number): Promise<BuildRow> => get(`builds/${id}`);

export function workers(state: string, after: string, limit: number): Promise<WorkerRow[]> {
  const q = new URLSearchParams({ limit: String(limit) });
  if (state !== '') q.set('state', state);
  if (after !== '') q.set('after', after);
  return get(`workers?${q}`);
}

export function builds(state: string, limit: number): Promise<BuildRow[]> {
  const q = new URLSearchParams({ limit: String(limit) });
  if (state !== '') q.set('state', state);
  return get(`builds?${q}`);
}

export const containers = (limit: number): Promise<ContainerRow[]> => get(`containers?state=created&limit=${limit}`);

/** What a log stream calls. */
export interface LogReader {
  text(text: string): void;
  end(row: BuildRow | null): void;
  /** The connection was lost; the browser connects again and continues after the last event. */
  lost(): void;
  open(): void;
}

/** Streams the log of a build from its start; returns a function that closes the stream. */
export function streamLog(id: number, reader: LogReader): () => void {
  const source = new EventSource(address(`builds/${id}/log`));
  source.addEventListener('log', (event) => reader.text(JSON.parse((event as MessageEvent<string>).data) as string));
  source.addEventListener('end', (event) => {
    source.close();
    reader.end(JSON.parse((event as MessageEvent<string>).data) as BuildRow | null);
  });
  source.addEventListener('open', () => reader.open());
  source.addEventListener('error', () => reader.lost());
  return () => source.close();
}
