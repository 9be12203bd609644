// The first requests of the fixture are those of Davy: one table tests both.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { firstRequest } from '../../fixture/document.mjs';

test('the fixture begins each page with the request that Davy begins it with', () => {
  const table = readFileSync(new URL('../../../core/cmd/tests/first-requests.tsv', import.meta.url), 'utf8');
  const rows = table.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => line.split('\t'));
  expect(rows.length).toBeGreaterThan(20);
  for (const [document, query, expected] of rows) expect(`${document} ${query} ${firstRequest(document, query, 1_764_334_800_000) ?? '-'}`).toBe(`${document} ${query} ${expected}`);
});
