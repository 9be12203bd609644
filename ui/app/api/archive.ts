// The request of the Archive page.

import { ProblemError, problemFrom } from './problem';
import type { ArchiveOverview } from './types';

/** The bucket is listed at most once a minute; a remote one with two years of blocks takes some seconds. */
const TIMEOUT_MS = 60_000;

export async function overview(): Promise<ArchiveOverview> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const url = new URL('api/v1/archive', new URL('.', document.baseURI));
  let response: Response;
  try {
    response = await fetch(url, { headers: { accept: 'application/json' }, signal: timeout });
  } catch (error) {
    if (!timeout.aborted) throw error;
    const detail = 'Listing the bucket takes too long: check the bucket, or run `davy archive ls`';
    throw new ProblemError({ title: `Davy did not respond within ${TIMEOUT_MS / 1000} s`, detail, status: 0 });
  }
  if (response.ok) return (await response.json()) as ArchiveOverview;
  throw new ProblemError(problemFrom(response.status, response.headers.get('content-type') ?? '', await response.text()));
}
