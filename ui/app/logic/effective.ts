// The effective range: what a response counts. It is wider than the range that was asked for where windows have
// expired, so that only whole hours or days are left.

import type { Meta } from './decode';
import type { Span } from './range';
import { millis } from './units';

/** The ends of ranges can have fractions of a millisecond, which the server does not know. */
const same = (a: number, b: number): boolean => Math.abs(a - b) <= 1;

/** The range that a response to a query of `asked` counts; null if it is that range, or the response is of another one. */
export function effectiveRange({ from, until, effective }: Pick<Meta, 'from' | 'until' | 'effective'>, asked: Span): Span | null {
  if (!same(from, asked.from) || !same(until, asked.until)) return null;
  if (effective.from >= from && effective.until <= until) return null;
  return { from: millis(Math.min(effective.from, from)), until: millis(Math.max(effective.until, until)) };
}
