import { Engine, isMerge } from './engine';
import { FramesOnce } from './framesonce';
import type { Envelope, Found, Reply, Request } from './protocol';

const engine = new Engine();
const frames = new FramesOnce();
const scope = self as unknown as {
  onmessage: ((event: MessageEvent<Envelope>) => void) | null;
  postMessage(message: Reply, transfer?: Transferable[]): void;
};

/** What is a click away is loaded and computed this long after the flame graph was sent. */
const PREPARE_MS = 500;
async function prepare(): Promise<void> {
  try {
    engine.merges ??= await import('./merges');
    engine.prepare();
  } catch {
    // The click says what fails.
  }
}

/** What begins a flame graph that can be sorted, transformed and searched for callers: a comparison cannot. */
const LOADS: readonly Request['kind'][] = ['load', 'open', 'choose'];

// Requests are answered in their order: a file is opened asynchronously.
let before: Promise<void> = Promise.resolve();
scope.onmessage = ({ data }) => {
  before = before.then(() => reply(data));
};

async function reply({ id, request }: Envelope): Promise<void> {
  try {
    if (request.kind === 'diff' || request.kind === 'join') engine.comparison ??= await import('./comparison');
    if (isMerge(request)) engine.merges ??= await import('./merges');
    const answer = request.kind === 'open' || request.kind === 'choose' ? await engine.open(request) : request.kind === 'side' ? await engine.side(request) : engine.answer(request);
    frames.leaveOut(answer);
    // Nothing else in this worker refers to them.
    const transfer = request.kind === 'search' && answer !== null ? [(answer as Found).before.buffer as ArrayBuffer] : [];
    scope.postMessage({ id, answer }, transfer);
    if (LOADS.includes(request.kind)) setTimeout(() => void prepare(), PREPARE_MS);
  } catch (error) {
    scope.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
}
