// The rules of the configuration for the frames of a service: where its source is, and which code is its own.

export interface ViewerRule {
  /** Matches the name of the service. */
  service: string;
  /** A link with `{version}`, `{path}` and `{line}`. */
  source?: string;
  /** What is removed from the path of a file. */
  strip?: string;
  /** Matches the names or files of the service's own functions. */
  own?: string;
}

/** Null if the pattern is not valid in a browser: the server's patterns have more forms. */
function compiled(pattern: string): RegExp | null {
  try {
    return new RegExp(pattern);
  } catch {
    return null;
  }
}

/** The first rule that matches the service; null if none does. */
export function ruleOf(rules: readonly ViewerRule[], service: string | null): ViewerRule | null {
  return service === null ? null : (rules.find((rule) => compiled(rule.service)?.test(service)) ?? null);
}

/** The pattern of the service's own code; null without one that the browser can match. */
export const ownPattern = (rule: ViewerRule | null): string | null => (rule?.own && compiled(rule.own) !== null ? rule.own : null);

const escaped = (text: string): string => text.split('/').map(encodeURIComponent).join('/');

/** The version that a link names if that of the frame is unknown. */
const NEWEST = 'HEAD';

/**
 * The link to a line; null without a rule, for a file that is not in the repository, and for addresses that are not HTTP.
 * Files of the repository are relative after `strip`.
 */
export function sourceLink(rule: ViewerRule | null, { file, line, version }: { file: string; line: number; version: string }): string | null {
  if (!rule?.source || file === '') return null;
  const strip = rule.strip ? compiled(rule.strip) : null;
  const path = strip === null ? file : file.replace(strip, '');
  if (path === '' || /^[/<([]|^[a-z]:[\\/]/i.test(path) || path.split(/[\\/]/).includes('..')) return null;
  const link = rule.source
    .replaceAll('{version}', () => escaped(version || NEWEST))
    .replaceAll('{path}', () => escaped(path.replaceAll('\\', '/').replace(/^\.\//, '')))
    .replaceAll('{line}', String(Math.max(1, line)));
  try {
    const { protocol, href } = new URL(link);
    return protocol === 'https:' || protocol === 'http:' ? href : null;
  } catch {
    return null;
  }
}
