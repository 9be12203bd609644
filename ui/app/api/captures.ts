// Captured heaps: taking, listing and opening them.

import { type Caller, refusal, send } from './control';

export interface Capture {
  id: string;
  at: number;
  operator: string;
  why: string;
  /** What the operator looked at; empty without. */
  member: string;
  op: string;
  process: { id: string; kind: string; host: string; pid: number };
  bytes: number;
  live_bytes: number;
  samples: number;
}

/** A process may have to find the names of its functions first. */
const CAPTURE_TIMEOUT_MS = 120_000;

export const captureUrl = (id: string, base = document.baseURI): string => new URL(`api/v1/captures/${encodeURIComponent(id)}`, new URL('.', base)).href;

export async function list(limit: number): Promise<{ captures: Capture[]; partial: string[] }> {
  const response = await send(`captures?limit=${limit}`, { headers: { accept: 'application/json' } });
  if (!response.ok) throw await refusal(response);
  return (await response.json()) as { captures: Capture[]; partial: string[] };
}

export async function take(of: { member: string; op: string; why: string }, { who, token }: Caller): Promise<{ captures: Capture[]; failed: string[] }> {
  const headers: Record<string, string> = { accept: 'application/json', 'content-type': 'application/json', 'davy-user': who };
  if (token !== '') headers['authorization'] = `Bearer ${token}`;
  const response = await send('captures', { method: 'POST', headers, body: JSON.stringify(of) }, CAPTURE_TIMEOUT_MS);
  if (!response.ok) throw await refusal(response);
  return (await response.json()) as { captures: Capture[]; failed: string[] };
}

/** The profile of a capture. */
export async function profile(id: string): Promise<Blob> {
  const response = await send(`captures/${encodeURIComponent(id)}`, {}, CAPTURE_TIMEOUT_MS);
  if (!response.ok) throw await refusal(response);
  return response.blob();
}
