// Which runs of frames are folded: whether at all is in the address, and remembered on this machine;
// which single runs are not, only for as long as the page lives.

import { signal } from '@preact/signals';
import { type State, fromUrl } from '../logic/urlstate';

const KEY = 'davy.fold';
/** More unfolded runs than this are not kept: the oldest is folded again. */
const MOST = 200;

/** The state of an address; where it says nothing of folding, as it was left last. */
export function stateOf(address: { search: string; hash: string }): State {
  const read = fromUrl(address.search, address.hash);
  return { ...read, fold: read.fold && !leftOff() };
}

function leftOff(): boolean {
  try {
    return localStorage.getItem(KEY) === 'off';
  } catch {
    // Where nothing may be kept, nothing is remembered.
    return false;
  }
}

export function remember(fold: boolean): void {
  try {
    if (fold) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, 'off');
  } catch {
    // See above.
  }
}

/** Paths of names to the first frames of the runs that are unfolded. */
export const unfolded = signal<string[][]>([]);

export function toggleRun(path: string[]): void {
  const key = JSON.stringify(path);
  const rest = unfolded.peek().filter((other) => JSON.stringify(other) !== key);
  unfolded.value = rest.length < unfolded.peek().length ? rest : [...rest, path].slice(-MOST);
}
