// Decoding, layout and search, independent of the worker, so that it runs in Node too.

import { allocatorFrames } from '../logic/allocator';
import type { RawDiff, Scale, Sides } from '../logic/compare/diff';
import type { Half } from '../logic/compare/join';
import type { SideName } from '../logic/compare/sides';
import { type Decoded, FrameKind, decode } from '../logic/decode';
import { fold, runtimeFrames } from '../logic/fold';
import { graft, nodeAt } from '../logic/graft';
import { type Tree, layout } from '../logic/layout';
import { matchesBefore, share } from '../logic/search';
import type { LocalProfile } from '../logic/files/profile';
import { matchList } from '../logic/matchlist';
import { topOf } from '../logic/top';
import { findPath, nameKey } from '../logic/zoompath';
import type * as comparison from './comparison';
import type * as merges from './merges';
import type { Matches } from './matcher';
import type { Answers, Around, Arrangement, Compared, Laid, Loaded, Opened, Request, SideFile } from './protocol';

type Comparison = typeof comparison;
type Merges = typeof merges;

export class Engine {
  /** Set before the first comparison: a part of its own, since most pages show none. */
  comparison: Comparison | null = null;
  /** Set before the first request that `isMerge`: a part of its own too. */
  merges: Merges | null = null;
  private decoded: Decoded | null = null;
  private whole: Tree | null = null;
  /** The tree after the transforms, widest first. */
  private heavy: Tree | null = null;
  private shapes = '';
  private named: Tree | null = null;
  private runtime: Uint8Array | null = null;
  private allocators: Uint8Array | null = null;
  private tree: Tree | null = null;
  private raw: RawDiff | null = null;
  private sides: Sides | null = null;
  private isPrepared = false;
  private file: LocalProfile | null = null;
  private readonly files: Record<SideName, { profile: LocalProfile; half: Half } | null> = { now: null, base: null };

  answer(request: Request): Answers[Request['kind']] {
    switch (request.kind) {
      case 'load':
        return this.load(request.buffer, request.as);
      case 'open':
      case 'choose':
      case 'side':
        throw new Error('files are opened asynchronously');
      case 'diff':
        this.raw = this.comparison!.readDiff(request.text);
        return this.compare(request.scale, request.as);
      case 'swap':
        [this.files.now, this.files.base] = [this.files.base, this.files.now];
        return null;
      case 'join':
        return this.join(request);
      case 'scale':
        return this.compare(request.scale, request.as);
      case 'rank':
        return this.tree && this.decoded && this.sides ? this.comparison!.rankOf(this.tree, this.decoded.frames, this.sides, request.root) : [];
      case 'graft':
        return this.graft(request.buffer, request.path, request.as);
      case 'arrange':
        return this.arrange(request.as, performance.now());
      case 'search':
        return this.search(request.matches, request.root);
      case 'sandwich':
        return this.sandwich(request.key, request.width);
      case 'around':
        return around(request.callers, request.callees);
      case 'top':
        return this.top(request.root, request.attribute);
    }
  }

  /** Prepares for the first clicks. */
  prepare(): void {
    if (this.decoded === null || this.whole === null || this.merges === null) return;
    const { frames } = this.decoded;
    if (this.named === null) this.merges.prepareByName(this.whole, frames.names);
    if (!this.isPrepared) this.merges.prepareSandwich(this.whole, frames);
    this.isPrepared = true;
  }

  private top(root: number, attribute: boolean): Answers['top'] {
    if (!this.tree || !this.decoded) return [];
    const { frames } = this.decoded;
    return topOf(this.tree, frames, root, attribute ? (this.allocators ??= allocatorFrames(frames)) : null);
  }

  private load(buffer: ArrayBuffer, as: Arrangement): Loaded {
    const began = performance.now();
    this.take(decode(buffer));
    return this.arrange(as, began);
  }

