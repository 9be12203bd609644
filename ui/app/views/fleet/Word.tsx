// A state has a word, a shape and a colour, so that it can be recognised by any of them.

const DISC = 'M6 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9z';
const CROSS = 'M2.6 1.2L6 4.6l3.4-3.4 1.4 1.4L7.4 6l3.4 3.4-1.4 1.4L6 7.4l-3.4 3.4-1.4-1.4L4.6 6 1.2 2.6z';
const GLASS = 'M2.5 1.5h7L6 6l3.5 4.5h-7L6 6z';
const DOWN = 'M1.5 3h9L6 10.5z';
const BOX = 'M2 2h8v8H2z';
const UP = 'M6 1.5l5 9H1z';
const PLAY = 'M3 1.5l7 4.5-7 4.5z';

const SHAPES: Record<string, { tone: string; shape: string }> = {
  running: { tone: 'good', shape: DISC },
  stalled: { tone: 'bad', shape: UP },
  landing: { tone: 'warn', shape: DOWN },
  landed: { tone: 'inactive', shape: BOX },
  retiring: { tone: 'warn', shape: DOWN },
  pending: { tone: 'warn', shape: GLASS },
  started: { tone: 'good', shape: PLAY },
  succeeded: { tone: 'good', shape: DISC },
  failed: { tone: 'bad', shape: CROSS },
  errored: { tone: 'bad', shape: UP },
  aborted: { tone: 'inactive', shape: BOX },
  done: { tone: 'good', shape: DISC },
  'timed-out': { tone: 'bad', shape: GLASS },
  stopped: { tone: 'inactive', shape: BOX },
};

export function Word({ state }: { state: string }) {
  const { tone, shape } = SHAPES[state] ?? { tone: 'warn', shape: 'M2 5h8v2H2z' };
  return (
    <span class={`word ${tone}`}>
      <svg viewBox="0 0 12 12" width="11" height="11" aria-hidden="true"><path fill="currentColor" d={shape} /></svg>
      {state}
    </span>
  );
}
