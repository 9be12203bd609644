// A state has a word, a shape and a colour, so that it can be recognised by any of them.

import { NO_STATE, stateText } from '../../logic/members/lines';

const SHAPES: Record<string, { tone: string; shape: string }> = {
  ready: { tone: 'good', shape: 'M6 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9z' },
  starting: { tone: 'warn', shape: 'M6 1.5a4.5 4.5 0 0 0 0 9z' },
  waiting: { tone: 'warn', shape: 'M2.5 1.5h7L6 6l3.5 4.5h-7L6 6z' },
  draining: { tone: 'warn', shape: 'M1.5 3h9L6 10.5z' },
  'backing off': { tone: 'bad', shape: 'M6 1.5l5 9H1z' },
  failed: { tone: 'bad', shape: 'M2.6 1.2L6 4.6l3.4-3.4 1.4 1.4L7.4 6l3.4 3.4-1.4 1.4L6 7.4l-3.4 3.4-1.4-1.4L4.6 6 1.2 2.6z' },
  disabled: { tone: 'inactive', shape: 'M2 2h8v8H2zM3.4 3.4v5.2h5.2V3.4z' },
  stopped: { tone: 'inactive', shape: 'M2 2h8v8H2z' },
};

export function StateWord({ state, count, of }: { state: string; count: number; of: number }) {
  if (state === NO_STATE) return <span class="quiet" title="Usage that does not belong to a member">–</span>;
  const text = stateText(state);
  const { tone, shape } = SHAPES[text] ?? { tone: 'warn', shape: 'M2 5h8v2H2z' };
  return (
    <span class={`state-word ${tone}`}>
      <svg viewBox="0 0 12 12" width="11" height="11" aria-hidden="true"><path fill="currentColor" fill-rule="evenodd" d={shape} /></svg>
      {text}
      {of > 1 && count < of && <small>{count} of {of}</small>}
    </span>
  );
}
