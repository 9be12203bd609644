// The lines of the page: members summed over the fleet, by process, or operations. One set of rows
// makes all three, so that a look from another side asks the server for nothing.

import type { Usage, EndpointRow, MemberRow, Toggle } from '../../api/control';
import { NOTHING, sum } from './usage';
import type { By } from './address';

export interface Line {
  /** The same from one look to the next; it can stand in an address. */
  key: string;
  kind: 'process' | 'member' | 'operation';
  name: string;
  /** The member that it is or belongs to; '' for a process. */
  member: string;
  op: string | null;
  /** The process that it is of; null where it is summed. */
  process: string | null;
  usage: Usage;
  /** What was added up: a row for each process. */
  rows: MemberRow[];
  state: string;
  /** How many of the rows are in that state. */
  inState: number;
  endpoint: EndpointRow | null;
  /** Null where nothing can be toggled. */
  toggle: Toggle | null;
  children: Line[];
}

/** The most telling state first; of several processes that one is shown. */
const TELLING = ['failed', 'backing-off', 'waiting', 'starting', 'draining', 'off', 'stopped', 'ready', '-'];

/** How telling a state is; one that this page does not know is more so than any that it does. */
export function severity(state: string): number {
  const at = TELLING.indexOf(state);
  return TELLING.length - (at < 0 ? -1 : at);
}

/** Work that no member of its process does: its rows have a usage and nothing else. */
export const NO_STATE = '-';

/** Work of a member that said no finer. */
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

function memberLine(key: string, rows: MemberRow[], endpoints: Endpoints, process: string | null): Line {
  const state = rows.reduce((worst, row) => (severity(row.state) > severity(worst) ? row.state : worst), rows[0].state);
  const { name } = rows[0];
  const line: Line = {
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

function operationLines(parent: Line, endpoints: Endpoints): Line[] {
  const usages = new Map<string, Usage[]>();
  for (const row of parent.rows) {
    for (const operation of row.operations) {
      const known = usages.get(operation.op);
      if (known) known.push(operation);
      else usages.set(operation.op, [operation]);
    }
  }
  const own = parent.state === NO_STATE ? [] : (endpoints.get(parent.member) ?? []);
  // An endpoint that nobody has asked for yet can be toggled as well.
  for (const { operation } of own) if (!usages.has(operation)) usages.set(operation, [NOTHING]);
  return [...usages].map(([op, parts]) => {
    const endpoint = own.find((e) => e.operation === op) ?? null;
    return {
      key: `${parent.key}/${op}`, kind: 'operation', name: op === '' ? NO_OPERATION : op, member: parent.member, op,
      process: parent.process, usage: sum(parts), rows: [], state: '', inState: 0, endpoint,
      toggle: endpoint?.toggle ?? null, children: [],
    };
  });
}

function processLine(key: string, rows: MemberRow[], endpoints: Endpoints): Line {
  const { process } = rows[0];
  return {
    key, kind: 'process', name: process, member: '', op: null, process, usage: sum(rows), rows,
    state: '', inState: 0, endpoint: null, toggle: null,
    children: rows.map((row) => memberLine(`${key}/${row.name}`, [row], endpoints, process)),
  };
}

/** The lines, as a tree and in no order. */
export function lines(rows: readonly MemberRow[], endpoints: readonly EndpointRow[], by: By): Line[] {
  const served: Endpoints = new Map();
  for (const endpoint of endpoints) served.set(endpoint.member, [...(served.get(endpoint.member) ?? []), endpoint]);
  if (by === 'process') {
    return [...grouped(rows, processKey)].map(([key, group]) => processLine(key, group, served));
  }
  const members = [...grouped(rows, (row) => row.name)].map(([name, group]) => memberLine(name, group, served, null));
  if (by === 'member') return members;
  // Nothing above an operation shows that its member is off.
  return members.flatMap((member) => member.children.map((child) => ({ ...child, state: member.state })));
}

/** Whether nothing was ever done in its name. */
export const isIdle = ({ usage }: Line): boolean =>
  usage.polls === 0 && usage.requests === 0 && usage.heap_bytes === 0 && usage.cpu_seconds === 0 && usage.alloc_bytes === 0;

/** Every line of a tree, the outer ones first. */
export function* everyLine(tree: readonly Line[]): Generator<Line> {
  for (const line of tree) {
    yield line;
    yield* everyLine(line.children);
  }
}
