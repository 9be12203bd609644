// Incident: what changed, ranked, and one click to why; with a Davy that is too young to compare.
import assert from 'node:assert/strict';
import { drawn, open, settle, shot } from './browser.mjs';
import { serve } from '../fixture/server.mjs';

const text = (page, selector) => page.locator(selector).innerText();
const param = (page, name) => new URL(page.url()).searchParams.get(name);
const rows = (page) => page.locator('.changes tbody tr').evaluateAll((all) => all.map((r) => r.innerText.replace(/\s+/g, ' ').trim()));

async function incident(browser, url, path = '/', options = {}) {
  const { page, faults } = await open(browser, url + path, options);
  await page.locator('#verdict').waitFor();
  return { page, faults };
}

/** Checks for any Davy that profiles itself. */
export const commonIncident = [
  ['the first page says what is used and what changed, and leads to a flame graph', async (browser, url) => {
    const { page, faults } = await incident(browser, url);
    assert.match(await text(page, '#measure-cpu b'), /%$/);
    assert.match(await text(page, '#measure-heap b'), /iB$/);
    assert.equal(await page.title(), 'Incident · Davy');
    if ((await page.locator('#show-same').count()) > 0) await page.locator('#show-same').click();
    await page.locator('.changes tbody tr').first().waitFor();
    await page.locator('#filter').fill('archive.ingest');
    await page.locator('.changes tbody tr', { hasText: 'Heap' }).locator('.heap').first().click();
    await drawn(page, 90_000);
    assert.match(param(page, 'selector'), /member="archive\.ingest"/);
    assert.deepEqual(faults, []);
  }],
];

