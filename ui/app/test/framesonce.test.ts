import { expect, test } from 'vitest';
import type { Frames } from '../logic/decode';
import { FramesOnce } from '../worker/framesonce';

const frames = (...names: string[]): Frames => ({ names, files: names, lines: new Uint32Array(names.length), kinds: new Uint8Array(names.length) });

/** What the page makes of the worker's answers, and how many of them have frames on the way. */
function sent(answers: object[]): { received: unknown[]; copies: number } {
  const [worker, page] = [new FramesOnce(), new FramesOnce()];
  let copies = 0;
  const received = answers.map((answer) => {
    worker.leaveOut(answer);
    const copy = structuredClone(answer);
    copies += JSON.stringify(copy).split('"names"').length - 1;
    page.putBack(copy);
    return copy;
  });
  return { received, copies };
}

test('the frames of a tree are sent once, whatever is done with it, and others with each tree that has them', () => {
  const [one, two] = [frames('a', 'b'), frames('c')];
  const { received, copies } = sent([
    { frames: one, step: 1 }, { frames: one, step: 2 }, { callers: { frames: one }, callees: { frames: one } }, { rows: [] },
    { loaded: { frames: two } }, { frames: two, step: 3 }, { frames: one, step: 4 },
  ]);
  expect(received).toEqual([
    { frames: one, step: 1 }, { frames: one, step: 2 }, { callers: { frames: one }, callees: { frames: one } }, { rows: [] },
    { loaded: { frames: two } }, { frames: two, step: 3 }, { frames: one, step: 4 },
  ]);
  expect(copies).toBe(3);
});

test('the callers that the server has merged keep their own frames, and those of the tree are still known', () => {
  const [tree, callers, callees] = [frames('a'), frames('a', 'f'), frames('b', 'f')];
  const { received } = sent([{ frames: tree }, { callers: { frames: callers }, callees: { frames: callees } }, { frames: tree }]);
  expect(received).toEqual([{ frames: tree }, { callers: { frames: callers }, callees: { frames: callees } }, { frames: tree }]);
});
