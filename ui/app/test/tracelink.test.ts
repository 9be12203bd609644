import { expect, test } from 'vitest';
import { formatSelector } from '../logic/selector';
import { ofSpans } from '../logic/tracelink';
import { fromUrl, toUrl } from '../logic/urlstate';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

test('a link from a trace selects its samples', () => {
  const shown = (search: string): string => {
    const state = fromUrl(search, '');
    // The URL that the page shows then has the same selection.
    expect(fromUrl(toUrl(state), '').matchers).toEqual(state.matchers);
    return formatSelector(state.matchers);
  };
  expect(shown(`?trace=${TRACE.toUpperCase()}`)).toBe(`{trace_id="${TRACE}"}`);
  expect(shown(`?selector={service_name="web"}&trace=${TRACE}&span=b7`)).toBe(`{service_name="web",trace_id="${TRACE}",span_id="b7"}`);
  // The selector decides, and what is not an id is ignored.
  expect(shown(`?selector={trace_id="a1"}&trace=${TRACE}`)).toBe('{trace_id="a1"}');
  expect(shown('?trace=x&span=00f067aa0ba902b700')).toBe('{}');
});

test('matchers that name a trace or a span are told from others', () => {
  const check = (selector: string, expected: string): void => expect(formatSelector(ofSpans(fromUrl(`?selector=${encodeURIComponent(selector)}`, '').matchers))).toBe(expected);
  check(`{trace_id="${TRACE}"}`, `{trace_id="${TRACE}"}`);
  check('{service_name="web",span_id="b7",op="x"}', '{span_id="b7"}');
  check(`{trace_id!="${TRACE}",service_name=~"web.*"}`, '{}');
});
