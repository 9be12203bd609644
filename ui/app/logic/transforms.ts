// What is shown of a profile: a stack of transforms in the URL, each of which can be undone.

import { ALLOCATORS } from './allocator';
import { cutName } from './names';
import type { Shape } from './merge';
import { exactly } from './search';

/** Patterns are regular expressions of function names. */
export type Transform = { kind: 'focus' | 'ignore' | 'hide'; pattern: string } | { kind: 'preset'; preset: PresetId } | { kind: 'mine' } | { kind: 'collapse' | 'packages' | 'invert' };

const PATTERNS = ['focus', 'ignore', 'hide'] as const;
const MAX = 12;

/** Code that is not the program's own: standard libraries, dependencies and runtimes, by path or by name. */
export const NOT_MINE = [
  String.raw`/rustc/|/registry/src/|/library/(std|core|alloc)/src/|/vendor/|/pkg/mod/|/usr/(local/)?(go|lib|include)/|node_modules/|^node:|site-packages/|dist-packages/`,
  String.raw`/sysdeps/|^\./|^\[kernel\]`,
  String.raw`^<?&?((std|core|alloc)::|((tokio|hyper|axum|tower|futures)(_\w+)?|__rust\w*)(::|$))`,
  String.raw`^(runtime|syscall|net/http|internal/[\w/]+)\.|^(java|javax|jdk|sun|kotlin)\.`,
  String.raw`^(_start|start_thread|_*clone3?|_*libc_.*|__GI_.*)$`,
].join('|');

/** What runtimes and libraries consist of, by name or path; the server applies these patterns. */
export const PRESETS = {
  tokio: ['Tokio and its web stack', String.raw`^<?&?(tokio|mio|hyper|tower|axum|futures)(_\w+)?::|/registry/src/[^/]+/(tokio|mio|hyper|tower|axum|futures)[\w-]*-\d`],
  std: ["Rust's standard library", String.raw`^<?&?(std|core|alloc)::|^__rust|/rustc/|/library/(std|core|alloc)/src/`],
  libc: ['the C library', String.raw`^(_start|start_thread|_*clone3?|_*libc_.*|__GI_.*)$|/sysdeps/`],
  allocator: ['the allocator', ALLOCATORS],
  go: ['the Go runtime', String.raw`^(runtime|syscall|reflect|internal/[\w/]+)\.`],
  node: ['Node internals', String.raw`^node:|^\((program|garbage collector|idle)\)$`],
  jvm: ['the JVM library', String.raw`^(java|javax|jdk|sun|com[./]sun|kotlin|scala)[./]`],
} as const;
export type PresetId = keyof typeof PRESETS;
const isPreset = (id: string): id is PresetId => Object.hasOwn(PRESETS, id);

/** The presets of which a profile has frames. */
export const presetsIn = (names: string[], files: string[]): PresetId[] =>
  (Object.keys(PRESETS) as PresetId[]).filter((id) => {
    const pattern = new RegExp(PRESETS[id][1]);
    return names.some((name, f) => pattern.test(name) || (files[f] !== '' && pattern.test(files[f])));
  });

export const named = (kind: (typeof PATTERNS)[number], name: string): Transform => ({ kind, pattern: exactly(name) });

export function toText(t: Transform): string {
  if (t.kind === 'preset') return `preset~${t.preset}`;
  return 'pattern' in t ? `${t.kind}~${t.pattern}` : t.kind;
}

/** Null if the text is not a transform. */
export function fromText(text: string): Transform | null {
  if (text === 'mine' || text === 'collapse' || text === 'packages' || text === 'invert') return { kind: text };
  const preset = text.replace(/^preset~/, '');
  if (preset !== text) return isPreset(preset) ? { kind: 'preset', preset } : null;
  const kind = PATTERNS.find((k) => text.startsWith(`${k}~`));
  const pattern = text.slice((kind?.length ?? 0) + 1);
  return kind === undefined || pattern === '' ? null : { kind, pattern };
}

/** The stack with one more. Only one focus is possible at a time, and a second inversion cancels the first. */
export function pushed(stack: Transform[], t: Transform): Transform[] {
  if (stack.some((other) => toText(other) === toText(t))) return t.kind === 'invert' ? stack.filter((other) => other.kind !== 'invert') : stack;
  return [...stack.filter((other) => t.kind !== 'focus' || other.kind !== 'focus'), t].slice(-MAX);
}

/**
 * The parameters of the queries. The server applies them to every frame, drawn or not. With a pattern of the service's own code
 * the page itself keeps that.
 */
export function filtersOf(stack: Transform[], hideAlso = '', own: string | null = null): { focus?: string; ignore?: string; hide?: string } {
  const patterns = (kind: string): string[] => stack.flatMap((t) => ('pattern' in t && t.kind === kind ? [t.pattern] : []));
  const joined = (all: string[]): string => (all.length > 1 ? all.map((p) => `(?:${p})`).join('|') : (all[0] ?? ''));
  const hide = [...patterns('hide'), ...stack.flatMap((t) => (t.kind === 'mine' ? (own === null ? [NOT_MINE] : []) : t.kind === 'preset' ? [PRESETS[t.preset][1]] : [])), ...(hideAlso === '' ? [] : [hideAlso])];
  const out = { focus: joined(patterns('focus')), ignore: joined(patterns('ignore')), hide: joined(hide) };
  return Object.fromEntries(Object.entries(out).filter(([, value]) => value !== ''));
}

/** The transforms that the page applies to the frames it has. */
export const shapesOf = (stack: Transform[], own: string | null = null): Shape[] =>
  stack.flatMap((t): Shape[] => (t.kind === 'collapse' || t.kind === 'packages' || t.kind === 'invert' ? [t.kind] : t.kind === 'mine' && own !== null ? [{ own }] : []));

const WORDS: Record<Exclude<Transform['kind'], 'preset'>, string> = {
  focus: 'Only stacks with', ignore: 'Without stacks with', hide: 'Without frames', mine: 'Only my code', collapse: 'Recursion collapsed', packages: 'Packages collapsed', invert: 'Inverted',
};

/** `Only stacks with parse` */
export function describe(t: Transform): string {
  if (t.kind === 'preset') return `Without ${PRESETS[t.preset][0]}`;
  if (!('pattern' in t)) return WORDS[t.kind];
  const plain = /^\^.*\$$/.test(t.pattern) ? t.pattern.slice(1, -1).replace(/\\([.*+?^${}()|[\]\\])/g, '$1') : t.pattern;
  return `${WORDS[t.kind]} ${cutName(plain, 60)}`;
}
