// The lines of the table: members summed over the fleet, processes, or operations. All three come
// from the same rows, so changing the grouping needs no request.

import type { EndpointRow, MemberRow, Toggle, Usage } from '../../api/types';
import type { By } from './urlstate';
import { NO_USAGE, sum } from './usage';

export interface TableLine {
  /** Stable across refreshes; it appears in the URL. */
  key: string;
  kind: 'process' | 'member' | 'operation';
  name: string;
  /** The member itself, or the member of an operation; '' for a process. */
  member: string;
  op: string | null;
  /** The process; null if the line is a sum over processes. */
  process: string | null;
  usage: Usage;
  /** The rows that were summed: one per process. */
  rows: MemberRow[];
  state: string;
  /** The number of rows in that state. */
  inState: number;
  endpoint: EndpointRow | null;
  /** Null if the line cannot be toggled. */
  toggle: Toggle | null;
  children: TableLine[];
}

/** The most severe state first; a line over several processes shows the most severe one. */
const STATES = ['failed', 'backing off', 'waiting', 'starting', 'draining', 'disabled', 'stopped', 'ready', '-'];

/** Larger for a more severe state. A state that this page does not know is the most severe. */
export function severity(state: string): number {
  const at = STATES.indexOf(stateText(state));
  return STATES.length - (at < 0 ? -1 : at);
}

/** The state of untagged usage, which does not belong to a member. */
export const NO_STATE = '-';

/** The state as shown: a disabled member has the state `off` in the API, and words are joined by `-`. */
export const stateText = (state: string): string => (state === 'off' ? 'disabled' : state.replace(/(\w)-(?=\w)/g, '$1 '));
export const isDisabled = (state: string): boolean => stateText(state) === 'disabled';

/** Usage of a member outside of its operations. */
export const NO_OPERATION = '(no operation)';

const processKey = (row: MemberRow): string => `${row.process}:${row.host}:${row.pid}`;

function grouped(rows: readonly MemberRow[], of: (row: MemberRow) => string): Map<string, MemberRow[]> {
  const groups = new Map<string, MemberRow[]>();
  for (const row of rows) {
    const key = of(row);
    const group = groups.get(key);
    if (group) group.push(row);
    else groups.set(key, [row]);
  }
  return groups;
}

function memberLine(key: string, rows: MemberRow[], endpoints: Endpoints, process: string | null): TableLine {
  const state = rows.reduce((worst, row) => (severity(row.state) > severity(worst) ? row.state : worst), rows[0].state);
  const { name } = rows[0];
  const line: TableLine = {
    key, kind: 'member', name, member: name, op: null, process, rows, state,
    usage: sum(rows),
    inState: rows.filter((row) => row.state === state).length,
    endpoint: null,
    toggle: rows.find((row) => row.state !== NO_STATE)?.toggle ?? null,
    children: [],
  };
  line.children = operationLines(line, endpoints);
  return line;
}

type Endpoints = Map<string, EndpointRow[]>;

function operationLines(parent: TableLine, endpoints: Endpoints): TableLine[] {
  const byOperation = new Map<string, Usage[]>();
  for (const row of parent.rows) {
    for (const operation of row.operations) {
      const known = byOperation.get(operation.op);
      if (known) known.push(operation);
      else byOperation.set(operation.op, [operation]);
    }
  }
  const own = parent.state === NO_STATE ? [] : (endpoints.get(parent.member) ?? []);
  // An endpoint without requests so far can be toggled as well.
  for (const { operation } of own) if (!byOperation.has(operation)) byOperation.set(operation, [NO_USAGE]);
  return [...byOperation].map(([op, parts]) => {
    const endpoint = own.find((e) => e.operation === op) ?? null;
    return {
      key: `${parent.key}/${op}`, kind: 'operation', name: op === '' ? NO_OPERATION : op, member: parent.member, op,
      process: parent.process, usage: sum(parts), rows: [], state: '', inState: 0, endpoint,
      toggle: endpoint?.toggle ?? null, children: [],
    };
  });
}

function processLine(key: string, rows: MemberRow[], endpoints: Endpoints): TableLine {
  const { process } = rows[0];
  return {
    key, kind: 'process', name: process, member: '', op: null, process, usage: sum(rows), rows,
    state: '', inState: 0, endpoint: null, toggle: null,
    children: rows.map((row) => memberLine(`${key}/${row.name}`, [row], endpoints, process)),
  };
}

/** The lines as a tree, unordered. */
export function lines(rows: readonly MemberRow[], endpoints: readonly EndpointRow[], by: By): TableLine[] {
  const byMember: Endpoints = new Map();
  for (const endpoint of endpoints) byMember.set(endpoint.member, [...(byMember.get(endpoint.member) ?? []), endpoint]);
  if (by === 'process') {
    return [...grouped(rows, processKey)].map(([key, group]) => processLine(key, group, byMember));
  }
  const members = [...grouped(rows, (row) => row.name)].map(([name, group]) => memberLine(name, group, byMember, null));
  if (by === 'member') return members;
  // The operation shows the state of its member, which has no line here.
  return members.flatMap((member) => member.children.map((child) => ({ ...child, state: member.state })));
}

/** Whether the line has no usage at all. */
export const isIdle = ({ usage }: TableLine): boolean =>
  usage.polls === 0 && usage.requests === 0 && usage.heap_bytes === 0 && usage.cpu_seconds === 0 && usage.alloc_bytes === 0;

/** Every line of a tree, parents first. */
export function* everyLine(tree: readonly TableLine[]): Generator<TableLine> {
  for (const line of tree) {
    yield line;
    yield* everyLine(line.children);
  }
}
