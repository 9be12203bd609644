// Values over time as rates, whose scale does not depend on the width of the time buckets: cores, bytes per second, or
// the average of a level such as live heap.

import type { Aggregation } from './decode';
import { type Unit, formatValue } from './format';

/** How a value per second is written. */
export interface RateScale {
  unit: Unit;
  /** From the profile's unit per second. */
  factor: number;
  suffix: string;
  /** The axis in words. */
  title: string;
}

const SECONDS: Record<string, number> = { nanoseconds: 1e-9, microseconds: 1e-6, milliseconds: 1e-3, seconds: 1 };

export function rateScale(type: string, unit: Unit, aggregation: Aggregation | null): RateScale {
  if (aggregation === 'average') return { unit, factor: 1, suffix: '', title: 'average' };
  const seconds = SECONDS[unit];
  // A second of CPU time per second is one core.
  if (seconds !== undefined && type.startsWith('process_cpu:')) return { unit: 'cores', factor: seconds, suffix: '', title: 'cores' };
  if (seconds !== undefined && type.startsWith('wall:')) return { unit: 'threads', factor: seconds, suffix: '', title: 'threads' };
  return { unit, factor: 1, suffix: '/s', title: 'per second' };
}

export function formatRate(perSecond: number, scale: RateScale): string {
  const value = perSecond * scale.factor;
  // Two decimals would show a hundredth of a core as 0.
  const isSmall = scale.factor !== 1 && value > 0 && value < 0.0995;
  return isSmall ? `${Number(value.toPrecision(2))} ${scale.unit}` : formatValue(value, scale.unit) + scale.suffix;
}
