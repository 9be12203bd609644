// A comparison in words: values, differences, and what they mean.

import { formatDuration, formatPercent, formatValue } from '../format';
import { typeLabel } from '../profiletypes';
import { formatRate, rateScale } from '../rates';
import type { RawDiff, Scale } from './diff';

export type About = Pick<RawDiff, 'type' | 'unit' | 'aggregation'>;

export const SCALES: { id: Scale; label: string; title: string }[] = [
  { id: 'value', label: 'Absolute', title: 'Values as they were measured in each range' },
  { id: 'rate', label: 'Per second', title: 'Values divided by the length of each range, for ranges of different lengths' },
  { id: 'share', label: 'Share', title: 'Shares of the total of each side, for different loads' },
];

export function valueText(value: number, scale: Scale, about: About): string {
  if (scale === 'share') return formatPercent(value * 100);
  return scale === 'rate' ? formatRate(value, rateScale(about.type, about.unit, null)) : formatValue(value, about.unit);
}

/** `+3.20 s`; a share in points of the total. */
export function deltaText(now: number, base: number, scale: Scale, about: About): string {
  const delta = now - base;
  if (delta === 0) return '±0';
  const sign = delta > 0 ? '+' : '−';
  const size = Math.abs(delta);
  if (scale !== 'share') return sign + valueText(size, scale, about);
  return size < 5e-5 ? '≈0' : `${sign}${formatPercent(size * 100).replace('%', '')} points`;
}

/** Below this share of the larger side, values count as equal: they are sums of rounded values. */
const EQUAL = 5e-4;

/** `new`, `gone`, `same` or the change in per cent of the base. */
export function changeText(now: number, base: number): string {
  if (now === 0 && base === 0) return '';
  if (base === 0) return 'new';
  if (now === 0) return 'gone';
  const change = now / base - 1;
  if (Math.abs(now - base) <= EQUAL * Math.max(now, base)) return 'same';
  if (change >= 9.995) return `×${(now / base).toPrecision(3)}`;
  return `${change > 0 ? '+' : '−'}${formatPercent(Math.abs(change) * 100)}`;
}

/** The totals of both sides in one sentence. */
export function summary(raw: RawDiff, scale: Scale): string {
  const { values: { now: [now], base: [base] } } = raw;
  const what = typeLabel(raw.type);
  const seconds = (side: { from: number; until: number }): number => (side.until - side.from) / 1000;
  // Shares of the totals are always 100 %: the totals are compared as they are.
  const by = scale === 'rate' ? { now: 1 / seconds(raw.now), base: 1 / seconds(raw.base) } : { now: 1, base: 1 };
  const as = scale === 'share' ? 'value' : scale;
  const [a, b] = [now * by.now, base * by.base];
  if (a === 0 && b === 0) return `${what}: no samples on either side.`;
  if (b === 0) return `${what}: ${valueText(a, as, raw)}; the base has no samples.`;
  if (a === 0) return `${what}: no samples; the base has ${valueText(b, as, raw)}.`;
  const text = changeText(a, b);
  const change = text === 'same' ? 'the same as' : `${deltaText(a, b, as, raw)} (${text}) compared with`;
  return `${what}: ${valueText(a, as, raw)}, ${change} ${valueText(b, as, raw)} in the base.${scale === 'share' ? ' Frames are compared by their share of each total.' : ''}`;
}

/** The scale that does not mislead. */
export const fitting = (raw: RawDiff): Scale => (caution(raw, 'value') === '' ? 'value' : raw.now.file !== '' || raw.base.file !== '' ? 'share' : 'rate');

/** A warning if the scale misleads; empty if it does not. */
export function caution(raw: RawDiff, scale: Scale): string {
  if (raw.now.file !== '' || raw.base.file !== '') {
    return scale === 'share' ? '' : 'It is not known which time a file covers: values can differ because one side covers more. Compare by share.';
  }
  const length = (side: { from: number; until: number }): number => side.until - side.from;
  const [a, b] = [length(raw.now), length(raw.base)];
  if (scale === 'value' && raw.aggregation === 'sum' && Math.abs(a - b) > 0.01 * Math.max(a, b)) {
    return `The ranges have different lengths, ${formatDuration(a)} and ${formatDuration(b)}: compare per second or by share.`;
  }
  return '';
}
