// Why there is nothing to draw. The empty state's text and buttons follow from the reason.

export interface Situation {
  /** The selector in the URL, if it is invalid; otherwise ''. */
  invalidSelector: string;
  /** The one service that the selector names; null if it names none or several. */
  service: string | null;
  type: string;
  /** Whether the selector has matchers besides the service. */
  filtered: boolean;
  /** The services and profile types in the range; null until they are known. */
  services: string[] | null;
  types: string[] | null;
  /** Services that the selector matches if it names no single one; null until they are known. */
  matching: string[] | null;
}

/**
 * `selector`: the selector is invalid. `nothing`: no service has sent anything. `services`: the
 * selector matches several services, whose profiles are not merged. `service`: this service has sent
 * nothing. `type`: the service has no profiles of this type. `unsampled`: the service has heap
 * profiles, but none of the filtered part was sampled. `match`: no profile matches.
 */
export type EmptyReason = 'selector' | 'nothing' | 'services' | 'service' | 'type' | 'unsampled' | 'match';

export function emptyReason({ invalidSelector, service, type, filtered, services, types, matching }: Situation): EmptyReason {
  if (invalidSelector !== '') return 'selector';
  if (services?.length === 0) return 'nothing';
  if (service === null && matching !== null && matching.length > 1) return 'services';
  if (service !== null && services !== null && !services.includes(service)) return 'service';
  if (types !== null && !types.includes(type)) return 'type';
  if (filtered && type.startsWith('memory:')) return 'unsampled';
  return 'match';
}
