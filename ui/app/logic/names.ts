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
  const at = segment(name, name.length + 1 - chars);
  if (name.length - at < chars) return `…${name.slice(at)}`;
  return chars < 3 ? '' : `${name.slice(at, at + chars - 1)}…`;
}

/** Where the first path segment outside of brackets starts that is at `from` or after it; without one, the last segment. */
function segment(name: string, from: number): number {
  const slash = name.lastIndexOf('/');
  let [nested, last] = [0, 0];
  for (let i = 0; i + 1 < name.length && last < from; i++) {
    const c = name[i];
    if (c === '<' || c === '(' || c === '{' || c === '[') nested++;
    else if ((c === '>' && name[i - 1] !== '-') || c === ')' || c === '}' || c === ']') nested--;
    if (nested > 0) continue;
    if (c === ':') {
      if (name[i + 1] === ':' && i + 2 < name.length) last = i + 2;
    } else if (c === '/' || c === '\\') last = i + 1;
    else if (c === '.' && i > slash && /[A-Za-z_(]/.test(name[i + 1])) last = i + 1;
  }
  return last;
}

/** The name in at most `most` characters, with the number of those that are left out. */
export function cutName(name: string, most: number): string {
  if (name.length <= most) return name;
  const start = name.slice(0, most);
  return `${start}… (${(name.length - most).toLocaleString('en-US')} more characters)`;
}
