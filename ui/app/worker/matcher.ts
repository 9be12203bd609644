// The page's end of the worker that matches names. A regular expression such as `(a+)+b` can take for ever, and a running
// one cannot be interrupted: after a deadline its worker is terminated, and the next request starts another.

export interface RegexRequest {
  id: number;
  list: number;
  /** The names of the list, unless the worker has them. */
  names: string[] | null;
  /** Lists that are not used any more. */
  forget: number[];
  text: string;
}

/** The worker says first that it has begun: until then its script is loaded, or other requests are in progress. */
export type RegexReply = { id: number; begun: true } | { id: number; hit: Uint8Array; note: string | null };

export interface Matches {
  /** One entry per name: 1 if it matches. */
  hit: Uint8Array;
  /** Shown to the user if the text is not searched for as it is. */
  note: string | null;
}

/** Thrown when a search took too long. */
export class TooSlow extends Error {
  constructor() {
    super('This regular expression takes too long. Simplify it: nested repetitions such as (a+)+ are the usual cause');
  }
}

const DEADLINE_MS = 1_500;
/** Lists that the worker keeps: of the flame graph and of the table. */
const LISTS_MAX = 3;

type Waiting = { done: (matches: Matches) => void; fail: (e: Error) => void; timer: ReturnType<typeof setTimeout> | undefined };
type Port = Pick<Worker, 'postMessage' | 'terminate'> & { onmessage: ((event: MessageEvent<RegexReply>) => void) | null; onerror: unknown };

export class Matcher {
  private worker: Port | null = null;
  private sent: { names: string[]; list: number }[] = [];
  private readonly waiting = new Map<number, Waiting>();
  private next = 1;

  constructor(
    private readonly start: () => Port = () => new Worker(new URL('./regex.worker.ts', import.meta.url), { type: 'module' }),
    private readonly deadline = DEADLINE_MS,
  ) {}

  /** Rejects with `TooSlow` when matching takes longer than the deadline, and then all requests in progress. */
  match(names: string[], text: string): Promise<Matches> {
    const worker = (this.worker ??= this.open());
    let known = this.sent.find((one) => one.names === names);
    const isNew = known === undefined;
    const forget: number[] = [];
    if (known === undefined) {
      known = { names, list: this.next++ };
      this.sent.push(known);
      while (this.sent.length > LISTS_MAX) forget.push(this.sent.shift()!.list);
    }
    const { list } = known;
    const id = this.next++;
    return new Promise((done, fail) => {
      this.waiting.set(id, { done, fail, timer: undefined });
      worker.postMessage({ id, list, names: isNew ? names : null, forget, text } satisfies RegexRequest);
    });
  }

  private open(): Port {
    const worker = this.start();
    worker.onmessage = ({ data }) => {
      const waiter = this.waiting.get(data.id);
      if (waiter === undefined) return;
      if ('begun' in data) {
        waiter.timer = setTimeout(() => this.restart(new TooSlow()), this.deadline);
        return;
      }
      clearTimeout(waiter.timer);
      this.waiting.delete(data.id);
      waiter.done({ hit: data.hit, note: data.note });
    };
    worker.onerror = () => this.restart(new Error('The search failed: its script could not be loaded; reload the page'));
    return worker;
  }

  private restart(reason: Error): void {
    this.worker?.terminate();
    this.worker = null;
    this.sent = [];
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { fail, timer } of waiting) {
      clearTimeout(timer);
      fail(reason);
    }
  }
}
