// The colour of a frame in a comparison: how much it grew or shrank.

import { DIVERGING, DIVERGING_AT } from '../colours';
import type { Sides } from './diff';

/** The outermost colours are for frames of one side only; the middle one is for equal values. */
export function diffColours({ now, base }: Pick<Sides, 'now' | 'base'>): Uint8Array {
  const middle = (DIVERGING.length - 1) / 2;
  return Uint8Array.from(now, (a, i) => {
    const b = base[i];
    const most = Math.max(a, b);
    if (most === 0) return DIVERGING_AT + middle;
    if (b === 0) return DIVERGING_AT + DIVERGING.length - 1;
    if (a === 0) return DIVERGING_AT;
    const change = (a - b) / most;
    // A change of a third of the larger side has the second strongest colour.
    const step = Math.round(Math.min(1, Math.abs(change) * 2.2) * (middle - 1));
    return DIVERGING_AT + middle + Math.sign(change) * step;
  });
}
