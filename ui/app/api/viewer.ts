// The rules of the configuration for the frames of services.

import type { ViewerRule } from '../logic/viewer';
import { ProblemError, problemFrom } from './problem';

/** No rules from a server without the endpoint. */
export async function viewerRules(): Promise<ViewerRule[]> {
  const response = await fetch(new URL('api/v1/viewer', new URL('.', document.baseURI)), { headers: { accept: 'application/json' } });
  if (response.status === 404) return [];
  if (!response.ok) throw new ProblemError(problemFrom(response.status, response.headers.get('content-type') ?? '', await response.text()));
  const { services } = (await response.json()) as { services?: ViewerRule[] };
  return services ?? [];
}
