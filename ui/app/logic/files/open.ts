// Recognises the format of a file by its content.

import { unpacked } from './gzip';
import { readPprof } from './pprof';
import { FileError, type LocalProfile } from './profile';
import { type FirefoxProfile, readFirefox } from './firefox';
import { isJfr, readJfr } from './jfr';
import { isPerf, readPerf } from './perf';
import { isSvg, readDrawing } from './drawing';
import { readCpuProfile, readFolded, readSpeedscope } from './text';

export async function openProfile(buffer: ArrayBuffer): Promise<LocalProfile> {
  const bytes = await unpacked(new Uint8Array(buffer));
  if (bytes.length === 0) throw new FileError('it is empty');
  const start = new TextDecoder().decode(bytes.subarray(0, 64)).trimStart();
  if (start.startsWith('{')) return fromJson(new TextDecoder().decode(bytes));
  // Protocol buffers have control characters within the first bytes, folded stacks do not.
  if (isJfr(bytes)) return readJfr(bytes);
  const isText = !bytes.subarray(0, 512).some((b) => b < 9 || (b > 13 && b < 32));
  if (!isText) return readPprof(bytes);
  const text = new TextDecoder().decode(bytes);
  if (isSvg(text)) return readDrawing(text);
  return isPerf(text) ? readPerf(text) : readFolded(text);
}

function fromJson(text: string): LocalProfile {
  let doc: unknown;
  try {
    doc = JSON.parse(text);
  } catch {
    throw new FileError('its JSON is damaged or cut off');
  }
  const has = (name: string): boolean => typeof doc === 'object' && doc !== null && name in doc;
  if (has('shared') && has('profiles')) return readSpeedscope(doc as Parameters<typeof readSpeedscope>[0]);
  if (has('nodes')) return readCpuProfile(doc as Parameters<typeof readCpuProfile>[0]);
  if (has('meta') && has('threads')) return readFirefox(doc as FirefoxProfile);
  throw new FileError('its JSON is neither a speedscope file, nor a Chrome CPU profile, nor a Firefox profile');
}
