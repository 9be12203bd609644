// The heat map of time and members.
import assert from 'node:assert/strict';
import { drawn, open, settle, shot } from './browser.mjs';
import { serve } from '../fixture/server.mjs';

const param = (page, name) => new URL(page.url()).searchParams.get(name);
const zoomed = (page) => page.locator('.trail [aria-current]').getAttribute('title');
const picked = (page) => (param(page, 'pick') ?? '').split('-').map(Number);

export const fixtureHeat = [
  ['a cell of the heat map, and a range, open their flame graph by mouse', async (browser) => {
    const began = Date.now();
    const own = await serve({ now: () => began });
    try {
      const { page, faults } = await open(browser, `${own.url}/explore?from=now-1h`);
      await drawn(page);
      await page.locator('#plot-heat').click();
      await page.locator('#heat td').first().waitFor();
      const rows = await page.locator('#heat th').allInnerTexts();
      assert.ok(rows.includes('api') && rows.length > 8, rows.join(', '));
      const row = rows.indexOf('archive.ingest');
      await page.locator(`#heat-${row}-20`).click();
      await page.waitForFunction(() => new URLSearchParams(location.search).has('pick'));
      await drawn(page);
      const [from, until] = picked(page);
      assert.equal(await zoomed(page), 'member=archive.ingest');
      const [a, b] = [await page.locator(`#heat-${row}-30`).boundingBox(), await page.locator(`#heat-${row}-39`).boundingBox()];
      await page.mouse.move(a.x + 2, a.y + 5);
      await page.mouse.down();
      await page.mouse.move(b.x + 2, b.y + 5, { steps: 10 });
      await page.mouse.up();
      await page.waitForFunction((was) => !location.search.includes(`pick=${was}`), `${from}-${until}`);
      await drawn(page);
      const [start, end] = picked(page);
      assert.equal(end - start, 10 * (until - from));
      assert.equal(start - from, 10 * (until - from));
      await settle(page);
      await shot(page, 'heat');
      assert.deepEqual(faults, []);
    } finally {
      own.server.close();
    }
  }],

  ['the heat map says its cells and opens them by keyboard', async (browser, url) => {
    const { page } = await open(browser, `${url}/explore?plot=heat&from=now-1h`, { theme: 'light', width: 1024 });
    await drawn(page);
    await page.locator('#heat').focus();
    await page.keyboard.press('ArrowLeft');
    const said = () => page.locator('#heat-said').innerText();
    const active = () => page.evaluate(() => document.getElementById(document.querySelector('#heat').getAttribute('aria-activedescendant')).getAttribute('aria-label'));
    await page.waitForFunction(() => document.querySelector('#heat-said').textContent !== '');
    assert.match(await said(), /^api, \d\d:\d\d:\d\d: [\d.]+ cores$/);
    assert.equal(await active(), await said());
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Shift+ArrowLeft');
    await page.keyboard.press('Shift+ArrowLeft');
    await page.waitForFunction(() => / to /.test(document.querySelector('#heat-said').textContent));
    assert.match(await said(), /^archive\.ingest, .* to .*, 1 min/);
    assert.equal(await page.locator('#heat [aria-selected=true]').count(), 3);
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => new URLSearchParams(location.search).has('pick'));
    await drawn(page);
    assert.equal(await zoomed(page), 'member=archive.ingest');
    await page.locator('#heat-rows').check();
    await shot(page, 'heat-light');
  }],
];
