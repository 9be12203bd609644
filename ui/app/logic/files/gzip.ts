// Files that are compressed with gzip or not.

import { FILE_BYTES_MAX } from './limits';
import { FileError } from './profile';

/** The bytes, uncompressed. */
export async function unpacked(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip')).getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw new FileError('its gzip data is damaged or cut off');
    });
    if (done) break;
    size += value.length;
    if (size > FILE_BYTES_MAX) {
      void reader.cancel();
      throw new FileError('it has more than 512 MiB uncompressed');
    }
    parts.push(value);
  }
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
