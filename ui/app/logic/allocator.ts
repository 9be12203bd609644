// Frames of allocators and of the containers that grow by them. In a heap profile they hold nearly all self values, which
// says nothing: the table attributes them to their callers, as Go does. The server does the same with `hide`.

import type { Frames } from './decode';

/**
 * Matches a function's name or its file. The syntax is common to JavaScript and to the server's regular expressions:
 * Rust's alloc, hashbrown, jemalloc, libc and C++, and Go's runtime.
 */
export const ALLOCATORS = [
  String.raw`/library/alloc/src/(alloc|raw_vec|vec|string|slice|str|borrow|fmt|sync|rc|collections)(/|\.rs)`,
  String.raw`/library/std/src/collections/hash/`,
  String.raw`/hashbrown-`,
  String.raw`jemalloc`,
  String.raw`^\.?/?malloc/`,
  String.raw`^<?&?(mut )?(alloc::(alloc|raw_vec|vec|string|slice|sync|rc|collections)|hashbrown)::`,
  String.raw`^<?(alloc::boxed::)?Box<.*>::(new|pin|try_new)`,
  String.raw`^(box_new|exchange_malloc|(try_)?new_(uninit|zeroed)|__(rust|rdl|rg)_)`,
  String.raw`^(_*libc_)?(malloc|calloc|realloc|memalign|posix_memalign|aligned_alloc)$`,
  String.raw`^_*(rjem_|je_|Zn[wa])`,
  String.raw`^operator new`,
  String.raw`^runtime\.(mallocgc|newobject|newarray|makeslice|growslice|makemap|mapassign|rawstring|rawbyteslice|concatstring|slicebytetostring|stringtoslicebyte)`,
].join('|');

/** Whether the frames of a profile type are attributed: those of heap and allocation profiles. */
export const hasAllocators = (type: string): boolean => type.startsWith('memory:');

/** One entry per frame: 1 for a frame of an allocator. */
export function allocatorFrames({ names, files }: Pick<Frames, 'names' | 'files'>): Uint8Array {
  const regex = new RegExp(ALLOCATORS);
  return Uint8Array.from(names, (name, f) => (regex.test(name) || (files[f] !== '' && regex.test(files[f])) ? 1 : 0));
}
