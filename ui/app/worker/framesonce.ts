// The frames of a tree are sent to the page once, since a message copies every name: null stands for those that were sent last.

import type { Frames } from '../logic/decode';

/** A tree, or one that an answer contains. */
interface Framed {
  frames?: Frames | null;
  loaded?: Framed;
  callers?: Framed;
  callees?: Framed;
}

/** One end of the messages: both see the same answers in the same order. */
export class FramesOnce {
  private last: Frames | null = null;

  /** Takes out the frames that the page has. */
  leaveOut(answer: unknown): void {
    const { tree, sides } = partsOf(answer);
    if (tree?.frames) {
      if (tree.frames === this.last) tree.frames = null;
      else this.last = tree.frames;
    }
    for (const side of sides) if (side.frames === this.last) side.frames = null;
  }

  putBack(answer: unknown): void {
    const { tree, sides } = partsOf(answer);
    if (tree?.frames === null) tree.frames = this.last;
    else if (tree?.frames) this.last = tree.frames;
    for (const side of sides) side.frames ??= this.last;
  }
}

function partsOf(answer: unknown): { tree: Framed | undefined; sides: Framed[] } {
  if (typeof answer !== 'object' || answer === null) return { tree: undefined, sides: [] };
  const all = answer as Framed;
  return { tree: all.loaded ?? all, sides: [all.callers, all.callees].filter((side) => side !== undefined) };
}
