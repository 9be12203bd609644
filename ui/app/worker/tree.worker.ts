import { Engine } from './engine';
import type { Envelope, Reply } from './protocol';

const engine = new Engine();
const scope = self as unknown as {
  onmessage: ((event: MessageEvent<Envelope>) => void) | null;
  postMessage(message: Reply, transfer?: Transferable[]): void;
};

// Requests are answered in their order: a file is opened asynchronously.
let before: Promise<void> = Promise.resolve();
scope.onmessage = ({ data }) => {
  before = before.then(() => reply(data));
};

async function reply({ id, request }: Envelope): Promise<void> {
  try {
    if (request.kind === 'diff') engine.comparison ??= await import('./comparison');
    const answer = request.kind === 'open' || request.kind === 'choose' ? await engine.open(request) : engine.answer(request);
    scope.postMessage({ id, answer });
  } catch (error) {
    scope.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
}
