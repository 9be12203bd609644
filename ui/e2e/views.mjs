// Saved views, and flame graphs in frames of other pages.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { drawn, open, row, settle, shot } from './browser.mjs';
import { serve } from '../fixture/server.mjs';

const param = (page, name) => new URL(page.url()).searchParams.get(name);

/** A page of another origin with a frame. */
async function host(address) {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end(`<!doctype html><title>A wiki</title><iframe src="${address()}" width="1000" height="600"></iframe>`);
  });
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => { server.closeAllConnections(); server.close(); } };
}

export const fixtureViews = [
  ['a view is saved with a title and a note, opened exactly by another browser, and deleted', async (browser) => {
    const began = Date.now();
    const own = await serve({ now: () => began });
    try {
      const { page, faults } = await open(browser, `${own.url}/explore?view=flame`);
      await drawn(page);
      const [first] = (await row(page, 1)).filter((f) => f.name.startsWith('member='));
      await page.mouse.click(first.x, first.y);
      await page.waitForFunction(() => location.hash.includes('zoom='));
      await settle(page);
      const total = await page.locator('.status b').innerText();
      await page.locator('#views-menu summary').click();
      assert.equal(await page.locator('#view-title').inputValue(), 'CPU of davy');
      await page.locator('#view-title').fill('Heap <b>of</b> api');
      await page.locator('#view-note').fill('grows by the minute\nsince the deploy');
      await page.locator('#view-who').fill('ada');
      await page.keyboard.press('Enter');
      await page.locator('#views li').waitFor();
      assert.equal(await page.locator('#view-said').innerText(), 'Saved “Heap <b>of</b> api”.');
      assert.match(await page.locator('#views li').innerText(), /grows by the minute\nsince the deploy/);
      await shot(page, 'views');
      assert.deepEqual(faults, []);

      const { page: other } = await open(browser, `${own.url}/explore`);
      await drawn(other);
      await other.locator('#views-menu summary').click();
      await other.locator('#views li a', { hasText: 'Heap <b>of</b> api' }).click();
      await other.waitForFunction(() => location.hash.includes('zoom='));
      await drawn(other);
      assert.equal(param(other, 'until'), String(began));
      assert.equal(await other.locator('.status b').innerText(), total);
      assert.equal(await other.locator('.trail [aria-current]').getAttribute('title'), first.name);

      await other.locator('#views-menu summary').click();
      await other.locator('#view-who').fill('grace');
      await other.locator('#views .delete').click();
      await other.locator('#views .confirm').click();
      await other.locator('.saved-views [role=alert]').waitFor();
      assert.match(await other.locator('.saved-views [role=alert]').innerText(), /Enter your name/);
    } finally {
      own.server.close();
    }
  }],

  ['a view needs a token where changes do', async (browser) => {
    const own = await serve({ token: 'secret' });
    try {
      const { page } = await open(browser, `${own.url}/explore`);
      await drawn(page);
      await page.locator('#views-menu summary').click();
      await page.locator('#view-who').fill('ada');
      await page.locator('.saved-views [type=submit]').click();
      await page.locator('#view-token').fill('secret');
      await page.locator('.saved-views [type=submit]').click();
      await page.locator('#views li').waitFor();
      await page.locator('#views .delete').click();
      await page.locator('#views .confirm').click();
      await page.waitForFunction(() => document.querySelectorAll('#views li').length === 0);
    } finally {
      own.server.close();
    }
  }],

  ['a page of a listed origin shows a flame graph in a frame, which zooms and leads to Davy', async (browser) => {
    const origins = [];
    const own = await serve({ embedOrigins: origins });
    const wiki = await host(() => `${own.url}/embed/flamegraph?from=now-30m`);
    origins.push(wiki.url);
    try {
      const { page, faults } = await open(browser, wiki.url);
      const frame = page.frameLocator('iframe');
      await frame.locator('.flame-host[data-nodes]').waitFor();
      assert.equal(await frame.locator('h1').innerText(), 'CPU of davy');
      assert.equal(await frame.locator('nav[aria-label=Pages], #service, .top-table').count(), 0);
      await frame.locator('.flame-host canvas').click({ position: { x: 100, y: 27 } });
      await frame.locator('.trail [aria-current]').waitFor();
      const inside = page.frames().find((of) => of.url().includes('/embed/'));
      assert.match(inside.url(), /\/embed\/flamegraph\?.*#zoom=/);
      const link = await frame.locator('#open-davy').getAttribute('href');
      assert.match(link, /^\.\/explore\?.*from=\d{13}/);
      await shot(page, 'embedded');
      assert.deepEqual(faults, []);
    } finally {
      wiki.close();
      own.server.close();
    }
  }],

  ['an origin that is not listed cannot frame a flame graph, and none can frame the other pages', async (browser) => {
    const origins = ['https://wiki.example.com'];
    const own = await serve({ embedOrigins: origins });
    let path = '/embed/flamegraph';
    const wiki = await host(() => own.url + path);
    try {
      const refused = async () => {
        const { page, faults } = await open(browser, 'about:blank');
        await page.goto(wiki.url);
        await page.waitForTimeout(500);
        assert.ok(faults.some((fault) => /frame-ancestors/.test(fault)), faults.join(', '));
        assert.equal(await page.frameLocator('iframe').locator('#app').count(), 0);
      };
      await refused();
      origins.push(wiki.url);
      path = '/explore';
      await refused();
    } finally {
      wiki.close();
      own.server.close();
    }
  }],
];
