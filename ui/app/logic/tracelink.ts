// Links from a trace, which tracing tools can build without knowing selectors: `?trace=ID` and `?span=ID`.

import type { Matcher } from './selector';

const IDS = [
  { parameter: 'trace', name: 'trace_id', valid: /^[0-9a-f]{1,32}$/i },
  { parameter: 'span', name: 'span_id', valid: /^[0-9a-f]{1,16}$/i },
];

/** The matchers of the trace and the span that a link names; none of those that `matchers` have. */
export function traceMatchers(query: URLSearchParams, matchers: Matcher[]): Matcher[] {
  return IDS.flatMap(({ parameter, name, valid }) => {
    const value = query.get(parameter) ?? '';
    const known = matchers.some((m) => m.name === name);
    return valid.test(value) && !known ? [{ name, op: '=' as const, value: value.toLowerCase() }] : [];
  });
}

/** The matchers that name a trace or a span; they belong to no service. */
export const ofSpans = (matchers: Matcher[]): Matcher[] => matchers.filter((m) => m.op === '=' && IDS.some(({ name }) => name === m.name));
