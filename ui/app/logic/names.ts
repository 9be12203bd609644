// Frame names: the label value of a group frame, and shortened forms for narrow boxes.

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
