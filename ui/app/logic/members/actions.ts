// What an operator can do to a member or endpoint: the actions, their requests, and checks before sending.

import type { AuditRow, Change, EndpointRow, Toggle } from '../../api/types';
import { counted } from '../format';
import { NO_STATE, type TableLine } from './lines';

export type Action = 'disable' | 'limit' | 'enable' | 'restart' | 'run';

export const ACTIONS: Record<Action, { label: string; title: string }> = {
  disable: { label: 'Disable', title: 'Disable in every process until an operator enables it again' },
  limit: { label: 'Limit', title: 'Limit concurrent requests in the whole fleet; further requests get status 429' },
  enable: { label: 'Enable', title: 'Remove the toggle, so that the configuration applies again' },
  restart: { label: 'Restart', title: 'Stop and start the member in every process that hosts it' },
  run: { label: 'Run now', title: 'Run once now, in one of its processes' },
};

/** The possible actions; the first is the default of the form. */
export function actionsOf(line: TableLine): Action[] {
  const { toggle } = line;
  if (toggle === null) return [];
  if (line.kind === 'operation') {
    if (!toggle.enabled) return ['enable', 'limit'];
    return toggle.limit === null ? ['disable', 'limit'] : ['disable', 'limit', 'enable'];
  }
  if (!toggle.enabled) return ['enable'];
  const periodic = line.rows.some((row) => row.last_run !== null);
  return periodic ? ['disable', 'restart', 'run'] : ['disable', 'restart'];
}

export interface ActionRequest {
  action: Action;
  why: string;
  limit: number;
  /** The maximum time that a request occupies a slot, such as `30s`; '' for the server's default. */
  slot: string;
}

export function request(line: Pick<TableLine, 'kind' | 'member' | 'op'>, { action, why, limit, slot }: ActionRequest): Change {
  const reason = why.trim();
  if (line.kind === 'operation') {
    const path = `endpoints/${encodeURIComponent(line.op ?? '')}`;
    if (action === 'limit') {
      const body = { limit, ...(slot.trim() === '' ? {} : { slot: slot.trim() }), why: reason };
      return { method: 'PUT', path, body };
    }
    return { method: 'PUT', path, body: { enabled: action === 'enable', why: reason } };
  }
  const path = `members/${encodeURIComponent(line.member)}`;
  if (action === 'restart') return { method: 'POST', path: `${path}/restart`, body: { why: reason } };
  if (action === 'run') return { method: 'POST', path: `${path}/wake`, body: null };
  return { method: 'PUT', path, body: { enabled: action === 'enable', why: reason } };
}

/** Why the form cannot be sent, as a sentence; null if it can. */
export function validationError({ action, why, limit }: ActionRequest, who: string): string | null {
  const name = who.trim();
  if (name === '') return 'Enter your name: it is recorded with the change.';
  // The name is sent in a header.
  if (!/^[\x20-\x7e]+$/.test(name)) return 'The name may contain only ASCII letters, digits and punctuation.';
  if (why.trim() === '' && action !== 'enable' && action !== 'run') {
    return 'Enter a reason: it is shown to other operators.';
  }
  if (action === 'limit' && !(Number.isInteger(limit) && limit >= 1)) {
    return 'The limit must be a whole number of at least 1.';
  }
  return null;
}

/** The endpoints that serve this page. */
const PAGE_ENDPOINTS = ['GetPage', 'GetAsset', 'ListMembers', 'ListEndpoints', 'ToggleMember', 'ToggleEndpoint'];

/** A warning if disabling the line would make this page unable to enable it again; null otherwise. */
export function warning(line: TableLine, action: Action, endpoints: readonly EndpointRow[], debugListeners: readonly string[]): string | null {
  if (action !== 'disable') return null;
  const servesPage = line.kind === 'operation'
    ? PAGE_ENDPOINTS.includes(line.op ?? '')
    : endpoints.some((e) => e.member === line.member && PAGE_ENDPOINTS.includes(e.operation));
  if (!servesPage) return null;
  const addresses = debugListeners.length > 0 ? ` (${debugListeners.slice(0, 3).join(', ')})` : '';
  return `This page needs ${line.name}. Once it is disabled, enable it from a terminal or through a debug port${addresses}.`;
}

/** The state of a toggle: `enabled`, `disabled`, `limited to 3`. */
export function toggleText({ enabled, limit }: Toggle): string {
  if (!enabled) return 'disabled';
  return limit === null ? 'enabled' : `limited to ${limit}`;
}

/** Whether an operator or the configuration set the toggle. */
export const isToggled = (toggle: Toggle | null): toggle is Toggle =>
  toggle !== null && (!toggle.enabled || toggle.limit !== null || toggle.operator !== null);

/** Whether the toggle is disabled or limited. */
export const isRestricted = (toggle: Toggle | null): toggle is Toggle => toggle !== null && (!toggle.enabled || toggle.limit !== null);

export const isToggleable = (line: TableLine): boolean => line.toggle !== null && line.state !== NO_STATE;

/** A change of the audit log in words; an unknown one as the server names it. */
export function changeText({ what, detail }: Pick<AuditRow, 'what' | 'detail'>): string {
  const fields = parsed(detail);
  switch (what.slice(what.indexOf('.') + 1)) {
    case 'disable': return 'disabled';
    case 'enable': return 'enabled';
    case 'clear': return 'toggle removed';
    case 'restart': return 'restarted';
    case 'wake': return 'run now';
    case 'limit': {
      const { limit_to: limit, slot_ms: slot } = fields;
      if (typeof limit !== 'number') break;
      return `limited to ${counted(limit, 'concurrent request')}${typeof slot === 'number' ? `, ${slot / 1000} s each` : ''}`;
    }
    case 'configure': return `configured ${word(fields['after'])}, was ${word(fields['before'])}`;
  }
  return detail === null || detail === '' ? what : `${what} ${detail}`;
}

/** A toggle's state in the audit log, which has the words `on` and `off`, or null for the default. */
function word(state: unknown): string {
  if (state === undefined || state === null || state === 'on') return 'enabled';
  return state === 'off' ? 'disabled' : String(state);
}

function parsed(detail: string | null): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(detail ?? '');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
