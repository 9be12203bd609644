// Decoding, layout and search, independent of the worker, so that it runs in Node too.

import { allocatorFrames } from '../logic/allocator';
import { type RawDiff, type Scale, type Sides, readDiff, scaled } from '../logic/compare/diff';
import { rankOf } from '../logic/compare/rank';
import { caution } from '../logic/compare/words';
import { type Decoded, decode } from '../logic/decode';
import { fold, runtimeFrames } from '../logic/fold';
import { type Tree, byName, layout } from '../logic/layout';
import { compile, matchNames, matchesBefore, share } from '../logic/search';
import { matchList } from '../logic/matchlist';
import { topOf } from '../logic/top';
import { findPath } from '../logic/zoompath';
import type { Answers, Arrangement, Compared, Loaded, Request } from './protocol';

export class Engine {
  private decoded: Decoded | null = null;
  private heavy: Tree | null = null;
  private named: Tree | null = null;
  private runtime: Uint8Array | null = null;
  private allocators: Uint8Array | null = null;
  private tree: Tree | null = null;
  private raw: RawDiff | null = null;
  private sides: Sides | null = null;

  answer(request: Request): Answers[Request['kind']] {
    switch (request.kind) {
      case 'load':
        return this.load(request.buffer, request.as);
      case 'diff':
        this.raw = readDiff(request.text);
        return this.compare(request.scale, request.as);
      case 'scale':
        return this.compare(request.scale, request.as);
      case 'rank':
        return this.tree && this.decoded && this.sides ? rankOf(this.tree, this.decoded.frames, this.sides, request.root) : [];
      case 'arrange':
        return this.arrange(request.as, performance.now());
      case 'search':
        return this.search(request.text, request.root);
      case 'top':
        return this.top(request.root, request.attribute);
    }
  }

  private top(root: number, attribute: boolean): Answers['top'] {
    if (!this.tree || !this.decoded) return [];
    const { frames } = this.decoded;
    return topOf(this.tree, frames, root, attribute ? (this.allocators ??= allocatorFrames(frames)) : null);
  }

  private load(buffer: ArrayBuffer, as: Arrangement): Loaded {
    const began = performance.now();
    this.decoded = decode(buffer);
    this.heavy = layout(this.decoded.columns);
    this.named = null;
    this.runtime = null;
    this.allocators = null;
    return this.arrange(as, began);
  }

  private compare(wanted: Scale | null, as: Arrangement): Compared {
    const began = performance.now();
    if (this.raw === null) throw new Error('no comparison is loaded');
    const { raw } = this;
    const scale = wanted ?? (caution(raw, 'value') === '' ? 'value' : 'rate');
    const { decoded, sides } = scaled(raw, scale);
    this.decoded = decoded;
    this.sides = sides;
    this.heavy = layout(decoded.columns);
    this.named = null;
    this.runtime = null;
    this.allocators = null;
    return { ...this.arrange({ ...as, order: 'heavy' }, began), sides, scale, raw };
  }

  private arrange({ order, fold: folds, open }: Arrangement, began: number): Loaded {
    if (!this.decoded || !this.heavy) throw new Error('no flame graph is loaded');
    const { frames, meta } = this.decoded;
    const plain = order === 'name' ? (this.named ??= layout(byName(this.heavy, frames.names))) : this.heavy;
    this.tree = plain;
    if (folds) {
      this.runtime ??= runtimeFrames(frames);
      const found = open.map((path) => ({ path, ...findPath(plain, frames.names, path) }));
      const heads = new Set<number>(found.filter((f) => f.depth === f.path.length).map((f) => f.node));
      this.tree = fold(plain, frames, this.runtime, heads);
    }
    return { tree: this.tree, frames, meta, ms: performance.now() - began };
  }

  private search(text: string, root: number): Answers['search'] {
    const query = compile(text);
    if (query === null || !this.tree || !this.decoded) return null;
    const { tree } = this;
    const hit = matchNames(this.decoded.frames.names, query);
    // The root is not a frame of the program.
    hit[tree.frame[0]] = 0;
    const within = root < tree.n ? root : 0;
    return {
      hit,
      before: matchesBefore(tree, hit),
      whole: share(tree, hit),
      zoomed: share(tree, hit, within),
      matches: matchList(tree, hit, within),
      note: query.note,
    };
  }
}
