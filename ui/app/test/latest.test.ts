import { expect, test } from 'vitest';
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
