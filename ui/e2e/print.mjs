// Exports of what is on the screen, and paper.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { drawn, open, settle, shot } from './browser.mjs';

export const fixturePrint = [
  ['the SVG of a view has the frames that are on the screen, after zooming and searching', async (browser, url) => {
    const { page, faults } = await open(browser, `${url}/explore?view=flame&search=poll`, { width: 1200 });
    await drawn(page);
    const save = async () => {
      await page.locator('#export-menu summary').click();
      const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#export-svg-view').click()]);
      return readFile(await download.path(), 'utf8');
    };
    const whole = await save();
    assert.match(whole, /^<\?xml/);
    assert.match(whole, /<title>davy · CPU · Davy<\/title>/);
    assert.match(whole, />member=api {2}[\d.]+%</);
    const { width, height } = await page.locator('.flame-host').boundingBox();
    assert.ok(whole.includes(`viewBox="0 0 ${Math.round(width)} ${Math.round(height)}"`));
    // Its own page shows it, so it is well-formed and needs nothing else.
    const other = await browser.newPage();
    await other.setContent(whole.slice(whole.indexOf('<svg')));
    assert.ok(await other.locator('rect').count() > 50);
    await page.locator('.flame-host canvas').click({ position: { x: 100, y: 27 } });
    await settle(page);
    const zoomed = await save();
    assert.notEqual(zoomed, whole);
    assert.deepEqual(faults, []);
  }],

  ['on paper the page is light, names what it shows and has no controls', async (browser, url) => {
    const { page } = await open(browser, `${url}/explore?from=now-1h`, { theme: 'dark' });
    await drawn(page);
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(255, 255, 255)');
    assert.ok(await page.locator('h1').isVisible());
    assert.ok(!(await page.locator('#search').isVisible()));
    assert.ok(!(await page.locator('.nav').isVisible()));
    const corner = await page.evaluate(() => {
      const canvas = document.querySelector('.flame-host canvas');
      return [...canvas.getContext('2d').getImageData(2, canvas.height - 2, 1, 1).data];
    });
    assert.deepEqual(corner, [255, 255, 255, 255], 'the flame graph is not light');
    await shot(page, 'print');
    await page.evaluate(() => dispatchEvent(new Event('afterprint')));
  }],
];
