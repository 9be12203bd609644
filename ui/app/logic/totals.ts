// What belongs beside a total: how it was computed, and the parts of it that no frame shows.

import type { Columns, Meta } from './decode';
import { counted, formatValue } from './format';

/** ` average of 7 windows`, ` sum`, or nothing if the server does not say. */
export function totalNote({ aggregation, windows }: Meta): string {
  if (aggregation === null) return '';
  if (aggregation === 'sum') return ' sum';
  return windows > 0 ? ` average of ${counted(windows, 'window')}` : ' average';
}

/** The value of samples without a stack: the root's own value. Empty if there are none. */
export function withoutStack({ self }: Pick<Columns, 'self'>, unit: string): string {
  return self[0] === 0 ? '' : `without a stack: ${formatValue(self[0], unit)}`;
}

/** Sentences about the values that no frame shows. */
export function notDrawn(columns: Pick<Columns, 'self' | 'negative'>, unit: string): string[] {
  const negative = columns.negative < 0 ? `not drawn: ${formatValue(columns.negative, unit)} in negative values` : '';
  return [withoutStack(columns, unit), negative].filter((text) => text !== '');
}
