// What passes between the page and the worker that decodes, lays out and searches.

import type { Frames, Meta } from '../logic/decode';
import type { Order, Tree } from '../logic/layout';
import type { Share } from '../logic/search';
import type { Row } from '../logic/top';

/** How the frames are put up. */
export interface Arrangement {
  order: Order;
  fold: boolean;
  /** Where the runs begin that are not folded all the same, as paths of names. */
  open: string[][];
}

export type Request =
  | { kind: 'load'; buffer: ArrayBuffer; as: Arrangement }
  | { kind: 'arrange'; as: Arrangement }
  | { kind: 'search'; text: string; root: number }
  | { kind: 'top'; root: number };

export interface Loaded {
  tree: Tree;
  frames: Frames;
  meta: Meta;
  /** How long decoding and laying out took. */
  ms: number;
}

export interface Found {
  hit: Uint8Array;
  before: Uint32Array;
  whole: Share;
  /** The same within the zoomed frame. */
  zoomed: Share;
  /** Where a search leads to, one after the other. */
  stops: Uint32Array;
  note: string | null;
}

export interface Answers {
  load: Loaded;
  arrange: Loaded;
  search: Found | null;
  top: Row[];
}

export type Envelope = { id: number; request: Request };
export type Reply = { id: number; answer: unknown } | { id: number; error: string };
