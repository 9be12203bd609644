// Which runs of frames are folded. Whether runs are folded at all is in the URL and in the browser's
// storage; runs that are unfolded individually are kept until the page is left.

import { signal } from '@preact/signals';
import { type State, fromUrl } from '../logic/urlstate';

const KEY = 'davy.fold';
/** Above this number of unfolded runs, the oldest is folded again. */
const UNFOLDED_MAX = 200;

/** The state in a URL; folding that is not in the URL is as the user last left it. */
export function stateOf(address: { search: string; hash: string }): State {
  const read = fromUrl(address.search, address.hash);
  return { ...read, fold: read.fold && !storedOff() };
}

function storedOff(): boolean {
  try {
    return localStorage.getItem(KEY) === 'off';
  } catch {
    // The browser may forbid storage: use the default.
    return false;
  }
}

export function storeFold(fold: boolean): void {
  try {
    if (fold) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, 'off');
  } catch {
    // See above.
  }
}

/** Paths to the first frames of the unfolded runs. */
export const unfolded = signal<string[][]>([]);

export function foldOrUnfold(path: string[]): void {
  const key = JSON.stringify(path);
  const rest = unfolded.peek().filter((other) => JSON.stringify(other) !== key);
  unfolded.value = rest.length < unfolded.peek().length ? rest : [...rest, path].slice(-UNFOLDED_MAX);
}
