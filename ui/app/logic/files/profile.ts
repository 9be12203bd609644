// A profile from a local file: stacks that are merged into a tree. Nothing is sent anywhere.

import { type Decoded, FrameKind, LIMITS } from '../decode';
import { MergedTree } from '../merge';
import { visible } from '../names';
import { type TimeSpan, isWithin } from '../subsecond';

export { offsetsOf } from '../subsecond';

export class FileError extends Error {
  override name = 'FileError';
}

/** One of the profiles in a file: its name and the unit of its values. */
export interface LocalKind {
  label: string;
  unit: string;
}

export interface LocalProfile {
  format: string;
  kinds: LocalKind[];
  /** Writes the stacks of a profile, with their times if the format has them. */
  write(kind: number, stacks: Stacks): void;
}

const FRAMES = 1 << 22;

/** Merges stacks. Frames are numbered by name, file and line. */
export class Stacks {
  /** The time of what is added next, in seconds of the file's clock; NaN in files without times. */
  time = NaN;
  /** The times and values of everything that was added, in a span or not. */
  readonly times: number[] = [];
  readonly values: number[] = [];
  private readonly names: string[] = ['total'];
  private readonly files: string[] = [''];
  private readonly lines: number[] = [0];
  private readonly index = new Map<string, number>();
  private readonly tree = new MergedTree(0);

  /** With a span only what is within it is merged. */
  constructor(private readonly span: TimeSpan | null = null) {}

  frame(name: string, file = '', line = 0): number {
    const key = `${name}\0${file}`;
    let f = this.index.get(key);
    if (f === undefined) {
      f = this.names.length;
      if (f >= FRAMES) throw new FileError(`it has more than ${FRAMES.toLocaleString('en-US')} functions`);
      this.names.push(visible(name));
      this.files.push(file === '' ? '' : visible(file));
      this.lines.push(Math.max(0, line));
      this.index.set(key, f);
    }
    return f;
  }

  child(parent: number, frame: number): number {
    const at = this.tree.child(parent, frame);
    if (at >= LIMITS.nodes) throw new FileError(`it has more than ${LIMITS.nodes.toLocaleString('en-US')} call paths`);
    return at;
  }

  /** Negative values, as in a difference of two profiles, cannot be drawn. */
  add(node: number, value: number): void {
    if (value > 0 && this.counts(value)) this.tree.add(node, value, 0, 0);
  }

  /** Notes the time of a value, and says whether it is wanted. */
  private counts(value: number): boolean {
    if (Number.isNaN(this.time)) return true;
    this.times.push(this.time);
    this.values.push(value);
    return this.span === null || isWithin(this.time, this.span);
  }

  /** Adds a value to the stack of frames, from the root. */
  stack(frames: Iterable<number>, value: number): void {
    if (!(value > 0) || !this.counts(value)) return;
    let at = 0;
    let depth = 0;
    for (const f of frames) {
      if (++depth > LIMITS.depth) throw new FileError(`a stack has more than ${LIMITS.depth.toLocaleString('en-US')} frames`);
      at = this.child(at, f);
    }
    this.tree.add(at, value, 0, 0);
  }

  decoded(kind: LocalKind): Decoded {
    const columns = this.tree.columns();
    const k = this.names.length;
    return {
      columns,
      frames: { names: this.names, files: this.files, lines: Uint32Array.from(this.lines), kinds: new Uint8Array(k).fill(FrameKind.Function) },
      meta: {
        type: kind.label, unit: kind.unit, from: 0, until: 0, effective: { from: 0, until: 0 }, selector: '', by: [], partial: [],
        windows: 0, aggregation: null, aggregationSource: '',
      },
      baseTotal: 0,
      base: null,
    };
  }
}
