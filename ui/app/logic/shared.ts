// Arrays that a worker and its page share instead of copying them. Pages that are isolated from other origins can: Davy's
// headers ask for it, and browsers grant it for HTTPS and for localhost. Elsewhere messages copy arrays.

type Column = Float64Array | Uint32Array | Uint16Array | Uint8Array;

const isIsolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true;

/** The array in shared memory, or as it is where memory cannot be shared. */
export function shared<T extends Column>(of: T): T {
  if (!isIsolated || of.buffer instanceof SharedArrayBuffer) return of;
  const make = of.constructor as unknown as new (buffer: SharedArrayBuffer) => T;
  const out = new make(new SharedArrayBuffer(of.byteLength));
  // Pages of zeros that nobody wrote to take no memory: a whole profile has no undrawn values.
  if (of.some((value) => value !== 0)) out.set(of as never);
  return out;
}

const buffer = (bytes: number): ArrayBuffer => (isIsolated ? (new SharedArrayBuffer(bytes) as unknown as ArrayBuffer) : new ArrayBuffer(bytes));

/** New arrays of zeros that can be shared. */
export const floats = (n: number): Float64Array => new Float64Array(buffer(n * 8));
export const words = (n: number): Uint32Array => new Uint32Array(buffer(n * 4));
export const shorts = (n: number): Uint16Array => new Uint16Array(buffer(n * 2));
