// Reader of Java Flight Recorder's format, as the JDK and async-profiler write it: chunks, each of which describes its
// classes and has its own constants. https://github.com/openjdk/jdk/tree/master/src/hotspot/share/jfr

import { FileError, type LocalKind, type LocalProfile, type Stacks } from './profile';

const HEADER_BYTES = 68;
/** Values within values. */
const DEPTH = 16;

const cut = (): never => {
  throw new FileError('the recording ends within a value; it is damaged or was cut off');
};

/** A text, or the key of the constant that it is. */
type Text = string | { key: number };

class Cursor {
  private readonly view: DataView;
  constructor(private readonly bytes: Uint8Array, public at: number, public end: number, readonly compressed: boolean) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  take(length: number): number {
    const from = this.at;
    if (length < 0 || from + length > this.end) return cut();
    this.at += length;
    return from;
  }

  byte(): number {
    return this.bytes[this.take(1)];
  }

  /** Numbers above 2^53 lose precision; they are keys of constants at most. */
  long(): number {
    if (!this.compressed) return Number(this.view.getBigInt64(this.take(8)));
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 9; i++) {
      const byte = this.byte();
      value += (i === 8 ? byte : byte & 0x7f) * factor;
      if (i < 8 && byte < 0x80) return value;
      factor *= 128;
    }
    return value >= 2 ** 63 ? value - 2 ** 64 : value;
  }

  int(): number {
    return this.compressed ? this.long() | 0 : this.view.getInt32(this.take(4));
  }

  short(): number {
    return this.compressed ? this.long() & 0xffff : this.view.getUint16(this.take(2));
  }

  count(): number {
    const count = this.int();
    return count < 0 || count > this.end - this.at ? cut() : count;
  }

  text(): Text {
    switch (this.byte()) {
      case 0:
      case 1:
        return '';
      case 2:
        return { key: this.long() };
      case 3: {
        const length = this.count();
        const from = this.take(length);
        return new TextDecoder().decode(this.bytes.subarray(from, from + length));
      }
      case 4:
        return Array.from({ length: this.count() }, () => String.fromCharCode(this.short())).join('');
      case 5: {
        const length = this.count();
        const from = this.take(length);
        return new TextDecoder('latin1').decode(this.bytes.subarray(from, from + length));
      }
      default:
        throw new FileError('the recording has a string in an unknown encoding; it is damaged');
    }
  }
}

interface Field {
  name: string;
  type: number;
  isConstant: boolean;
  isArray: boolean;
}
interface Class {
  name: string;
  fields: Field[];
}
type Value = number | Text | Value[] | { [field: string]: Value };
type Fields = Record<string, Value>;

const number = (value: Value | undefined): number => (typeof value === 'number' ? value : 0);

/** The classes of a chunk, and how their values are read. */
class Classes {
  private readonly all = new Map<number, Class>();

  /** `steps` is the number of values that may be read: those of classes without bytes could otherwise nest without end. */
  constructor(private steps: number) {}

  get(id: number): Class | undefined {
    return this.all.get(id);
  }

  /** Reads a metadata event after its class. */
  define(event: Cursor): void {
    for (let i = 0; i < 3; i++) event.long();
    const strings = Array.from({ length: event.count() }, () => event.text());
    const string = (): string => {
      const found = strings[event.int()];
      return typeof found === 'string' ? found : cut();
    };
    const element = (parent: Class | null, depth: number): void => {
      if (depth > DEPTH) cut();
      const kind = string();
      const attributes: Record<string, string> = {};
      for (let i = event.count(); i > 0; i--) attributes[string()] = string();
      let of: Class | null = null;
      if (kind === 'class') {
        of = { name: attributes['name'] ?? '', fields: [] };
        this.all.set(Number(attributes['id']), of);
      } else if (kind === 'field') {
        parent?.fields.push({
          name: attributes['name'] ?? '', type: Number(attributes['class']),
          isConstant: attributes['constantPool'] === 'true', isArray: Number(attributes['dimension'] ?? 0) > 0,
        });
      }
      for (let i = event.count(); i > 0; i--) element(of, depth + 1);
    };
    element(null, 0);
  }

  read(id: number, event: Cursor, depth = DEPTH): Value {
    const of = this.all.get(id);
    if (of === undefined || depth === 0 || this.steps-- < 0) throw new FileError('the recording has a value of an unknown class or values without end; it is damaged');
    switch (of.name) {
      case 'boolean':
      case 'byte':
        return event.byte();
      case 'float':
      case 'double':
        event.take(of.name === 'float' ? 4 : 8);
        return 0;
      case 'char':
      case 'short':
        return event.short();
      case 'int':
        return event.int();
      case 'long':
        return event.long();
      case 'java.lang.String':
        return event.text();
    }
    const one = ({ type, isConstant }: Field): Value => (isConstant ? event.long() : this.read(type, event, depth - 1));
    const out: Fields = {};
    for (const field of of.fields) out[field.name] = field.isArray ? Array.from({ length: event.count() }, () => one(field)) : one(field);
    return out;
  }
}

