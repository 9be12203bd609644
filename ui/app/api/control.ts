// Requests of the Members page: members, endpoints, the audit log, health and changes.

import { ProblemError, problemFrom } from './problem';
import type { AuditRow, Change, ChangeReply, EndpointRow, Health, MemberRow, ProcessRow } from './types';

export interface Answered<T> {
  data: T;
  /** The server's clock when it responded, in unix ms; this page's clock if the response has no date. */
  at: number;
}

export interface Caller {
  who: string;
  token: string;
}

const TIMEOUT_MS = 8_000;
const address = (path: string): string => new URL(`api/v1/${path}`, new URL('.', document.baseURI)).href;

export async function send(path: string, init: RequestInit, timeoutMs = TIMEOUT_MS): Promise<Response> {
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    return await fetch(address(path), { ...init, signal: timeout });
  } catch (error) {
    if (!timeout.aborted) throw error;
    const title = `Davy did not respond within ${timeoutMs / 1000} s`;
    throw new ProblemError({ title, detail: '', status: 0 });
  }
}

export async function refusal(response: Response): Promise<ProblemError> {
  const type = response.headers.get('content-type') ?? '';
  return new ProblemError(problemFrom(response.status, type, await response.text()));
}

async function get<T>(path: string): Promise<Answered<T>> {
  const response = await send(path, { headers: { accept: 'application/json' } });
  if (!response.ok) throw await refusal(response);
  const date = Date.parse(response.headers.get('date') ?? '');
  return { data: (await response.json()) as T, at: Number.isNaN(date) ? Date.now() : date };
}

export const members = (): Promise<Answered<MemberRow[]>> => get('members?by=process');
export const endpoints = (): Promise<Answered<EndpointRow[]>> => get('endpoints');
export const processes = (): Promise<Answered<ProcessRow[]>> => get('processes');
export const audit = (limit: number): Promise<Answered<AuditRow[]>> => get(`audit?limit=${limit}`);

/** The health of the process that serves this page. If it is failing, the status is 503 and the body the same. */
export async function health(): Promise<Health> {
  const response = await send('health', { headers: { accept: 'application/json' } });
  const text = await response.text();
  try {
    const answer = JSON.parse(text) as Partial<Health>;
    if (answer.status !== undefined && answer.failing && answer.degraded) return answer as Health;
  } catch {
    // Not JSON: reported as a problem below.
  }
  throw new ProblemError(problemFrom(response.status, response.headers.get('content-type') ?? '', text));
}

export async function change({ method, path, body }: Change, { who, token }: Caller): Promise<ChangeReply> {
  const headers: Record<string, string> = { accept: 'application/json', 'davy-user': who };
  if (token !== '') headers['authorization'] = `Bearer ${token}`;
  if (body !== null) headers['content-type'] = 'application/json';
  const response = await send(path, { method, headers, ...(body === null ? {} : { body: JSON.stringify(body) }) });
  if (!response.ok) throw await refusal(response);
  return (await response.json()) as ChangeReply;
}
