// The rules of the configuration for the frames of services.

import type { ViewerRule } from '../logic/viewer';
import { refusal, send } from './control';

/** No rules from a server without the endpoint. */
export async function viewerRules(): Promise<ViewerRule[]> {
  const response = await send('viewer', { headers: { accept: 'application/json' } });
  if (response.status === 404) return [];
  if (!response.ok) throw await refusal(response);
  const { services } = (await response.json()) as { services?: ViewerRule[] };
  return services ?? [];
}
