// The page's end of the worker: one promise per request.

import { FramesOnce } from './framesonce';
import type { Answers, Reply, Request } from './protocol';

/** The worker that the document has started (`start.ts`), for the first who asks. */
function started(): Worker | null {
  const scope = globalThis as { davyWorker?: Worker | null };
  const worker = scope.davyWorker ?? null;
  scope.davyWorker = null;
  return worker;
}

export class TreeWorker {
  private readonly worker = started() ?? new Worker(new URL('./tree.worker.ts', import.meta.url), { type: 'module' });
  private readonly waiting = new Map<number, { done: (answer: unknown) => void; fail: (e: Error) => void }>();
  private readonly frames = new FramesOnce();
  private next = 1;
  /** A worker whose script cannot be loaded may fail before the first request, and answers none. */
  private failure: Error | null = null;

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      const waiter = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if ('error' in data) {
        waiter?.fail(new Error(data.error));
        return;
      }
      this.frames.putBack(data.answer);
      waiter?.done(data.answer);
    };
    this.worker.onerror = (event) => {
      const failure = new Error(`The page's worker failed: ${event.message || 'its script could not be loaded'}; reload the page`);
      this.failure = failure;
      for (const waiter of this.waiting.values()) waiter.fail(failure);
      this.waiting.clear();
    };
  }

  ask<R extends Request>(request: R): Promise<Answers[R['kind']]> {
    if (this.failure !== null) return Promise.reject(this.failure);
    const id = this.next++;
    const transfer = Object.values(request).filter((value): value is ArrayBuffer => value instanceof ArrayBuffer);
    return new Promise((done, fail) => {
      this.waiting.set(id, { done: done as (answer: unknown) => void, fail });
      this.worker.postMessage({ id, request }, transfer);
    });
  }
}
