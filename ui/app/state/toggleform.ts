// The form that toggles a line: its fields, the operator's name and token, and the server's replies.

import { signal } from '@preact/signals';
import * as api from '../api/control';
import { problemOf, problemText } from '../api/problem';
import { type Action, type ActionRequest, actionsOf, request, validationError } from '../logic/members/actions';
import type { TableLine } from '../logic/members/lines';
import { refreshSoon } from './fleet';
import { asksToken, remember, token, who } from './operator';

const REPLY_SHOWN_MS = 20_000;

export { asksToken, token, who };
export const asksName = signal(who.peek() === '');

export interface Form {
  line: TableLine;
  action: Action;
}
export const form = signal<Form | null>(null);
export const sending = signal(false);
export const refusal = signal<string | null>(null);

export interface Reply {
  text: string;
  at: number;
}
/** The server's reply to the last change of a line, by the line's key. */
export const replies = signal<ReadonlyMap<string, Reply>>(new Map());

export function open(line: TableLine): void {
  const [action] = actionsOf(line);
  if (action === undefined) return;
  refusal.value = null;
  form.value = form.peek()?.line.key === line.key ? null : { line, action };
}

export function choose(action: Action): void {
  const current = form.peek();
  refusal.value = null;
  if (current) form.value = { ...current, action };
}

export function close(): void {
  const key = form.peek()?.line.key;
  form.value = null;
  refusal.value = null;
  if (key !== undefined) requestAnimationFrame(() => document.getElementById(toggleId(key))?.focus());
}

/** The id of the button that opens the form of a line. */
export const toggleId = (key: string): string => `toggle ${key}`.replaceAll(/\s/g, '-');

export interface Fields {
  why: string;
  who: string;
  token: string;
  limit: number;
  slot: string;
}

export async function send(fields: Fields): Promise<void> {
  const current = form.peek();
  if (current === null || sending.peek()) return;
  const { line, action } = current;
  const wanted: ActionRequest = { action, why: fields.why, limit: fields.limit, slot: fields.slot };
  refusal.value = validationError(wanted, fields.who);
  if (refusal.peek() !== null) return;
  remember(fields.who, fields.token);
  sending.value = true;
  try {
    const reply = await api.change(request(line, wanted), { who: who.peek(), token: token.peek() });
    asksName.value = false;
    asksToken.value = false;
    showReply(line.key, `${reply.name}: ${reply.detail}`);
    // Another form may have been opened while the request was in progress.
    if (form.peek()?.line.key === line.key) close();
    refreshSoon();
  } catch (error) {
    const problem = problemOf(error);
    if (problem.status === 401) asksToken.value = true;
    refusal.value = problem.detail || problemText(problem);
  } finally {
    sending.value = false;
  }
}

function showReply(key: string, text: string): void {
  const at = Date.now();
  replies.value = new Map([...replies.peek()].filter(([, reply]) => at - reply.at < REPLY_SHOWN_MS)).set(key, { text, at });
  setTimeout(() => {
    const rest = new Map(replies.peek());
    if (rest.get(key)?.at === at) rest.delete(key);
    replies.value = rest;
  }, REPLY_SHOWN_MS);
}
