// Toggling: what can be done to a line, the request for it, and whether the caller is fit for it.

import type { AuditRow, Change, EndpointRow, Toggle } from '../../api/control';
import { NO_STATE, type Line } from './lines';

export type Action = 'off' | 'limit' | 'on' | 'restart' | 'wake';

export const ACTIONS: Record<Action, { label: string; title: string }> = {
  off: { label: 'Off', title: 'Off, in every process, until somebody enables it again' },
  limit: { label: 'Limit', title: 'So many requests at a time; more are refused with 429' },
  on: { label: 'On', title: 'Back to what the configuration says' },
  restart: { label: 'Restart', title: 'Stopped and started again, wherever it runs' },
  wake: { label: 'Run now', title: 'One run now, by whichever process is first' },
};

/** The likeliest wish comes first, and is what Enter does. */
export function actionsOf(line: Line): Action[] {
  const said = line.toggle;
  if (said === null) return [];
  const wake = line.rows.some((row) => row.last_run !== null);
  if (line.kind === 'operation') {
    if (!said.enabled) return ['on', 'limit'];
    return said.limit === null ? ['off', 'limit'] : ['off', 'limit', 'on'];
  }
  if (!said.enabled) return ['on'];
  return wake ? ['off', 'restart', 'wake'] : ['off', 'restart'];
}

export interface Wish {
  action: Action;
  why: string;
  limit: number;
  /** A duration such as `30s`; '' leaves it to the server. */
  slot: string;
}

export function request(line: Pick<Line, 'kind' | 'member' | 'op'>, { action, why, limit, slot }: Wish): Change {
  const reason = why.trim();
  if (line.kind === 'operation') {
    const path = `endpoints/${encodeURIComponent(line.op ?? '')}`;
    if (action === 'limit') {
      const body = { limit, ...(slot.trim() === '' ? {} : { slot: slot.trim() }), why: reason };
      return { method: 'PUT', path, body };
    }
    return { method: 'PUT', path, body: { enabled: action === 'on', why: reason } };
  }
  const path = `members/${encodeURIComponent(line.member)}`;
  if (action === 'restart') return { method: 'POST', path: `${path}/restart`, body: { why: reason } };
  if (action === 'wake') return { method: 'POST', path: `${path}/wake`, body: null };
  return { method: 'PUT', path, body: { enabled: action === 'on', why: reason } };
}

/** What keeps a wish from being sent, in a sentence; null when nothing does. */
export function objection(wish: Wish, who: string): string | null {
  const name = who.trim();
  if (name === '') return 'Your name is needed: it will stand beside the change.';
  // It travels in a header, which carries nothing else.
  if (!/^[\x20-\x7e]+$/.test(name)) return 'The name can have plain Latin letters, digits and punctuation only.';
  if (wish.why.trim() === '' && wish.action !== 'on' && wish.action !== 'wake') {
    return 'A reason is needed: whoever comes next will read it.';
  }
  if (wish.action === 'limit' && !(Number.isInteger(wish.limit) && wish.limit >= 1)) {
    return 'A limit is a whole number from 1.';
  }
  return null;
}

/** What this page itself is served by. */
const OWN = ['GetPage', 'GetAsset', 'ListMembers', 'ListEndpoints', 'ToggleMember', 'ToggleEndpoint'];

/** Why toggling that off would take the means to toggle it on again; null where it would not. */
export function warning(line: Line, action: Action, endpoints: readonly EndpointRow[], debug: readonly string[]): string | null {
  if (action !== 'off') return null;
  const own = line.kind === 'operation'
    ? OWN.includes(line.op ?? '')
    : endpoints.some((e) => e.member === line.member && OWN.includes(e.operation));
  if (!own) return null;
  const doors = debug.length > 0 ? `the debug port of a process (${debug.slice(0, 3).join(', ')})` : 'the debug port of a process';
  return `This page works through ${line.name}. Once off it can be enabled again only from a terminal, or at ${doors}.`;
}

/** How a line is toggled, in a word or two. */
export function toggleWord(said: Toggle): string {
  if (!said.enabled) return 'off';
  return said.limit === null ? 'on' : `limit ${said.limit}`;
}

/** Whether somebody said anything about it, so that who and why belong on the line. */
export const isToggled = (said: Toggle | null): said is Toggle =>
  said !== null && (!said.enabled || said.limit !== null || said.who !== null);

/** Whether its work is cut: it is off, or lets in so many at a time. */
export const isCut = (said: Toggle | null): said is Toggle => said !== null && (!said.enabled || said.limit !== null);

/** Members that can be toggled have a state. */
export const isToggleable = (line: Line): boolean => line.toggle !== null && line.state !== NO_STATE;

/** What a change did, in words; what is not known stays as the server says it. */
export function changeWords({ what, detail }: Pick<AuditRow, 'what' | 'detail'>): string {
  const said = parsed(detail);
  const did = what.slice(what.indexOf('.') + 1);
  if (did === 'disable') return 'disabled';
  if (did === 'enable') return 'enabled';
  if (did === 'clear') return 'back to the configuration';
  if (did === 'restart') return 'restarted';
  if (did === 'wake') return 'run now';
  if (did === 'limit' && typeof said['limit_to'] === 'number') {
    const slot = said['slot_ms'];
    return `limited to ${said['limit_to']} at a time${typeof slot === 'number' ? `, ${slot / 1000} s each` : ''}`;
  }
  if (did === 'configure') return `configured ${String(said['after'] ?? 'on')}, was ${String(said['before'] ?? 'on')}`;
  return detail === null || detail === '' ? what : `${what} ${detail}`;
}

function parsed(detail: string | null): Record<string, unknown> {
  try {
    const said: unknown = JSON.parse(detail ?? '');
    return typeof said === 'object' && said !== null ? (said as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
