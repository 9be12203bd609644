// Ticks of the timeline's axes.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  1_000, 2_000, 5_000, 10_000, 15_000, 30_000, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY,
];

/** Times in the range at round local times, at most `most` of them. */
export function timeTicks(from: number, until: number, most: number): number[] {
  const wanted = (until - from) / Math.max(1, most);
  const step = STEPS.find((s) => s >= wanted) ?? STEPS[STEPS.length - 1];
  const ticks: number[] = [];
  // Midnights are not always 24 hours apart: the ticks of each day start at its midnight.
  const day = new Date(from);
  day.setHours(0, 0, 0, 0);
  if (step >= DAY) {
    const days = step / DAY;
    // The same days are ticks, wherever the range begins.
    const number = Math.round((day.getTime() - day.getTimezoneOffset() * MINUTE) / DAY);
    day.setDate(day.getDate() - (((number % days) + days) % days));
    for (; day.getTime() < until; day.setDate(day.getDate() + days)) if (day.getTime() >= from) ticks.push(day.getTime());
    return ticks;
  }
  while (day.getTime() < until) {
    const start = day.getTime();
    day.setDate(day.getDate() + 1);
    const first = start + Math.max(0, Math.ceil((from - start) / step)) * step;
    for (let t = first; t < Math.min(until, day.getTime()); t += step) ticks.push(t);
  }
  return ticks;
}

/** Values from 0 to `max`, at distances that are the smallest of `steps` with at most `most` ticks. */
export function valueTicks(max: number, steps: readonly number[], most: number): number[] {
  if (!(max > 0)) return [0];
  let step = steps.find((s) => s > 0 && max / s <= most) ?? Math.max(max / most, ...steps);
  while (max / step > most) step *= 2;
  return Array.from({ length: Math.floor(max / step) + 1 }, (_, i) => i * step);
}

/** Times of day, with the date at the first tick of a day if the range is longer than a day. */
export function timeLabels(ticks: number[], range: { from: number; until: number }): string[] {
  const isLong = range.until - range.from > 26 * HOUR;
  const isFine = range.until - range.from < 10 * MINUTE;
  let day = '';
  return ticks.map((t) => {
    const d = new Date(t);
    const two = (n: number): string => String(n).padStart(2, '0');
    const date = `${two(d.getMonth() + 1)}-${two(d.getDate())}`;
    const time = `${two(d.getHours())}:${two(d.getMinutes())}${isFine ? `:${two(d.getSeconds())}` : ''}`;
    if (!isLong || date === day) return time;
    day = date;
    return time === '00:00' ? date : `${date} ${time}`;
  });
}
