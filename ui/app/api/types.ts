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

/** A start of a process, newest first. */
export interface ProcessRow {
  id: string;
  kind: string;
  host: string;
  pid: number;
  version: string;
  started_at: number;
  stopped_at: number | null;
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

/** A level of the archive; `first` and `last` are hours (`2026-03-01/05`), days (`2026-03-01`) or months (`2026-03`) in UTC, or empty. */
export interface ArchiveLevel {
  level: string;
  pieces: number;
  bytes: number;
  first: string;
  last: string;
  lag_seconds: number;
  backlog: number;
}

export interface ArchiveService {
  service: string;
  hour_bytes: number;
  day_bytes: number;
  month_bytes: number;
}

/** How long a level is kept, what is deleted next, and what is older but has no day block yet. */
export interface ArchiveKept {
  level: string;
  seconds: number;
  due_pieces: number;
  due_bytes: number;
  waiting_pieces: number;
  waiting_bytes: number;
}

/** How long the series of a rule are kept, and what expires next. */
export interface ArchiveRule {
  selector: string;
  seconds: number;
  due_blocks: number;
  due_bytes: number;
}

export interface ArchiveRequestRow {
  request: string;
  level: string;
  requests: number;
  bytes: number;
  /** Null without a price. */
  charge: number | null;
}

export interface ArchiveCharges {
  currency: string;
  requests: number;
  transfer: number | null;
  storage_per_month: number | null;
  missing: string[];
}

export interface ArchiveOverview {
  tenant: string;
  listed_at: number;
  levels: ArchiveLevel[];
  archivers: { present: number; last_seen: number | null };
  services: ArchiveService[];
  services_cut: number;
  blocks_counted: number;
  blocks: number;
  retention: { due_within_seconds: number; levels: ArchiveKept[]; rules: ArchiveRule[] };
  quarantine: { objects: number; bytes: number; last: { reason: string; key: string; bytes: number; at: number }[] };
  symbols: { objects: number; bytes: number };
  requests: { since: number; rows: ArchiveRequestRow[] };
  /** Null without `[bucket.prices]`. */
  charges: ArchiveCharges | null;
  cost: { requests: number; bytes: number; cached_bytes: number; decoded_bytes: number };
  partial: string[];
}

export type Base = 'hour' | 'day' | 'week';
export type MeasureName = 'cpu' | 'heap' | 'allocations' | 'requests' | 'errors' | 'p99';
export type ChangeKind = 'grew' | 'shrank' | 'new' | 'gone' | 'same' | 'unknown';

export interface ChangesRange {
  name: 'now' | Base;
  from: number;
  until: number;
  effective_from: number;
  effective_until: number;
  /** Where there are windows; 0 without any. */
  covered_from: number;
  covered_until: number;
  windows: number;
  partial: string[];
}

export interface ChangesMeasure {
  name: MeasureName;
  unit: string;
  type: string;
  /** Sums over all groups; percentiles do not add up. */
  now?: number;
  before?: Partial<Record<Base, number>>;
}

export interface UsageChange {
  labels: Record<string, string>;
  measure: MeasureName;
  kind: ChangeKind;
  /** The change as a share of all groups. */
  score: number;
  now: number;
  /** Without the ranges that do not have the measure. */
  before: Partial<Record<Base, number>>;
}

/** The usage of each group now, against an hour, a day and a week ago, ranked by change. */
export interface ChangesAnswer {
  from: number;
  until: number;
  by: string[];
  selector: string;
  against: Base | null;
  ranges: ChangesRange[];
  measures: ChangesMeasure[];
  cut: number;
  changes: UsageChange[];
}
