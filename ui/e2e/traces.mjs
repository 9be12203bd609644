// From a trace to its flame graph.
import assert from 'node:assert/strict';
import { drawn, open, row, shot } from './browser.mjs';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

export const fixtureTraces = [
  ['a link from a trace shows its flame graph by service', async (browser, url) => {
    const { page, faults } = await open(browser, `${url}/explore?trace=${TRACE}&from=now-1h`, { theme: 'light' });
    await drawn(page);
    const groups = (await row(page, 1, 30)).map(({ name }) => name).sort();
    assert.deepEqual(groups, ['service_name=davy', 'service_name=shop-frontend']);
    assert.equal(new URL(page.url()).searchParams.get('selector'), `{trace_id="${TRACE}"}`);
    await shot(page, 'trace');
    // The filter stays when one of the services is chosen.
    await page.locator('#service').selectOption('shop-frontend');
    await page.waitForFunction(() => new URL(location.href).searchParams.get('selector')?.includes('shop-frontend'));
    await drawn(page);
    assert.equal(new URL(page.url()).searchParams.get('selector'), `{service_name="shop-frontend",trace_id="${TRACE}"}`);
    assert.deepEqual(faults, []);
  }],
];
