// Reads the pprof profile of a function, which can be large, outside of the page. It is terminated when nobody waits for it.

import { unpacked } from '../logic/files/gzip';
import { sourceFacts } from '../logic/sourcelines';

export interface LinesRequest {
  buffer: ArrayBuffer;
  name: string;
  focus: string | null;
}
export type LinesReply = { facts: ReturnType<typeof sourceFacts> } | { error: string };

const scope = self as unknown as { onmessage: ((event: MessageEvent<LinesRequest>) => void) | null; postMessage(message: LinesReply): void };

scope.onmessage = ({ data: { buffer, name, focus } }) => {
  unpacked(new Uint8Array(buffer))
    .then((bytes) => scope.postMessage({ facts: sourceFacts(bytes, (other) => other === name, focus === null ? null : new RegExp(focus)) }))
    .catch((error: unknown) => scope.postMessage({ error: error instanceof Error ? error.message : String(error) }));
};
