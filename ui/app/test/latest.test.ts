import { expect, test, vi } from 'vitest';
import { Latest } from '../state/latest';

test('one thing is done at a time, and of what was wanted meanwhile the latest', async () => {
  const log: string[] = [];
  const ends: (() => void)[] = [];
  const work = new Latest<string>(async (one, isWanted) => {
    log.push(`begin ${one}`);
    await new Promise<void>((done) => { ends.push(done); });
    log.push(`${isWanted() ? 'show' : 'drop'} ${one}`);
  });
  const end = async (): Promise<void> => {
    ends.shift()!();
    for (let i = 0; i < 5; i++) await Promise.resolve();
  };
  for (const text of ['a', 'ab', 'abc']) work.want(text);
  expect(log).toEqual(['begin a']);
  await end();
  expect(log).toEqual(['begin a', 'drop a', 'begin abc']);
  work.want(null);
  await end();
  expect(log.slice(3)).toEqual(['drop abc']);
  work.want('x');
  await end();
  expect(log.slice(4)).toEqual(['begin x', 'show x']);
  expect(ends).toEqual([]);
});

test('work goes on after one that failed, and the failure is logged', async () => {
  const logged = vi.spyOn(console, 'error').mockImplementation(() => {});
  const shown: string[] = [];
  const work = new Latest<string>(async (one) => {
    await Promise.resolve();
    if (one === 'bad') throw new Error('failed');
    shown.push(one);
  });
  const ended = async (): Promise<void> => { for (let i = 0; i < 10; i++) await Promise.resolve(); };
  work.want('bad');
  work.want('meanwhile');
  await ended();
  work.want('bad');
  await ended();
  work.want('after');
  await ended();
  expect(shown).toEqual(['meanwhile', 'after']);
  expect(logged.mock.calls).toEqual([[new Error('failed')], [new Error('failed')]]);
  logged.mockRestore();
});
