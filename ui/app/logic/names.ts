// Frame names: what is shown of a name, the label value of a group frame, and shortened forms for narrow
// boxes.

/** Shown for a frame without a name. */
export const NO_NAME = '(no name)';

// Control characters, line separators and bidirectional controls; `visible` in
// profiler/profile/src/names.rs shows the same characters in the same form.
const INVISIBLE = /[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/;
const ALL_INVISIBLE = new RegExp(INVISIBLE, 'g');

/** The name as it is shown and searched: never blank, with control characters in the form `\x1b`. */
export function visible(name: string): string {
  if (name === '') return NO_NAME;
  if (/^\s+$/.test(name)) return name.replace(/\s/g, escaped);
  return INVISIBLE.test(name) ? name.replace(ALL_INVISIBLE, escaped) : name;
}

function escaped(c: string): string {
  const code = c.charCodeAt(0).toString(16);
  return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u{${code}}`;
}

/** `api` for `member=api`: the label value of a group frame. */
export function groupValue(name: string): string {
  const at = name.indexOf('=');
  return at < 0 ? name : name.slice(at + 1);
}

export const UNTAGGED = '(untagged)';

/** The name in at most `chars` characters: leading path segments are dropped first, then the end is cut. */
export function shorten(name: string, chars: number): string {
  if (name.length <= chars) return name;
  if (chars < 2) return '';
  for (const tail of tails(name)) if (tail.length + 1 <= chars) return `…${tail}`;
  const last = tails(name).at(-1) ?? name;
  return chars < 3 ? '' : `${last.slice(0, chars - 1)}…`;
}

// The suffixes of the name that start at a path segment outside of brackets, longest first.
function tails(name: string): string[] {
  const cuts: number[] = [];
  let nested = 0;
  for (let i = 0; i < name.length; i++) {
    const c = name[i];
    if (c === '<' || c === '(' || c === '{' || c === '[') nested++;
    else if ((c === '>' && name[i - 1] !== '-') || c === ')' || c === '}' || c === ']') nested--;
    if (nested > 0) continue;
    if (c === ':' && name[i + 1] === ':') cuts.push(i + 2);
    else if ((c === '/' || c === '\\') && i + 1 < name.length) cuts.push(i + 1);
    else if (c === '.' && i > name.lastIndexOf('/') && /[A-Za-z_(]/.test(name[i + 1] ?? '')) cuts.push(i + 1);
  }
  return cuts.filter((at) => at > 0 && at < name.length).map((at) => name.slice(at));
}

/** The name in at most `most` characters, with the number of those that are left out. */
export function cutName(name: string, most: number): string {
  if (name.length <= most) return name;
  const start = name.slice(0, most);
  return `${start}… (${(name.length - most).toLocaleString('en-US')} more characters)`;
}
