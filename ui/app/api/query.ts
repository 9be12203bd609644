// The query API on the origin that served the page.

import { CUT, ProblemError, problemFrom } from './problem';
import type { ChangesAnswer, SeriesAnswer, TopAnswer } from './types';

export interface Query {
  type?: string;
  selector?: string;
  from: number;
  until: number;
  by?: string;
  step?: number;
  /** Whether the server chooses the type, service and grouping that the query leaves out. */
  defaults?: 'true';
  max_nodes?: number;
  /** Frames of less than half a pixel of this width are left out. */
  width?: number;
  limit?: number;
  name?: string;
  base_selector?: string;
  base_from?: number;
  base_until?: number;
  focus?: string;
  ignore?: string;
  hide?: string;
  show?: string;
  against?: string;
  /** The function whose merged callers or callees are wanted. */
  function?: string;
  side?: 'callers' | 'callees';
  /** The names of frames from the root, whose subtree is wanted. */
  path?: string[];
}

export type Operation = 'types' | 'labels' | 'series' | 'changes' | 'flamegraph' | 'diff' | 'top' | 'pprof' | 'folded' | 'svg';

export function urlOf(operation: Operation, query: Query, base = document.baseURI): string {
  const url = new URL(`api/v1/profiles/${operation}`, new URL('.', base));
  for (const [key, value] of Object.entries(query)) {
    if (Array.isArray(value)) for (const one of value) url.searchParams.append(key, String(one));
    else if (value !== undefined && value !== '') url.searchParams.set(key, String(value));
  }
  return url.href;
}

const sorted = (url: string): string => [...new URL(url).searchParams].map((pair) => pair.join('=')).sort().join('&');

/** The link to the request that the document has begun with; null without one. */
export const begunLink = (): HTMLLinkElement | null => document.querySelector('link[rel="preload"][as="fetch"]');

/** Starts a request, or takes the response of the one that the document has begun, if it is the same. */
async function begun(url: string, signal: AbortSignal, accept: string): Promise<Response> {
  const link = begunLink();
  if (link === null || new URL(link.href).pathname !== new URL(url).pathname || sorted(link.href) !== sorted(url)) return fetch(url, { signal, headers: { accept } });
  link.remove();
  // The browser compares headers.
  return fetch(link.href, { signal });
}

async function get(operation: Operation, query: Query, accept: string, signal: AbortSignal): Promise<Response> {
  const response = await begun(urlOf(operation, query), signal, accept);
  if (response.ok) return response;
  const type = response.headers.get('content-type') ?? '';
  throw new ProblemError(problemFrom(response.status, type, await response.text()));
}

/** The body of a response whose headers have arrived: if it fails, the server was reached and the connection was cut. */
async function whole<T>(read: () => Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ProblemError(CUT);
  }
}

async function json<T>(operation: Operation, query: Query, signal: AbortSignal): Promise<T> {
  const response = await get(operation, query, 'application/json', signal);
  return whole(() => response.json() as Promise<T>, signal);
}

export const types = (q: Query, signal: AbortSignal): Promise<string[]> => json('types', q, signal);
export const labels = (q: Query, signal: AbortSignal): Promise<string[]> => json('labels', q, signal);
export const series = (q: Query, signal: AbortSignal): Promise<SeriesAnswer> => json('series', q, signal);
export const changes = (q: Query, signal: AbortSignal): Promise<ChangesAnswer> => json('changes', q, signal);
export const top = (q: Query, signal: AbortSignal): Promise<TopAnswer> => json('top', q, signal);

export async function flamegraph(q: Query, signal: AbortSignal): Promise<ArrayBuffer> {
  const response = await get('flamegraph', q, 'application/vnd.davy.flamegraph', signal);
  return whole(() => response.arrayBuffer(), signal);
}

/** The response as it is: the worker parses it. */
export async function diff(q: Query, signal: AbortSignal): Promise<string> {
  const response = await get('diff', q, 'application/json', signal);
  return whole(() => response.text(), signal);
}

/** A profile in pprof's format, compressed; one with more bytes is given up on. */
export async function pprof(q: Query, signal: AbortSignal, bytesMax: number): Promise<ArrayBuffer> {
  const response = await get('pprof', q, 'application/octet-stream', signal);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  return whole(async () => {
    const reader = response.body!.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return new Blob(parts).arrayBuffer();
      size += value.length;
      parts.push(value);
      if (size <= bytesMax) continue;
      void reader.cancel();
      throw new TooLarge();
    }
  }, signal).catch((error: unknown) => {
    if (size <= bytesMax) throw error;
    throw new ProblemError({ title: `The profile of this function has more than ${Math.round(bytesMax / 2 ** 20)} MiB`, detail: 'Shorten the range or filter', status: 0 });
  });
}

class TooLarge extends Error {}
