// The state of the Fleet page in its URL.

export const WORKER_STATES = ['running', 'stalled', 'landing', 'landed', 'retiring'] as const;

export interface FleetView {
  /** Only workers in this state; empty for all. */
  state: string;
  /** Only workers with a later name, for paging. */
  after: string;
  /** The build whose log is shown; 0 for none. */
  build: number;
}

export const DEFAULT_FLEET: FleetView = { state: '', after: '', build: 0 };

export function fleetToUrl(view: FleetView): string {
  const q = new URLSearchParams();
  if (view.state !== '') q.set('state', view.state);
  if (view.after !== '') q.set('after', view.after);
  if (view.build > 0) q.set('build', String(view.build));
  const text = q.toString();
  return text === '' ? '' : `?${text}`;
}

export function fleetFromUrl(search: string): FleetView {
  const q = new URLSearchParams(search);
  const state = q.get('state') ?? '';
  const build = Number(q.get('build') ?? 0);
  return {
    state: (WORKER_STATES as readonly string[]).includes(state) ? state : '',
    after: q.get('after') ?? '',
    build: Number.isSafeInteger(build) && build > 0 ? build : 0,
  };
}
