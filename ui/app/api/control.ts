// Members, endpoints, changes and health: what the operator's API says, as it says it.

import { ProblemError, problemFrom } from './problem';

/** What work costs; rates are over the last seconds, totals since the start of the process. */
export interface Usage {
  cpu_seconds: number;
  cpu: number;
  heap_bytes: number;
  heap_error_bytes: number;
  alloc_bytes: number;
  alloc_bytes_per_second: number;
  tasks: number;
  polls: number;
  poll_p99_seconds: number;
  requests: number;
  requests_per_second: number;
  request_p99_seconds: number;
  in_flight: number;
  refused: number;
  db_queries: number;
  db_seconds: number;
}

export interface Toggle {
  enabled: boolean;
  limit: number | null;
  slot_seconds: number | null;
  who: string | null;
  why: string | null;
  at: number | null;
  source: string | null;
}

export interface LastRun {
  at: number | null;
  outcome: string | null;
  error: string | null;
  duration_seconds: number | null;
  interval_seconds: number;
  stale: boolean;
}

export interface Kernel {
  resident_bytes: number;
  cpu_seconds: number;
  threads: number;
  open_files: number;
  memory_limit_bytes: number;
}

export interface MemberRow extends Usage {
  name: string;
  process: string;
  host: string;
  pid: number;
  debug: string;
  /** `-` for work in a process that no member of it does. */
  state: string;
  since: number;
  restarts: number;
  leaked: number;
  child_pid: number | null;
  error: string | null;
  note: string | null;
  toggle: Toggle;
  last_run: LastRun | null;
  connections: { in_use: number; budget: number; waiting: number } | null;
  age_seconds: number;
  kernel: Kernel;
  operations: ({ op: string } & Usage)[];
}

export interface EndpointRow extends Usage {
  operation: string;
  method: string;
  path: string;
  member: string;
  summary: string;
  toggle: Toggle;
}

export interface AuditRow {
  id: number;
  at: number;
  who: string;
  what: string;
  name: string;
  detail: string | null;
  why: string | null;
  process: string | null;
  source: string;
}

export interface Complaint {
  member: string;
  state: string;
  error: string | null;
}

export interface Health {
  status: 'ok' | 'degraded' | 'failing';
  failing: Complaint[];
  degraded: Complaint[];
}

export interface Answered<T> {
  data: T;
  /** The server's clock when it answered, unix milliseconds; the page's own where it doesn't say. */
  at: number;
}

export interface Taken {
  name: string;
  obeyed_by: string;
  detail: string;
}

/** A request that changes something; its address is relative to `api/v1/`. */
export interface Change {
  method: 'PUT' | 'POST';
  path: string;
  body: object | null;
}

export interface Caller {
  who: string;
  token: string;
}

const PATIENCE_MS = 8_000;
const address = (path: string): string => new URL(`api/v1/${path}`, new URL('.', document.baseURI)).href;

async function ask(path: string, init: RequestInit): Promise<Response> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  try {
    return await fetch(address(path), { ...init, signal: patience });
  } catch (error) {
    if (!patience.aborted) throw error;
    const title = `No answer came within ${PATIENCE_MS / 1000} s`;
    throw new ProblemError({ title, detail: '', status: 0 });
  }
}

async function refusal(response: Response): Promise<ProblemError> {
  const type = response.headers.get('content-type') ?? '';
  return new ProblemError(problemFrom(response.status, type, await response.text()));
}

async function get<T>(path: string): Promise<Answered<T>> {
  const response = await ask(path, { headers: { accept: 'application/json' } });
  if (!response.ok) throw await refusal(response);
  const said = Date.parse(response.headers.get('date') ?? '');
  return { data: (await response.json()) as T, at: Number.isNaN(said) ? Date.now() : said };
}

export const members = (): Promise<Answered<MemberRow[]>> => get('members?by=process');
export const endpoints = (): Promise<Answered<EndpointRow[]>> => get('endpoints');
export const audit = (limit: number): Promise<Answered<AuditRow[]>> => get(`audit?limit=${limit}`);

/** A process that is failing says so with status 503, and in the same words. */
export async function health(): Promise<Health> {
  const response = await ask('health', { headers: { accept: 'application/json' } });
  const text = await response.text();
  try {
    const said = JSON.parse(text) as Partial<Health>;
    if (said.status !== undefined && said.failing && said.degraded) return said as Health;
  } catch {
    // Not the answer of this operation: told as the problem that it is.
  }
  throw new ProblemError(problemFrom(response.status, response.headers.get('content-type') ?? '', text));
}

export async function change({ method, path, body }: Change, { who, token }: Caller): Promise<Taken> {
  const headers: Record<string, string> = { accept: 'application/json', 'davy-user': who };
  if (token !== '') headers['authorization'] = `Bearer ${token}`;
  if (body !== null) headers['content-type'] = 'application/json';
  const response = await ask(path, { method, headers, ...(body === null ? {} : { body: JSON.stringify(body) }) });
  if (!response.ok) throw await refusal(response);
  return (await response.json()) as Taken;
}
