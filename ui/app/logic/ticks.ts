// Labels of axes and the distances between them, which only charts need.

import { EXACT, HOUR, SCALE, SIZE, TIME, inflected, measureOf, rounded, stepOf, type Unit } from './format';
import type { RateScale } from './rates';

/** Values as the labels of an axis: all in one unit, with as many decimals as they need. */
export function formatTicks(values: number[], unit: Unit): string[] {
  const measure = measureOf(unit);
  const base = measure.of === 'time' || measure.of === 'size' ? measure.size : 1;
  const steps = { time: TIME, size: SIZE, number: [EXACT, ...SCALE], noun: [EXACT, ...SCALE] }[measure.of];
  const largest = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0) * base;
  const isCount = measure.of === 'number' || measure.of === 'noun';
  const fitting = isCount && largest < 1e6 ? EXACT : stepOf(largest, isCount ? SCALE : steps);
  // 20 s are 0.333 min: such ticks are shown in the unit below.
  const candidates = steps.slice(0, steps.indexOf(fitting) + 1).reverse();
  const [, size, symbol] = candidates.find((step) => decimalsOf(values, base / step[1]) <= 2) ?? fitting;
  const decimals = decimalsOf(values, base / size);
  return values.map((v) => {
    const noun = measure.of === 'noun' ? inflected(unit, symbol === '' ? v : 0) : '';
    return [rounded((v * base) / size, decimals), symbol, noun].filter((text) => text !== '').join(' ');
  });
}

/** The number of decimals that the scaled values need, at most 3. */
function decimalsOf(values: number[], scale: number): number {
  const isExact = (value: number, decimals: number): boolean =>
    Math.abs(value - Number(value.toFixed(decimals))) <= 1e-6 * Math.abs(value);
  return [0, 1, 2].find((decimals) => values.every((v) => isExact(v * scale, decimals))) ?? 3;
}

/** Round distances between ticks, in the unit: powers of two for sizes, minutes and hours for time. */
export function tickSteps(unit: Unit): number[] {
  const decimal = (from: number, until: number): number[] => {
    const steps = [];
    for (let p = from; p <= until; p *= 10) steps.push(p, 2 * p, 5 * p);
    return steps;
  };
  const measure = measureOf(unit);
  switch (measure.of) {
    case 'size':
      return Array.from({ length: 63 }, (_, i) => 2 ** i / measure.size);
    case 'time': {
      const seconds = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800].map((s) => s * 1e9);
      const steps = [...decimal(1, 1e8), ...seconds, ...decimal(1, 1e6).map((h) => h * HOUR)];
      return steps.map((step) => step / measure.size);
    }
    default:
      return decimal(1e-3, 1e18);
  }
}

export function formatRateTicks(perSecond: number[], scale: RateScale): string[] {
  // The axis has one noun, in its title.
  return formatTicks(perSecond.map((v) => v * scale.factor), scale.factor === 1 ? scale.unit : 'count').map((text) => text + scale.suffix);
}

/** Distances between ticks, in the profile's unit per second. */
export function rateTickSteps({ unit, factor }: RateScale): number[] {
  return tickSteps(unit).map((step) => step / factor);
}