  /** Puts the subtree of a path into the place of the one that is loaded. */
  private graft(buffer: ArrayBuffer, path: string[], as: Arrangement): Loaded | null {
    const began = performance.now();
    if (!this.decoded || !this.whole) return null;
    const sub = decode(buffer);
    const subTree = layout(sub.columns);
    const node = nodeAt(this.whole, this.decoded.frames.names, path);
    const other = nodeAt(subTree, sub.frames.names, path);
    const grafted = node === null || other === null ? null : graft(this.decoded, this.whole, node, sub, subTree, other);
    if (grafted === null) return null;
    this.take(grafted);
    return this.arrange(as, began);
  }

  /** Opens a local file, or another profile of the one that is open. */
  async open(request: Extract<Request, { kind: 'open' | 'choose' }>): Promise<Opened> {
    const began = performance.now();
    if (request.kind === 'open') {
      // A part of its own: few people open files.
      const { openProfile } = await import('../logic/files/open');
      this.file = await openProfile(request.buffer);
    }
    const file = this.file;
    if (file === null) throw new Error('no file is open');
    const kind = request.kind === 'open' ? defaultKind(file) : request.index;
    const { Stacks, offsetsOf } = await import('../logic/files/profile');
    const part = request.kind === 'choose' ? request.part : null;
    const stacks = new Stacks(part);
    file.write(kind, stacks);
    const decoded = stacks.decoded(file.kinds[kind]);
    // Without the call paths of other times.
    this.take(part === null ? decoded : { ...decoded, columns: this.merges!.filtered(layout(decoded.columns), decoded.frames, {}) });
    return { loaded: this.arrange(request.as, began), format: file.format, kinds: file.kinds, kind, offsets: offsetsOf(stacks.times, stacks.values) };
  }

  /** Opens a local file as a side of a comparison, or another profile of it; without a file the side is the server's again. */
  async side({ side, buffer, index, name }: Extract<Request, { kind: 'side' }>): Promise<SideFile | null> {
    if (buffer === null && index < 0) {
      this.files[side] = null;
      return null;
    }
    const profile = buffer === null ? this.files[side]!.profile : await (await import('../logic/files/open')).openProfile(buffer);
    const kind = index < 0 ? defaultKind(profile) : index;
    const { Stacks } = await import('../logic/files/profile');
    const stacks = new Stacks();
    profile.write(kind, stacks);
    this.files[side] = { profile, half: { decoded: stacks.decoded(profile.kinds[kind]), file: name } };
    return { name, format: profile.format, kinds: profile.kinds, kind };
  }

  /** Compares sides of which at least one is a local file; the buffers are those of the server's sides. */
  private join({ now, base, scale, as }: Extract<Request, { kind: 'join' }>): Compared {
    const half = (side: SideName, buffer: ArrayBuffer | null): Half => (buffer === null ? this.files[side]!.half : { decoded: decode(buffer), file: '' });
    this.raw = this.comparison!.join(half('now', now), half('base', base));
    return this.compare(scale, as);
  }

  private take(decoded: Decoded): void {
    this.whole = layout(decoded.columns);
    // The response is not kept beside the tree.
    const { frames } = decoded;
    this.decoded = { ...decoded, columns: this.whole, frames: { ...frames, lines: frames.lines.slice(), kinds: frames.kinds.slice() } };
    this.heavy = null;
    this.named = null;
    this.runtime = null;
    this.allocators = null;
  }

  private compare(wanted: Scale | null, as: Arrangement): Compared {
    const began = performance.now();
    if (this.raw === null) throw new Error('no comparison is loaded');
    const { raw } = this;
    const { fitting, scaled } = this.comparison!;
    const isFile = raw.now.file !== '' || raw.base.file !== '';
    // Files have no length.
    const scale = wanted === null || (isFile && wanted === 'rate') ? fitting(raw) : wanted;
    const { decoded, sides } = scaled(raw, scale);
    this.take(decoded);
    this.sides = sides;
    return { ...this.arrange({ ...as, order: 'heavy' }, began), sides, scale, raw };
  }