/** The constants of a chunk, by the name of their class. */
class Constants {
  private readonly pools = new Map<string, Map<number, Value>>();

  read(event: Cursor, classes: Classes): void {
    for (let i = 0; i < 3; i++) event.long();
    event.byte();
    for (let pools = event.count(); pools > 0; pools--) {
      const id = event.long();
      const name = classes.get(id)?.name ?? cut();
      let pool = this.pools.get(name);
      if (pool === undefined) this.pools.set(name, (pool = new Map()));
      for (let i = event.count(); i > 0; i--) pool.set(event.long(), classes.read(id, event));
    }
  }

  of(name: string, key: Value | undefined): Fields {
    const found = this.pools.get(name)?.get(number(key));
    return typeof found === 'object' && !Array.isArray(found) ? (found as Fields) : {};
  }

  text(value: Value | undefined): string {
    if (typeof value === 'string') return value;
    if (typeof value === 'number') return this.text(this.of('jdk.types.Symbol', value)['string']);
    const key = typeof value === 'object' && 'key' in value ? value['key'] : undefined;
    const found = key === undefined ? undefined : this.pools.get('java.lang.String')?.get(number(key));
    return typeof found === 'string' ? found : '';
  }

  method(key: Value | undefined): string {
    const { type, name } = this.of('jdk.types.Method', key);
    return [this.text(this.of('java.lang.Class', type)['name']), this.text(name)].filter((part) => part !== '').join('.') || '(unknown)';
  }
}

/** Nanoseconds of `10000000`, `20 ms` or `1 s`; 0 for other texts. */
function nanos(text: string): number {
  const [, digits, unit] = /^(\d+)\s*(\w*)/.exec(text) ?? [];
  const factor = { '': 1, ns: 1, us: 1e3, ms: 1e6, s: 1e9 }[unit ?? 'x'] ?? 0;
  return Number(digits ?? 0) * factor;
}

/** What decides how much time a sample stands for. */
interface Settings {
  event: string;
  interval: number;
  wall: number;
  period: number;
}

interface Sample {
  frames: { name: string; line: number }[];
  value: number;
  /** In seconds since 1970. */
  time: number;
}

const LABELS: Record<string, [label: string, unit: string]> = {
  cpu: ['CPU', 'nanoseconds'], wall: ['wall clock', 'nanoseconds'], tlab: ['allocations in TLABs', 'bytes'], outside: ['allocations outside TLABs', 'bytes'],
  alloc: ['allocations', 'bytes'], malloc: ['malloc', 'bytes'], live: ['live objects', 'count'], monitor: ['monitors', 'nanoseconds'], park: ['parked', 'nanoseconds'],
};

const KINDS: Record<string, string> = {
  'jdk.ExecutionSample': 'cpu', 'jdk.CPUTimeSample': 'cpu', 'profiler.WallClockSample': 'wall', 'jdk.ObjectAllocationInNewTLAB': 'tlab',
  'jdk.ObjectAllocationOutsideTLAB': 'outside', 'jdk.ObjectAllocationSample': 'alloc', 'profiler.LiveObject': 'live', 'profiler.Malloc': 'malloc',
  'jdk.JavaMonitorEnter': 'monitor', 'jdk.ThreadPark': 'park',
};

/** async-profiler writes wall-clock samples as execution samples, too; only CPU samples have the state `STATE_DEFAULT`. */
function kindOf(name: string, state: string, { event, wall }: Settings, hasCpuTime: boolean): string[] {
  if (name !== 'jdk.ExecutionSample') return [KINDS[name]];
  const sleeps = state === 'STATE_SLEEPING';
  if (event === 'wall') return sleeps || hasCpuTime ? ['wall'] : ['wall', 'cpu'];
  if (wall > 0 && state !== 'STATE_DEFAULT') return ['wall'];
  return sleeps || hasCpuTime ? [] : ['cpu'];
}

