import { Engine } from './engine';
import type { Envelope, Reply } from './protocol';

const engine = new Engine();
const scope = self as unknown as {
  onmessage: ((event: MessageEvent<Envelope>) => void) | null;
  postMessage(message: Reply, transfer?: Transferable[]): void;
};

scope.onmessage = ({ data }) => {
  try {
    scope.postMessage({ id: data.id, answer: engine.answer(data.request) });
  } catch (error) {
    scope.postMessage({ id: data.id, error: error instanceof Error ? error.message : String(error) });
  }
};
