// A 32-bit hash of a text: FNV-1a with a mixing step.

export function hash(text: string, seed = 0x811c9dc5): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  return (h ^ (h >>> 13)) >>> 0;
}

const known = new WeakMap<string[], Uint32Array>();
/** The hashes of names, which are computed once: colours, zooms and refreshes need them. */
export function hashesOf(names: string[]): Uint32Array {
  let hashes = known.get(names);
  if (hashes === undefined) {
    hashes = Uint32Array.from(names, (name) => hash(name));
    known.set(names, hashes);
  }
  return hashes;
}
