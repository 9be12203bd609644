// The API's responses, field by field as the server sends them.

export interface Series {
  labels: Record<string, string>;
  /** [start of the time bucket in unix ms, value]; buckets without data are absent. */
  points: [number, number][];
}

export interface SeriesAnswer {
  type: string;
  unit: string;
  step_ms: number;
  from: number;
  until: number;
  /** Sentences that name what is missing from the response; empty if it is complete. */
  partial: string[];
  /** How the windows of a time bucket were combined: `sum` or `average`; absent in older servers. */
  aggregation?: string;
  series: Series[];
}

/** One function of the table, in the profile's unit. */
export interface FunctionRow {
  name: string;
  file: string;
  self: number;
  total: number;
}

export interface TopAnswer {
  type: string;
  unit: string;
  total: number;
  partial: string[];
  functions: FunctionRow[];
}

/** Usage of a member or an operation. Rates cover the last seconds, totals the time since the process started. */
export interface Usage {
  cpu_seconds: number;
  /** Cores: 1 is one core fully used. */
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

/** The state of a toggle; `operator` to `source` are null unless an operator or the configuration set it. */
export interface Toggle {
  enabled: boolean;
  limit: number | null;
  slot_seconds: number | null;
  operator: string | null;
  why: string | null;
  at: number | null;
  source: string | null;
}

/** The last run of a periodic member. `at` is the time of the last success. */
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
  /** The address of the process's debug port. */
  debug: string;
  /** `-` for usage that does not belong to a member of the process. */
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
  operator: string;
  what: string;
  name: string;
  detail: string | null;
  why: string | null;
  process: string | null;
  source: string;
}

export interface HealthIssue {
  member: string;
  state: string;
  error: string | null;
}

export interface Health {
  status: 'ok' | 'degraded' | 'failing';
  failing: HealthIssue[];
  degraded: HealthIssue[];
}

/** A request that changes something; its path is relative to `api/v1/`. */
export interface Change {
  method: 'PUT' | 'POST';
  path: string;
  body: object | null;
}

/** The response to a change. */
export interface ChangeReply {
  name: string;
  detail: string;
}
