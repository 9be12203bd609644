// The duration of the worker's and the renderer's steps at 100,000 and 1,000,000 frames, and the ratio
// to the least possible work on a tree: one walk that sums a column.

import { encode } from '../fixture/encode.mjs';
import { synthetic } from '../fixture/synthetic.mjs';
import { scaled } from '../app/logic/compare/diff';
import { join } from '../app/logic/compare/join';
import { colourNodes } from '../app/logic/colours';
import { decode } from '../app/logic/decode';
import { fold, runtimeFrames } from '../app/logic/fold';
import { byName } from '../app/logic/byname';
import { layout } from '../app/logic/layout';
import { filtered, reshape } from '../app/logic/merge';
import { sandwich } from '../app/logic/sandwich';
import { compile, matchNames, matchesBefore, share } from '../app/logic/search';
import { matchList } from '../app/logic/matchlist';
import { topOf } from '../app/logic/top';
import { Plan } from '../app/render/plan';

const RUNS = 7;

interface Timing {
  best: number;
  median: number;
}

/** The best run shows the cost of the code, the median includes the noise of the machine. */
function time(step: () => unknown): Timing {
  const times: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    (globalThis as { gc?: () => void }).gc?.();
    const began = performance.now();
    step();
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  return { best: times[0], median: times[RUNS >> 1] };
}

for (const n of [100_000, 1_000_000]) {
  const { columns, frames } = synthetic(n, 7);
  const buffer = encode({ nodes: null, columns, frames, meta: {} });
  const decoded = decode(buffer);
  const tree = layout(decoded.columns);
  const { names } = decoded.frames;
  const query = compile('merge|flush')!;
  const hit = matchNames(names, query);
  const before = matchesBefore(tree, hit);
  const runtime = runtimeFrames(decoded.frames);
  const folded = fold(tree, decoded.frames, runtime, new Set());
  const plan = new Plan();
  const colours = colourNodes(tree, decoded.frames, 'package');
  const viewport = (from: number, until: number) => ({ from, until, firstRow: 0, lastRow: 60, width: 1600 });
  const total = tree.sum[0];
  const busiest = topOf(tree, decoded.frames).reduce((a, b) => (b.total > a.total ? b : a)).name;

  let sink = 0;
  const walk = time(() => {
    for (let i = 0; i < n; i++) sink += tree.self[i];
  });
  const steps: [string, () => unknown][] = [
    ['decode', () => decode(buffer)],
    ['layout', () => layout(decoded.columns)],
    ['runtime frames', () => runtimeFrames(decoded.frames)],
    ['fold', () => fold(tree, decoded.frames, runtime, new Set())],
    ['decode + layout', () => layout(decode(buffer).columns)],
    ['sort by name', () => byName(tree, names)],
    ['names that match', () => matchNames(names, query)],
    ['share', () => share(tree, hit, before)],
    ['widest matches', () => matchList(tree, hit, before)],
    ['matches by subtree', () => matchesBefore(tree, hit)],
    ['colour', () => colourNodes(tree, decoded.frames, 'package')],
    ['top table', () => topOf(tree, decoded.frames)],
    ['callers and callees', () => sandwich(tree, names, decoded.frames.kinds, (name) => name === busiest, 0.5 / 3_840)],
    ['focus', () => layout(filtered(tree, decoded.frames, { focus: 'merge' }))],
    ['collapse recursion', () => layout(reshape(tree, 'collapse', decoded.frames))],
    ['difference of two trees', () => scaled(join({ decoded, file: 'a' }, { decoded, file: 'b' }), 'share')],
    ['collapse packages', () => layout(reshape(tree, 'packages', decoded.frames))],
    ['invert', () => layout(reshape(tree, 'invert', decoded.frames))],
    ['plan, whole view', () => plan.build(tree, colours, null, viewport(0, total))],
    ['plan, whole view, search', () => plan.build(tree, colours, { hit, before }, viewport(0, total))],
    ['plan, whole view, folded', () => plan.build(folded, colours, null, viewport(0, total))],
    ['plan, a tenth of the view', () => plan.build(tree, colours, null, viewport(total * 0.3, total * 0.4))],
  ];
  console.log(`\n${n.toLocaleString('en-US')} frames, ${names.length.toLocaleString('en-US')} names, ${tree.maxDepth} levels, ${(buffer.byteLength / 1e6).toFixed(1)} MB; one walk ${walk.best.toFixed(2)} ms`);
  console.log('| step | best ms | median ms | best: x one walk |\n|---|---|---|---|');
  for (const [name, step] of steps) {
    const { best, median } = time(step);
    console.log(`| ${name} | ${best.toFixed(1)} | ${median.toFixed(1)} | ${(best / walk.best).toFixed(1)} |`);
  }
  if (sink < 0) console.log(sink);
}