export const fixtureIncident = [
  ['what grew since yesterday is at the top, with one click to its difference, its heap and its switch', async (browser, url) => {
    for (const theme of ['light', 'dark']) {
      const { page, faults } = await incident(browser, url, '/?by=operation', { theme, width: 1440 });
      await page.locator('#against-day').click();
      await page.waitForFunction(() => /yesterday/.test(document.querySelector('#verdict')?.textContent ?? ''));
      await settle(page);
      await page.locator('#measure-heap').click();
      const found = await rows(page);
      assert.match(found[0], /▲ grew ListAllJobs api Heap 412 MiB .*12\.0 MiB .*\+400 MiB ?34\.3 times/);
      assert.match(found[1], /× gone run log-collector Heap 0 B/);
      await page.locator('#measure-heap').click();
      await settle(page);
      await shot(page, `incident-${theme}`);
      assert.deepEqual(faults, []);
      const first = page.locator('.changes tbody tr', { hasText: 'ListAllJobs' }).filter({ has: page.locator('.measure', { hasText: 'Heap' }) });
      assert.match(await first.locator('.switch').getAttribute('href'), /members\?by=operation&filter=ListAllJobs$/);
      await first.locator('.diff').click();
      await drawn(page);
      assert.match(param(page, 'selector'), /member="api",op="ListAllJobs"/);
      assert.equal(Number(param(page, 'from')) - Number(param(page, 'base_from')), 86_400_000);
      await page.goBack();
      await page.locator('#verdict').waitFor();
      assert.equal(param(page, 'against'), 'day');
    }
  }],

  ['values without a change are listed on request, and a link shows the same later', async (browser, url) => {
    const { page } = await incident(browser, url);
    const before = (await rows(page)).length;
    await page.locator('#show-same').click();
    assert.ok((await rows(page)).length > before);
    await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: { writeText: (text) => { window.copied = text; return Promise.resolve(); } } }));
    await page.locator('#copy-link').click();
    const link = new URL(await page.evaluate(() => window.copied));
    assert.equal(link.pathname, '/');
    assert.match(link.searchParams.get('until'), /^\d{13}$/);
    assert.equal(link.searchParams.get('against'), 'hour');
    await page.goto(link.href);
    await page.locator('#pinned').waitFor();
    await page.locator('#pinned button').click();
    await page.waitForFunction(() => document.querySelector('#pinned') === null);
  }],

  ['a heap is captured with a reason, listed and opened, and a reload opens it again', async (browser) => {
    const own = await serve({ token: 'secret' });
    try {
      const { page, faults } = await incident(browser, own.url, '/', { width: 1440, theme: 'light' });
      const row = page.locator('.changes tbody tr.change', { hasText: 'api' }).filter({ has: page.locator('.measure', { hasText: 'Heap' }) });
      await row.locator('.capture-now').click();
      await page.locator('#capture-why').fill('it grows by the minute');
      await page.locator('#capture-who').fill('');
      await page.keyboard.press('Enter');
      await page.locator('.capture-form .refused', { hasText: 'your name' }).waitFor();
      await page.locator('#capture-who').fill('ada');
      await page.keyboard.press('Enter');
      await page.locator('#capture-token').fill('secret');
      await page.keyboard.press('Enter');
      await page.locator('#captured').waitFor();
      assert.equal(await text(page, '#captured'), 'Captured the heap of 2 processes.');
      const first = (await page.locator('.capture').first().innerText()).replace(/\s+/g, ' ');
      assert.match(first, /frontend 4101 on node-1 api 412 MiB ada it grows by the minute Flame graph pprof/);
      await settle(page);
      await shot(page, 'captures');
      assert.match(await page.locator('.pprof').first().getAttribute('href'), /\/api\/v1\/captures\/01M8/);
      await page.locator('.capture .open').first().click();
      await drawn(page);
      assert.match(await text(page, '.local-name'), /Captured heap 01M8/);
      await page.reload();
      await drawn(page);
      assert.match(await text(page, '.local-name'), /Captured heap 01M8/);
      await page.locator('#close-file').click();
      await drawn(page);
      assert.equal(param(page, 'capture'), null);
      assert.deepEqual(faults.filter((fault) => !/401/.test(fault)), []);
    } finally {
      own.server.close();
    }
  }],

  ['the keyboard alone finds the member that grew', async (browser, url) => {
    const { page } = await incident(browser, url);
    await page.keyboard.press('/');
    await page.keyboard.type('api heap');
    await page.waitForFunction(() => document.querySelectorAll('.changes tbody tr').length === 1);
    await page.keyboard.press('Tab');
    for (let i = 0; i < 30; i++) {
      if (await page.evaluate(() => document.activeElement.classList.contains('diff'))) break;
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    await drawn(page);
    assert.match(page.url(), /\/compare\?/);
  }],

  ['a Davy that has no earlier profiles says so, and shows usage as it is', async (browser) => {
    const own = await serve({ young: 120_000 });
    try {
      const { page } = await incident(browser, own.url);
      assert.match(await text(page, '#verdict'), /no earlier data/);
      assert.doesNotMatch((await rows(page))[0], /unknown|new/);
      assert.equal(await page.locator('.diff').count(), 0);
      assert.ok(await page.locator('#against-hour').isDisabled());
    } finally {
      own.server.close();
    }
  }],

  ['a failure of the changes is a sentence with a retry', async (browser, url) => {
    const { page } = await open(browser, 'about:blank');
    await page.route('**/profiles/changes?*', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ title: 'Service Unavailable', detail: 'the bucket is not available', status: 503 }) }));
    await page.goto(url);
    await page.locator('#lost').waitFor();
    assert.match(await text(page, '#lost'), /The changes could not be loaded\. The bucket is not available \(HTTP 503\)/);
    await page.unroute('**/profiles/changes?*');
    await page.locator('#lost button').click();
    await page.locator('#verdict').waitFor();
  }],

  ...[1024, 480].map((width) => [`Incident fits into ${width} pixels`, async (browser, url) => {
    for (const theme of ['light', 'dark']) {
      const { page } = await incident(browser, url, '/?by=operation', { width, theme });
      await settle(page);
      await shot(page, `incident-${width}-${theme}`);
      const outside = await page.evaluate(() => [...document.querySelectorAll('.page *')]
        .filter((e) => e.getBoundingClientRect().width > 0 && e.getBoundingClientRect().right > innerWidth + 1)
        .map((e) => `${e.tagName} ${e.className} ${e.textContent}`));
      assert.deepEqual(outside, []);
    }
  }]),
];