  private sandwich(key: string, width: number): Answers['sandwich'] {
    if (!this.decoded || !this.whole) return null;
    const { frames } = this.decoded;
    const { names, kinds, files, lines } = frames;
    const found = this.merges!.sandwich(this.whole, names, kinds, (name) => nameKey(name) === key, 0.5 / width);
    if (found === null) return null;
    const { callers, callees, frame, ...about } = found;
    return { ...about, file: files[frame], line: lines[frame], callers: { tree: layout(callers), frames }, callees: { tree: layout(callees), frames } };
  }

  private arrange({ order, fold: folds, open, shapes = [], filters = {} }: Arrangement, began: number): Loaded {
    if (!this.decoded || !this.whole) throw new Error('no flame graph is loaded');
    const { frames, meta } = this.decoded;
    const shaped = JSON.stringify([filters, shapes]);
    if (this.heavy === null || this.shapes !== shaped) {
      this.shapes = shaped;
      const start = Object.keys(filters).length === 0 ? this.whole : layout(this.merges!.filtered(this.whole, frames, filters));
      this.heavy = shapes.reduce((tree, shape) => layout(this.merges!.reshape(tree, shape, frames)), start);
      this.named = null;
    }
    const plain = order === 'name' ? (this.named ??= this.merges!.byName(this.heavy, frames.names)) : this.heavy;
    this.tree = plain;
    if (folds) {
      this.runtime ??= runtimeFrames(frames);
      const found = open.map((path) => ({ path, ...findPath(plain, frames.names, path) }));
      const heads = new Set<number>(found.filter((f) => f.depth === f.path.length).map((f) => f.node));
      this.tree = fold(plain, frames, this.runtime, heads);
    }
    return { tree: this.tree, frames, meta, ms: performance.now() - began };
  }

  private search({ hit, note }: Matches, root: number): Answers['search'] {
    if (!this.tree || !this.decoded || hit.length !== this.decoded.frames.names.length) return null;
    const { tree } = this;
    // The root is not a frame of the program.
    hit[tree.frame[0]] = 0;
    const within = root < tree.n ? root : 0;
    const before = matchesBefore(tree, hit);
    const whole = share(tree, hit, before);
    return {
      hit,
      before,
      whole,
      zoomed: within === 0 ? whole : share(tree, hit, before, within),
      matches: matchList(tree, hit, before, within),
      note,
    };
  }
}

/** Whether a request merges call paths of the tree that is loaded. */
export function isMerge(request: Request): boolean {
  if (request.kind === 'sandwich' || (request.kind === 'choose' && request.part !== null)) return true;
  return 'as' in request && (request.as.order === 'name' || (request.as.shapes?.length ?? 0) > 0 || Object.keys(request.as.filters ?? {}).length > 0);
}

/** The callers and callees of a function that the server has merged, of the whole profile; null if it has no such function. */
function around(...buffers: [callers: ArrayBuffer, callees: ArrayBuffer]): Laid | null {
  const [callers, callees] = buffers.map((buffer) => decode(buffer));
  const about = callers.meta.function;
  if (about === undefined || about.paths === 0) return null;
  const named = ({ columns, frames: { names, files, lines, kinds } }: Decoded): Around => {
    columns.frame[0] = names.length;
    return {
      tree: layout(columns),
      frames: { names: [...names, about.name], files: [...files, about.file], lines: Uint32Array.from([...lines, about.line]), kinds: Uint8Array.from([...kinds, FrameKind.Function]) },
    };
  };
  return { ...about, callers: named(callers), callees: named(callees) };
}

/** CPU time rather than the number of samples, live heap rather than all allocations, as `go tool pprof` chooses: the last. */
const defaultKind = ({ format, kinds }: LocalProfile): number => (format === 'pprof' ? kinds.length - 1 : 0);
