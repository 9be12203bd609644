// What belongs beside a total: how it was computed, and the parts of it that no frame shows.

import { FrameKind, type Meta } from './decode';
import { counted, formatShare, formatValue } from './format';
import type { Tree } from './layout';

/** ` average of 7 windows`, ` sum`, or nothing if the server does not say. */
export function totalNote({ aggregation, windows }: Meta): string {
  if (aggregation === null) return '';
  if (aggregation === 'sum') return ' sum';
  return windows > 0 ? ` average of ${counted(windows, 'window')}` : ' average';
}

/** The value of samples without a stack: the own values of the root and of the groups, which are above all functions. */
export function stacklessValue({ self, frame, end, n }: Pick<Tree, 'self' | 'frame' | 'end' | 'n'>, kinds: Uint8Array): number {
  let sum = self[0];
  for (let i = 1; i < n; ) {
    if (kinds[frame[i]] === FrameKind.Group) sum += self[i++];
    else i = end[i];
  }
  return sum;
}

/** Empty if all samples have a stack. */
export function withoutStack(value: number, unit: string): string {
  return value === 0 ? '' : `without a stack: ${formatValue(value, unit)}`;
}

/** Why there are samples without a stack. */
export function stacklessReason(type: string): string {
  return type.startsWith('process_cpu:')
    ? 'CPU time that was counted exactly for a member but not sampled, for example of threads that ran too briefly; no function is known for it, so it is not in the table'
    : 'Values that the profiler reported without a stack; no function is known for them, so they are not in the table';
}

/** How much of one's own code the flame graph can lack, since undrawn frames can belong to it; empty if it is exact. */
export function undrawnOwn({ undrawn, sum }: Pick<Tree, 'undrawn' | 'sum'>): string {
  return undrawn > 0 ? `Frames with ${formatShare(undrawn, sum[0])} of the whole are not drawn. The table counts your code in them, the flame graph does not.` : '';
}

/** Sentences about the values that no frame shows. */
export function notDrawn(tree: Tree, kinds: Uint8Array, unit: string): string[] {
  const negative = tree.negative < 0 ? `not drawn: ${formatValue(tree.negative, unit)} in negative values` : '';
  return [withoutStack(stacklessValue(tree, kinds), unit), negative].filter((text) => text !== '');
}
