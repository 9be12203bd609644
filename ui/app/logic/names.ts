// What a frame's name tells: the package that it belongs to, and a shorter form that still tells
// what it does. Rust, Go, Java, .NET, PHP, Python and C are told apart by their punctuation.

/** The crate, Go package, Java package, PHP namespace or Python module; '' when there is none. */
export function packageOf(name: string, file = ''): string {
  if (name.includes('::')) {
    // `<alloc::vec::Vec<T> as core::ops::Drop>::drop` belongs to the type's crate.
    const bare = name.replace(/^[<&*( ]*(?:(?:dyn|mut|const|impl|for<[^>]*>)\s+)*[<&*( ]*/, '');
    const crate = /^[A-Za-z_][A-Za-z0-9_]*(?=::)/.exec(bare)?.[0];
    if (crate !== undefined) return crate;
  }
  if (name.includes('\\')) return name.slice(0, name.indexOf('\\'));
  const slash = name.lastIndexOf('/');
  if (slash >= 0 && !name.startsWith('/')) {
    const dot = name.indexOf('.', slash);
    return dot > 0 ? name.slice(0, dot) : name.slice(0, slash);
  }
  const java = /^((?:[a-z_][a-z0-9_]*\.){2,})[A-Z]/.exec(name)?.[1];
  if (java !== undefined) return java.split('.').slice(0, 3).filter(Boolean).join('.');
  const dotted = /^([A-Za-z_][A-Za-z0-9_]*)\./.exec(name)?.[1];
  if (dotted !== undefined) return dotted;
  return packageOfFile(file);
}

function packageOfFile(file: string): string {
  const crate = /\/registry\/src\/[^/]+\/(.+?)-\d+\.\d+/.exec(file)?.[1];
  if (crate !== undefined) return crate.replaceAll('-', '_');
  const parts = file.split('/').filter(Boolean);
  return parts.length > 1 ? parts[parts.length - 2] : '';
}

/** `member=api` as `api`; what comes before `=` names the label. */
export function groupValue(name: string): string {
  const at = name.indexOf('=');
  return at < 0 ? name : name.slice(at + 1);
}

export const UNTAGGED = '(untagged)';

/** The name in at most `chars` characters: leading path segments go first, then the end is cut. */
export function shorten(name: string, chars: number): string {
  if (name.length <= chars) return name;
  if (chars < 2) return '';
  for (const tail of tails(name)) if (tail.length + 1 <= chars) return `…${tail}`;
  const last = tails(name).at(-1) ?? name;
  return chars < 3 ? '' : `${last.slice(0, chars - 1)}…`;
}

// Ever shorter ends of the name, cut where a path segment begins outside of < > and ( ).
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
