// The worker's work, without the worker: so that it runs in Node, in tests and in the benchmark.

import { type Decoded, decode } from '../logic/decode';
import { type Tree, byName, layout } from '../logic/layout';
import { compile, matchNames, matchesBefore, share } from '../logic/search';
import { topOf } from '../logic/top';
import type { Answers, Loaded, Request } from './protocol';

export class Engine {
  private decoded: Decoded | null = null;
  private heavy: Tree | null = null;
  private tree: Tree | null = null;

  answer(request: Request): Answers[Request['kind']] {
    switch (request.kind) {
      case 'load':
        return this.load(request.buffer, request.order);
      case 'order':
        return this.arrange(request.order, performance.now());
      case 'search':
        return this.search(request.text, request.root);
      case 'top':
        return this.tree && this.decoded ? topOf(this.tree, this.decoded.frames, request.root) : [];
    }
  }

  private load(buffer: ArrayBuffer, order: 'heavy' | 'name'): Loaded {
    const began = performance.now();
    this.decoded = decode(buffer);
    this.heavy = layout(this.decoded.columns);
    return this.arrange(order, began);
  }

  private arrange(order: 'heavy' | 'name', began: number): Loaded {
    if (!this.decoded || !this.heavy) throw new Error('no flame graph is loaded yet');
    const { frames, meta } = this.decoded;
    this.tree = order === 'name' ? layout(byName(this.heavy, frames.names)) : this.heavy;
    return { tree: this.tree, frames, meta, ms: performance.now() - began };
  }

  private search(text: string, root: number): Answers['search'] {
    const query = compile(text);
    if (query === null || !this.tree || !this.decoded) return null;
    const { tree } = this;
    const hit = matchNames(this.decoded.frames.names, query);
    // The root is not a frame of anybody's program.
    hit[tree.frame[0]] = 0;
    return {
      hit,
      before: matchesBefore(tree, hit),
      whole: share(tree, hit),
      zoomed: share(tree, hit, root < tree.n ? root : 0),
      note: query.note,
    };
  }
}
