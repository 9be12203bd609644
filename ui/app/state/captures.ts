// Captured heaps: the list, and the form that takes one.

import { signal } from '@preact/signals';
import { type Capture, list, take } from '../api/captures';
import { problemOf, problemText } from '../api/problem';
import { counted } from '../logic/format';
import { asksToken, remember, token, who } from './operator';

const LIMIT = 50;

export const captures = signal<Capture[] | null>(null);
/** Why the list could not be loaded; empty if it could. */
export const listProblem = signal('');

export async function load(): Promise<void> {
  try {
    const { captures: found, partial } = await list(LIMIT);
    captures.value = found;
    listProblem.value = partial.join('; ');
  } catch (error) {
    listProblem.value = problemText(problemOf(error));
  }
}

/** What the open form captures; null without a form. */
export const form = signal<{ key: string; member: string; op: string } | null>(null);
export const sending = signal(false);
export const refused = signal('');
/** What the last capture said. */
export const said = signal('');

export async function capture(fields: { why: string; who: string; token: string }): Promise<void> {
  const current = form.peek();
  if (current === null || sending.peek()) return;
  if (fields.who.trim() === '') {
    refused.value = 'Enter your name; the list of captures shows it.';
    return;
  }
  remember(fields.who, fields.token);
  sending.value = true;
  refused.value = '';
  try {
    const { captures: taken, failed } = await take({ member: current.member, op: current.op, why: fields.why.trim() }, { who: who.peek(), token: token.peek() });
    asksToken.value = false;
    said.value = `Captured the heap of ${counted(taken.length, 'process', 'processes')}.${failed.length > 0 ? ` ${failed.join('. ')}.` : ''}`;
    captures.value = [...taken, ...(captures.peek() ?? [])];
    form.value = null;
  } catch (error) {
    const problem = problemOf(error);
    if (problem.status === 401) asksToken.value = true;
    refused.value = problem.detail || problemText(problem);
  }
  sending.value = false;
}
