// Messages between the page and the worker that decodes, lays out and searches.

import type { FunctionRow } from '../api/types';
import type { RawDiff, Scale, Sides } from '../logic/compare/diff';
import type { SideName } from '../logic/compare/sides';
import type { Matches } from './matcher';
import type { RankRow } from '../logic/compare/rank';
import type { LocalKind } from '../logic/files/profile';
import type { About, Frames, Meta } from '../logic/decode';
import type { Order, Tree } from '../logic/layout';
import type { Shape } from '../logic/merge';
import type { Offsets, TimeSpan } from '../logic/subsecond';
import type { Share } from '../logic/search';

/** How the frames are arranged. */
export interface Arrangement {
  order: Order;
  fold: boolean;
  /** Paths to the first frames of runs that are unfolded individually. */
  open: string[][];
  /** What the page itself transforms, in this order. */
  shapes?: Shape[];
  /** Patterns that the worker applies to a local file; those of other profiles are applied by the server. */
  filters?: { focus?: string; ignore?: string; hide?: string };
}

export type Request =
  | { kind: 'load'; buffer: ArrayBuffer; as: Arrangement }
  | { kind: 'diff'; text: string; scale: Scale | null; as: Arrangement }
  | { kind: 'side'; side: SideName; buffer: ArrayBuffer | null; index: number; name: string }
  | { kind: 'swap' }
  | { kind: 'join'; now: ArrayBuffer | null; base: ArrayBuffer | null; scale: Scale | null; as: Arrangement }
  | { kind: 'scale'; scale: Scale | null; as: Arrangement }
  | { kind: 'rank'; root: number }
  | { kind: 'open'; buffer: ArrayBuffer; as: Arrangement }
  | { kind: 'choose'; index: number; part: TimeSpan | null; as: Arrangement }
  | { kind: 'graft'; buffer: ArrayBuffer; path: string[]; as: Arrangement }
  | { kind: 'arrange'; as: Arrangement }
  | { kind: 'search'; matches: Matches; root: number }
  /** Frames of less than half a pixel of the width are left out. */
  | { kind: 'sandwich'; key: string; width: number }
  | { kind: 'around'; callers: ArrayBuffer; callees: ArrayBuffer }
  | { kind: 'top'; root: number; attribute: boolean };

/** A laid out tree with its frames. */
export interface Around {
  tree: Tree;
  frames: Frames;
}

/** Callers and callees, laid out; the root of both is the function. */
export interface Laid extends About {
  callers: Around;
  callees: Around;
}

export interface Loaded {
  tree: Tree;
  frames: Frames;
  meta: Meta;
  /** The duration of decoding and layout, in milliseconds. */
  ms: number;
}

/** A profile of a local file. */
export interface Opened {
  loaded: Loaded;
  format: string;
  kinds: LocalKind[];
  kind: number;
  /** When the values were sampled; null in files without times. */
  offsets: Offsets | null;
}

/** A local file that is a side of a comparison. */
export interface SideFile {
  name: string;
  format: string;
  kinds: LocalKind[];
  kind: number;
}

/** A loaded comparison. */
export interface Compared extends Loaded {
  sides: Sides;
  scale: Scale;
  /** The whole response, for its totals and ranges. */
  raw: RawDiff;
}

export interface Found {
  hit: Uint8Array;
  before: Uint32Array;
  /** The share of the whole profile. */
  whole: Share;
  /** The share of the zoomed frame. */
  zoomed: Share;
  /** The matching rows, widest first. */
  matches: Uint32Array;
  note: string | null;
}

export interface Answers {
  load: Loaded;
  diff: Compared;
  open: Opened;
  choose: Opened;
  side: SideFile | null;
  swap: null;
  join: Compared;
  scale: Compared;
  rank: RankRow[];
  arrange: Loaded;
  /** Null if the frames do not fit. */
  graft: Loaded | null;
  search: Found | null;
  top: FunctionRow[];
  sandwich: Laid | null;
  around: Laid | null;
}

export type Envelope = { id: number; request: Request };
export type Reply = { id: number; answer: unknown } | { id: number; error: string };