function readChunk(bytes: Uint8Array, from: number, samples: Map<string, Sample[]>): number {
  const head = new DataView(bytes.buffer, bytes.byteOffset + from);
  if (head.byteLength < HEADER_BYTES || head.getUint32(0) !== 0x464c5200) throw new FileError('the recording has no chunk where one must begin; it is damaged');
  const size = Number(head.getBigInt64(8));
  if (size === 0) throw new FileError('the recording is not finished: stop it or dump it first');
  if (size < HEADER_BYTES || size > head.byteLength) throw new FileError('the recording ends within a chunk; it was cut off');
  const [began, startTicks, ticks] = [Number(head.getBigInt64(32)) / 1e9, Number(head.getBigInt64(48)), Number(head.getBigInt64(56))];
  const compressed = (head.getUint32(64) & 1) !== 0;
  const events: { type: number; at: number; end: number }[] = [];
  const cursor = new Cursor(bytes, from + HEADER_BYTES, from + size, compressed);
  while (cursor.at < cursor.end) {
    const start = cursor.at;
    const end = start + cursor.int();
    if (end <= cursor.at || end > cursor.end) cut();
    const type = cursor.long();
    events.push({ type, at: cursor.at, end });
    cursor.at = end;
  }
  const inside = ({ at, end }: { at: number; end: number }): Cursor => new Cursor(bytes, at, end, compressed);
  const classes = new Classes(size * 8 + 1_000);
  for (const event of events) if (event.type === 0) classes.define(inside(event));
  const constants = new Constants();
  for (const event of events) if (event.type === 1) constants.read(inside(event), classes);

  const named = events.flatMap((event) => {
    const name = event.type > 1 ? classes.get(event.type)?.name : undefined;
    return name !== undefined && (name === 'jdk.ActiveSetting' || name in KINDS) ? [{ name, fields: classes.read(event.type, inside(event)) as Fields }] : [];
  });
  const settings: Settings = { event: '', interval: 0, wall: 0, period: 0 };
  for (const { name, fields } of named) {
    if (name !== 'jdk.ActiveSetting') continue;
    const [key, value] = [constants.text(fields['name']), constants.text(fields['value'])];
    if (key === 'event') settings.event = value;
    else if (key === 'interval' || key === 'wall') settings[key] = nanos(value);
    else if (key === 'period' && classes.get(number(fields['id']))?.name === 'jdk.ExecutionSample') settings.period = nanos(value);
  }
  const hasCpuTime = named.some(({ name }) => name === 'jdk.CPUTimeSample');
  const period = (isWall: boolean): number => {
    if (settings.event === 'wall') return settings.wall || settings.interval || 5e7;
    return isWall ? settings.wall || 5e7 : settings.interval || settings.period || 1e7;
  };
  const toNanos = (value: Value | undefined): number => Math.floor((number(value) * 1e9) / ticks);
  for (const { name, fields } of named) {
    if (name === 'jdk.ActiveSetting') continue;
    const { frames = [] } = constants.of('jdk.types.StackTrace', fields['stackTrace']);
    const stack = (frames as Fields[]).map(({ method, lineNumber }) => ({ name: constants.method(method), line: number(lineNumber) })).reverse();
    const time = began + (number(fields['startTime']) - startTicks) / ticks;
    const state = constants.text(constants.of('jdk.types.ThreadState', fields['state'])['name']);
    for (const kind of kindOf(name, state, settings, hasCpuTime)) {
      const own = toNanos(fields['samplingPeriod']);
      const value = {
        cpu: () => Math.max(1, number(fields['samples'])) * (own || period(false)), wall: () => Math.max(1, number(fields['samples'])) * (own || period(true)),
        tlab: () => number(fields['tlabSize']), outside: () => number(fields['allocationSize']), alloc: () => number(fields['weight']),
        malloc: () => number(fields['size']), live: () => 1, monitor: () => toNanos(fields['duration']), park: () => toNanos(fields['duration']),
      }[kind]!();
      const list = samples.get(kind);
      if (list === undefined) samples.set(kind, [{ frames: stack, value, time }]);
      else list.push({ frames: stack, value, time });
    }
  }
  return from + size;
}

export const isJfr = (bytes: Uint8Array): boolean => bytes[0] === 0x46 && bytes[1] === 0x4c && bytes[2] === 0x52 && bytes[3] === 0;

export function readJfr(bytes: Uint8Array): LocalProfile {
  const samples = new Map<string, Sample[]>();
  for (let at = 0; at < bytes.length;) at = readChunk(bytes, at, samples);
  const kinds = Object.keys(LABELS).filter((kind) => samples.has(kind));
  if (kinds.length === 0) throw new FileError('the recording has no samples; enable events such as jdk.ExecutionSample');
  return {
    format: 'JFR recording',
    kinds: kinds.map((kind): LocalKind => ({ label: LABELS[kind][0], unit: LABELS[kind][1] })),
    write(kind: number, stacks: Stacks): void {
      for (const { frames, value, time } of samples.get(kinds[kind])!) {
        stacks.time = time;
        stacks.stack(frames.map(({ name, line }) => stacks.frame(name, '', line)), value);
      }
    },
  };
}
