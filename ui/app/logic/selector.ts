// Label selectors: `{service_name="x",member=~"gc.*"}`.

export const OPS = ['=', '!=', '=~', '!~'] as const;
export type Op = (typeof OPS)[number];

export interface Matcher {
  name: string;
  op: Op;
  value: string;
}

export type Parsed = { ok: true; matchers: Matcher[] } | { ok: false; error: string; at: number };

const NAME = /^[A-Za-z_][A-Za-z0-9_.]*/;
const OP = /^(=~|!~|!=|=)/;

/** Braces are optional. An error names what was expected, and where. */
export function parseSelector(text: string): Parsed {
  let at = 0;
  const space = (): void => {
    while (at < text.length && /\s/.test(text[at])) at++;
  };
  const bad = (error: string): Parsed => ({ ok: false, error: `${error} at column ${at + 1}`, at });
  const matchers: Matcher[] = [];
  space();
  const braces = text[at] === '{';
  if (braces) at++;
  for (;;) {
    space();
    if (at >= text.length) return braces ? bad('expected a closing }') : { ok: true, matchers };
    if (text[at] === '}' && braces) break;
    const name = NAME.exec(text.slice(at))?.[0];
    if (name === undefined) return bad('expected a label name');
    at += name.length;
    space();
    const op = OP.exec(text.slice(at))?.[0] as Op | undefined;
    if (op === undefined) return bad(`expected =, !=, =~ or !~ after ${name}`);
    at += op.length;
    space();
    const value = readString(text, at);
    if (value === null) return bad(`expected a value in double quotes after ${name}${op}`);
    at = value.end;
    const invalid = op.endsWith('~') && isInvalidRegex(value.text);
    if (invalid) return bad(`invalid regular expression after ${name}${op}`);
    matchers.push({ name, op, value: value.text });
    space();
    if (text[at] === ',') at++;
    else if (at < text.length && text[at] !== '}') return bad('expected a comma');
  }
  at++;
  space();
  return at < text.length ? bad('unexpected text after }') : { ok: true, matchers };
}

function readString(text: string, from: number): { text: string; end: number } | null {
  if (text[from] !== '"') return null;
  let out = '';
  for (let i = from + 1; i < text.length; i++) {
    if (text[i] === '"') return { text: out, end: i + 1 };
    if (text[i] === '\\') {
      const next = text[++i];
      if (next === undefined) return null;
      out += next === 'n' ? '\n' : next === '"' || next === '\\' ? next : `\\${next}`;
    } else {
      out += text[i];
    }
  }
  return null;
}

function isInvalidRegex(source: string): boolean {
  try {
    new RegExp(source);
    return false;
  } catch {
    // The server's syntax is RE2's, which has inline flags that the browser does not support.
    return !/\(\?[a-zA-Z]/.test(source);
  }
}

const quoted = (value: string): string =>
  `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;

export function formatMatcher(m: Matcher): string {
  return `${m.name}${m.op}${quoted(m.value)}`;
}

export function formatSelector(matchers: Matcher[]): string {
  return `{${matchers.map(formatMatcher).join(',')}}`;
}

export const SERVICE = 'service_name';

/** The service that the selector names; null if it does not name exactly one. */
export function serviceOf(matchers: Matcher[]): string | null {
  const named = matchers.filter((m) => m.name === SERVICE);
  return named.length === 1 && named[0].op === '=' ? named[0].value : null;
}

/** The matchers of a newly chosen service: filters of the previous one are dropped. */
export function withService(service: string): Matcher[] {
  return [{ name: SERVICE, op: '=', value: service }];
}

/** The same filters for another service. */
export function forService(service: string, matchers: Matcher[]): Matcher[] {
  return [...withService(service), ...matchers.filter((m) => m.name !== SERVICE)];
}

/** The matchers besides the service. */
export function filtersOf(matchers: Matcher[]): Matcher[] {
  return matchers.filter((m) => !(m.name === SERVICE && m.op === '='));
}

/** One matcher for several values: the regular expression `a|b`, which the server anchors. */
export function matcherFor(name: string, op: Op, values: string[]): Matcher {
  if (values.length === 1) return { name, op, value: values[0] };
  const either = values.map((v) => v.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
  return { name, op: op.startsWith('!') ? '!~' : '=~', value: either };
}

/** Labels that people filter by most, in the order in which they are offered. */
const USUAL = ['member', 'op', 'process', 'version', 'instance', 'region'];

/** The labels to filter and group by: not the service, which has a menu of its own, and not internal ones such as `__name__`. */
export function filterable(names: string[]): string[] {
  const offered = names.filter((name) => name !== SERVICE && !name.startsWith('__'));
  return [...USUAL.filter((name) => offered.includes(name)), ...offered.filter((name) => !USUAL.includes(name))];
}
