// The form of a change, who fills it in, and what the server said to it.

import { signal } from '@preact/signals';
import * as api from '../api/control';
import { problemOf, sentence } from '../api/problem';
import { type Action, type Wish, actionsOf, objection, request } from '../logic/members/change';
import type { Line } from '../logic/members/lines';
import { lookSoon } from './fleet';

const WHO = 'davy.who';
const TOKEN = 'davy.token';
const ANSWER_MS = 20_000;

// A browser that keeps nothing still lets one toggle: the name is then asked for again.
function kept(store: () => Storage, key: string): string {
  try {
    return store().getItem(key) ?? '';
  } catch {
    return '';
  }
}
function keep(store: () => Storage, key: string, value: string): void {
  try {
    store().setItem(key, value);
  } catch {
    // See above.
  }
}

export const who = signal(kept(() => localStorage, WHO));
export const token = signal(kept(() => sessionStorage, TOKEN));
export const asksName = signal(who.peek() === '');
/** The server has said that it takes changes only with its token. */
export const asksToken = signal(false);

export interface Form {
  line: Line;
  action: Action;
}
export const form = signal<Form | null>(null);
export const sending = signal(false);
export const refusal = signal<string | null>(null);

export interface Said {
  text: string;
  at: number;
}
/** What the server answered to the last change of a line, by the line's key. */
export const said = signal<ReadonlyMap<string, Said>>(new Map());

export function open(line: Line): void {
  const [action] = actionsOf(line);
  if (action === undefined) return;
  refusal.value = null;
  form.value = form.peek()?.line.key === line.key ? null : { line, action };
}

export function choose(action: Action): void {
  const now = form.peek();
  refusal.value = null;
  if (now) form.value = { ...now, action };
}

export function close(): void {
  const key = form.peek()?.line.key;
  form.value = null;
  refusal.value = null;
  if (key !== undefined) requestAnimationFrame(() => document.getElementById(toggleId(key))?.focus());
}

/** The element that opens the form of a line. */
export const toggleId = (key: string): string => `toggle ${key}`.replaceAll(/\s/g, '-');

export interface Typed {
  why: string;
  who: string;
  token: string;
  limit: number;
  slot: string;
}

export async function send(typed: Typed): Promise<void> {
  const current = form.peek();
  if (current === null || sending.peek()) return;
  const { line, action } = current;
  const wish: Wish = { action, why: typed.why, limit: typed.limit, slot: typed.slot };
  refusal.value = objection(wish, typed.who);
  if (refusal.peek() !== null) return;
  who.value = typed.who.trim();
  keep(() => localStorage, WHO, who.peek());
  if (typed.token.trim() !== '') {
    token.value = typed.token.trim();
    keep(() => sessionStorage, TOKEN, token.peek());
  }
  sending.value = true;
  try {
    const taken = await api.change(request(line, wish), { who: who.peek(), token: token.peek() });
    asksName.value = false;
    asksToken.value = false;
    say(line.key, `${taken.name}: ${taken.detail}`);
    // Another form may have been opened while this one was on its way.
    if (form.peek()?.line.key === line.key) close();
    lookSoon();
  } catch (error) {
    const problem = problemOf(error);
    if (problem.status === 401) asksToken.value = true;
    refusal.value = problem.detail || sentence(problem);
  } finally {
    sending.value = false;
  }
}

function say(key: string, text: string): void {
  const at = Date.now();
  said.value = new Map([...said.peek()].filter(([, s]) => at - s.at < ANSWER_MS)).set(key, { text, at });
  setTimeout(() => {
    const rest = new Map(said.peek());
    if (rest.get(key)?.at === at) rest.delete(key);
    said.value = rest;
  }, ANSWER_MS);
}
