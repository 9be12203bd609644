import { usageColumn } from '../../logic/members/usage';
import { path } from '../../logic/members/history';
import type { TableLine } from '../../logic/members/lines';
import { scaleFor } from '../../logic/members/order';
import { history, seenAt } from '../../state/fleet';
import { scales, trend } from '../../state/membersview';

const WIDTH = 76;
const HEIGHT = 18;
/** The height of the sparkline is at least this share of the column's largest value, so that noise of small values stays small. */
const LEAST = 0.02;

export function Sparkline({ line }: { line: TableLine }) {
  const now = seenAt.value;
  const shows = usageColumn(trend.value);
  const points = history.of(line.key, trend.value);
  const drawn = path(points, now, scaleFor(line, scales.value)[shows.id] * LEAST, WIDTH, HEIGHT);
  if (drawn === '') return null;
  const [first, last] = [points[0].value, points[points.length - 1].value];
  const text = `${shows.label}, last 2 minutes: from ${shows.format(first)} to ${shows.format(last)}`;
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} role="img" aria-label={text}>
      <title>{text}</title>
      <path d={drawn} fill="none" stroke="currentColor" stroke-width="1.4" stroke-linejoin="round" stroke-linecap="round" />
    </svg>
  );
}
