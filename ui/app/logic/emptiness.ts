// Why there is nothing to draw: what is said, and what is offered, depends on it.

export interface Asked {
  /** A selector in the address that could not be read. */
  unread: string;
  /** The one service that is asked for; null where the selector names none or several. */
  service: string | null;
  type: string;
  /** Whether more is asked for than the service. */
  filtered: boolean;
  /** What there is in the range; null while that is not known. */
  services: string[] | null;
  types: string[] | null;
}

/**
 * `selector`: it can't be read. `nothing`: nobody has sent anything. `service`: this one has sent
 * nothing. `type`: the service sends no such profiles. `sampled`: heap profiles of the service are
 * there, and of this part of it none. `match`: nothing fits.
 */
export type Why = 'selector' | 'nothing' | 'service' | 'type' | 'sampled' | 'match';

export function whyEmpty({ unread, service, type, filtered, services, types }: Asked): Why {
  if (unread !== '') return 'selector';
  if (services?.length === 0) return 'nothing';
  if (service !== null && services !== null && !services.includes(service)) return 'service';
  if (types !== null && !types.includes(type)) return 'type';
  if (filtered && type.startsWith('memory:')) return 'sampled';
  return 'match';
}
