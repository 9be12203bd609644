// The Members page: checks for any Davy, and checks that need the synthetic fleet.
import assert from 'node:assert/strict';
import { serve } from '../fixture/server.mjs';
import { drawn, open, shot } from './browser.mjs';

const line = (page, key) => page.locator(`tr.line[data-key="${key}"]`);
const notes = (page, key) => page.locator(`tr.line[data-key="${key}"] + tr.notes`);
const names = (page) => page.locator('tr.line').evaluateAll((all) => all.map((tr) => tr.dataset.key));
const param = (page, name) => new URL(page.url()).searchParams.get(name);
/** Without console errors about expected statuses: health requests to a failing fleet get 503. */
const unexpected = (faults) => faults.filter((f) => !/status of (401|409|503)/.test(f));

async function members(browser, url, path = '/members', options = {}) {
  const { page, faults } = await open(browser, url + path, { width: 1280, height: 860, ...options });
  await page.locator('tr.line').first().waitFor();
  return { page, faults };
}

async function enterName(page, name = 'ada') {
  const field = page.locator('#toggle-who');
  if (await field.count()) await field.fill(name);
}

async function disable(page, key, why) {
  await line(page, key).locator('.toggle-button').click();
  await enterName(page);
  await page.locator('#toggle-why').fill(why);
  await page.keyboard.press('Enter');
}

/** A value with its unit as a number, for comparison. */
const size = (text) => {
  const [, number, unit] = /([\d.,]+) ?([KMG]?i?B|%)/.exec(text);
  return Number(number.replaceAll(',', '')) * { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, '%': 1 }[unit];
};
const descending = (values) => values.every((v, i) => i === 0 || values[i - 1] >= v);

export const commonMembers = [
  ['members are listed with their usage, largest heap first', async (browser, url) => {
    const { page, faults } = await members(browser, url);
    assert.deepEqual(await page.locator('nav [aria-current]').innerText(), 'Members');
    await page.locator('nav a', { hasText: 'Explore' }).waitFor();
    const listed = await names(page);
    for (const name of ['api', 'ui', 'control']) assert.ok(listed.includes(name), `${name} is missing in ${listed.join(', ')}`);
    assert.equal(await page.locator('th[aria-sort=descending]').innerText().then((t) => t.slice(0, 4)), 'Heap');
    const heaps = (await page.locator('tr.line td.heap').allInnerTexts()).map(size);
    assert.ok(descending(heaps), heaps.join(', '));
    assert.match(await line(page, 'api').locator('.state').innerText(), /ready/);
    await page.waitForFunction(() => document.querySelectorAll('.spark').length > 0);
    assert.deepEqual(unexpected(faults), []);
    await shot(page, 'members');
  }],

  ['an endpoint is disabled with a reason, shown as disabled within a second, and enabled again', async (browser, url) => {
    const { page, faults } = await members(browser, url, '/members?open=api');
    const key = 'api/ListAllJobs';
    const toggle = line(page, key).locator('.toggle-button');
    assert.equal(await toggle.getAttribute('aria-label'), 'enabled: toggle endpoint ListAllJobs');
    await toggle.click();
    await enterName(page);
    await page.locator('#toggle-why').fill('high memory usage, see <b>#4</b>');
    await shot(page, 'members-form');
    const sent = Date.now();
    await page.keyboard.press('Enter');
    await line(page, key).locator('.toggle-button', { hasText: 'disabled' }).waitFor({ timeout: 2_000 });
    assert.ok(Date.now() - sent < 1_500, `took ${Date.now() - sent} ms`);
    const note = await notes(page, key).innerText();
    assert.match(note, /ListAllJobs: \S/);
    assert.match(note, /disabled by ada, just now: high memory usage, see <b>#4<\/b>/);
    const change = page.locator('.audit tbody tr').first();
    await change.filter({ hasText: 'disabled' }).waitFor({ timeout: 3_000 });
    assert.match((await change.innerText()).replaceAll(/\s+/g, ' '), /ada ListAllJobs disabled high memory usage/);
    assert.equal(await page.locator('.toggle-form').count(), 0);
    await shot(page, 'members-disabled');
    // The name is stored.
    await line(page, key).locator('.toggle-button').click();
    assert.equal(await page.locator('#toggle-who').count(), 0);
    await page.keyboard.press('Enter');
    await line(page, key).locator('.toggle-button', { hasText: 'enabled' }).waitFor({ timeout: 2_000 });
    await page.locator('.audit tbody tr', { hasText: /toggle removed|enabled/ }).first().waitFor();
    assert.deepEqual(unexpected(faults), []);
  }],

  ['a link leads to the flame graph of a member', async (browser, url) => {
    const { page } = await members(browser, url);
    await page.getByRole('link', { name: 'CPU flame graph of archive.ingest' }).click();
    await drawn(page, 90_000);
    assert.match(await page.locator('#selector').inputValue(), /^\{service_name="davy",member="archive\.ingest"\}$/);
    assert.equal(await page.locator('#by').inputValue(), 'op');
    assert.match(param(page, 'type'), /^process_cpu:/);
    await page.goBack();
    await page.locator('tr.line').first().waitFor();
  }],
];

export const fixtureMembers = [
  ['sparklines begin with the history of the archive, not with a dot', async (browser, url) => {
    const { page } = await members(browser, url);
    await page.waitForFunction(() => [...document.querySelectorAll('.spark path')].some((p) => p.getAttribute('d').split('L').length > 6), null, { timeout: 5_000 });
    const text = await page.locator('.spark').first().getAttribute('aria-label');
    assert.match(text, /last 2 minutes: from .* to /);
  }],

  ['columns sort by pointer and keyboard, the filter finds operations, and the URL keeps both', async (browser, url) => {
    const { page } = await members(browser, url);
    await page.locator('th.cpu button').click();
    const cores = (await page.locator('tr.line td.cpu').allInnerTexts()).map(size);
    assert.ok(descending(cores), cores.join(', '));
    await page.locator('thead th.name button').focus();
    await page.keyboard.press('Enter');
    const listed = await names(page);
    assert.deepEqual(listed, listed.toSorted());
    await page.keyboard.press('/');
    await page.keyboard.type('alljobs');
    await page.waitForFunction(() => document.querySelectorAll('tr.line').length === 2);
    assert.deepEqual(await names(page), ['api', 'api/ListAllJobs']);
    assert.match(await page.locator('.summary').innerText(), /hidden by the filter/);
    assert.deepEqual([param(page, 'sort'), param(page, 'filter')], ['name', 'alljobs']);
    await page.reload();
    await page.locator('tr.line').first().waitFor();
    assert.deepEqual(await names(page), ['api', 'api/ListAllJobs']);
    await page.locator('#filter').fill('no such thing');
    await page.locator('td', { hasText: 'No lines match' }).waitFor();
  }],

  ['sorting operations by heap puts the largest first, and its link leads to the heap flame graph', async (browser, url) => {
    const { page } = await members(browser, url, '/members?by=operation');
    const [first] = await names(page);
    assert.equal(first, 'api/ListAllJobs');
    await line(page, first).getByRole('link', { name: 'Heap flame graph of api ListAllJobs' }).click();
    await drawn(page);
    assert.equal(await page.locator('#selector').inputValue(), '{service_name="davy",member="api",op="ListAllJobs"}');
    assert.match(param(page, 'type'), /^memory:inuse_space:/);
    assert.equal(param(page, 'from'), 'now-15m');
  }],

  ['each process has its own lines, with usage from the kernel', async (browser, url) => {
    const { page } = await members(browser, url);
    await page.locator('#by-process').click();
    await page.locator('tr.process').first().waitFor();
    assert.deepEqual((await page.locator('tr.process .name').allInnerTexts()).map((t) => t.trim()).sort(), ['backend', 'frontend', 'frontend']);
    assert.match(await notes(page, 'frontend:node-1:4101').innerText(), /pid 4101 on node-1.*of 512 MiB.*debug 127\.0\.0\.1:6061/s);
    assert.equal(param(page, 'by'), 'process');
    await shot(page, 'members-processes');
    await page.goBack();
    await page.waitForFunction(() => document.querySelectorAll('tr.process').length === 0);
  }],

  ['failed and stale members are described in words and sorted first by state', async (browser, url) => {
    const { page } = await members(browser, url, '/members?sort=state');
    assert.match(await page.locator('#health').innerText(), /^Failing\. log-collector is backing off .*; gc\.volumes is stale/);
    assert.equal((await names(page))[0], 'log-collector');
    assert.match(await notes(page, 'log-collector').innerText(), /cursor moved backwards.*restarts in 19 s/s);
    assert.match(await line(page, 'gc.volumes').locator('.run').innerText(), /stale: \d+ min/);
    assert.equal(await line(page, 'log-collector').locator('.state svg').count(), 1);
  }],

  ['limit, restart and run now are sent to the server', async (browser, url) => {
    const { page } = await members(browser, url, '/members?open=api');
    await line(page, 'api/GetBuild').locator('.toggle-button').click();
    await page.locator('.toggle-form button', { hasText: 'Limit' }).first().click();
    await enterName(page);
    await page.getByLabel('Concurrent requests').fill('0');
    await page.locator('#toggle-why').fill('slow disks');
    await page.keyboard.press('Enter');
    assert.match(await page.locator('.refused').innerText(), /whole number of at least 1/);
    await page.getByLabel('Concurrent requests').fill('3');
    await page.keyboard.press('Enter');
    await line(page, 'api/GetBuild').locator('.toggle-button', { hasText: 'limited to 3' }).waitFor();
    assert.match(await notes(page, 'api/GetBuild').innerText(), /limited to 3, 30 s per slot by ada/);
    for (const [key, action] of [['scheduler', 'Restart'], ['gc.containers', 'Run now']]) {
      await line(page, key).locator('.toggle-button').click();
      await page.locator('.toggle-form .segments button', { hasText: action }).click();
      if (action === 'Restart') await page.locator('#toggle-why').fill('stuck');
      await page.locator('.toggle-form .primary').click();
      await notes(page, key).filter({ hasText: 'within a second' }).waitFor();
    }
    await page.waitForFunction(() => document.querySelector('tr[data-key=scheduler] .restarts')?.textContent === '1');
  }],

  ['a refusal shows the text of the server, and Escape closes the form', async (browser, url) => {
    const { page } = await members(browser, url);
    await disable(page, 'control', 'try');
    await page.locator('.refused').waitFor();
    assert.equal(await page.locator('.refused').innerText(), 'member control cannot be disabled: toggles are delivered through it; stop the process instead');
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('.toggle-form').count(), 0);
    await page.waitForFunction(() => document.activeElement?.classList.contains('toggle-button'));
    await line(page, 'api').locator('.toggle-button').click();
    assert.match(await page.locator('.caution').innerText(), /from a terminal or through a debug port .*127\.0\.0\.1:6061/);
    await page.locator('#toggle-why').fill('');
    await page.keyboard.press('Enter');
    assert.match(await page.locator('.refused').innerText(), /Enter a reason/);
  }],

  ['the token is entered once per browser session', async (browser) => {
    const { server, url } = await serve({ token: 's3cret' });
    try {
      const { page } = await members(browser, url);
      await disable(page, 'scheduler', 'try');
      await page.locator('#toggle-token').waitFor();
      assert.match(await page.locator('.refused').innerText(), /need the token of http\.token/);
      await page.locator('#toggle-token').fill('wrong');
      await page.keyboard.press('Enter');
      await page.waitForFunction(() => !document.querySelector('.toggle-form .primary').disabled);
      await page.locator('#toggle-token').fill('s3cret');
      await page.keyboard.press('Enter');
      await line(page, 'scheduler').locator('.state', { hasText: 'disabled' }).waitFor();
      await page.reload();
      await line(page, 'scheduler').locator('.toggle-button').click();
      assert.equal(await page.locator('#toggle-token').count(), 0);
      await page.keyboard.press('Enter');
      await line(page, 'scheduler').locator('.state', { hasText: 'ready' }).waitFor();
      assert.equal(await page.evaluate(() => localStorage.getItem('davy.token')), null);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }],

  ['lines keep their order under the pointer while values change', async (browser, url) => {
    const [row] = await (await fetch(`${url}/api/v1/members`)).json();
    const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
    // Each refresh changes the order by heap.
    let refresh = 0;
    await page.route('**/api/v1/members?*', (route) => {
      refresh++;
      const heap = (i) => (1 + ((i + refresh) % 4)) * 1024;
      return route.fulfill({ json: [0, 1, 2, 3].map((i) => ({ ...row, name: `m${i}`, heap_bytes: heap(i) })) });
    });
    await page.goto(`${url}/members`);
    await page.locator('tr.line').first().waitFor();
    const values = () => page.locator('td.heap').allInnerTexts();
    const change = async () => {
      const then = (await values()).join();
      await page.waitForFunction((was) => [...document.querySelectorAll('td.heap')].map((td) => td.innerText).join() !== was, then);
    };
    await line(page, 'm2').locator('.flames').hover();
    await page.locator('.freshness', { hasText: 'order paused' }).waitFor();
    const before = await names(page);
    for (let i = 0; i < 3; i++) {
      await change();
      assert.deepEqual(await names(page), before);
    }
    await page.mouse.move(640, 40);
    await page.locator('.freshness', { hasText: 'live' }).waitFor();
    assert.ok(descending((await values()).map(size)), (await values()).join());
  }],

  ['a page that loses its server shows the age of its data and recovers', async (browser) => {
    const first = await serve();
    const port = Number(new URL(first.url).port);
    const { page } = await members(browser, first.url);
    first.server.closeAllConnections();
    await new Promise((done) => first.server.close(done));
    await page.locator('#lost').waitFor({ timeout: 6_000 });
    await page.waitForTimeout(2_500);
    assert.match(await page.locator('#lost').innerText(), /Cannot connect to Davy\. Check that the process is running\. Showing data from \d\d:\d\d:\d\d, [3-9] s old\. Retrying\./);
    assert.ok((await names(page)).length > 5, 'the last data received is not shown');
    await shot(page, 'members-lost');
    const second = await serve({ port });
    try {
      await page.locator('#lost').waitFor({ state: 'detached', timeout: 6_000 });
    } finally {
      second.server.closeAllConnections();
      second.server.close();
    }
  }],

  ['a thousand members are drawn in part, and the filter finds any', async (browser, url) => {
    const rows = await (await fetch(`${url}/api/v1/members`)).json();
    const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
    await page.route('**/api/v1/members?*', (route) =>
      route.fulfill({ json: Array.from({ length: 1000 }, (_, i) => ({ ...rows[0], name: `member.${i}`, heap_bytes: 1000 - i })) }));
    await page.goto(`${url}/members`);
    await page.locator('tr.more').waitFor();
    assert.equal((await names(page)).length, 250);
    assert.match(await page.locator('tr.more').innerText(), /^750 more lines/);
    await page.locator('#filter').fill('member.999');
    await page.waitForFunction(() => document.querySelectorAll('tr.line').length === 1);
    await page.locator('#filter').fill('');
    await page.locator('tr.more button').click();
    await page.waitForFunction(() => document.querySelectorAll('tr.line').length === 1000);
  }],

  ['a hidden tab sends no requests', async (browser, url) => {
    const { page } = await members(browser, url);
    const hide = (hidden) => page.evaluate((h) => {
      Object.defineProperty(document, 'visibilityState', { value: h ? 'hidden' : 'visible', configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
    await hide(true);
    await page.waitForTimeout(300);
    let asked = 0;
    page.on('request', (r) => { if (r.url().includes('/members')) asked++; });
    await page.waitForTimeout(5_000);
    assert.equal(asked, 0);
    await hide(false);
    await page.waitForTimeout(500);
    assert.ok(asked > 0);
  }],

  ['a narrow page needs no horizontal scrolling and can toggle', async (browser, url) => {
    const { page } = await members(browser, url, '/members', { width: 400, height: 800, theme: 'light' });
    const overflow = () => page.evaluate(() => document.querySelector('.members-body').scrollWidth - document.querySelector('.members-body').clientWidth);
    assert.equal(await overflow(), 0);
    await page.locator('#sort').selectOption('cpu');
    assert.ok(descending((await page.locator('tr.line td.cpu').allInnerTexts()).map(size)));
    await line(page, 'gc.containers').locator('.toggle-button').click();
    await enterName(page);
    await page.locator('#toggle-why').fill('too much load on node-2');
    await shot(page, 'members-narrow');
    assert.equal(await overflow(), 0);
    await page.keyboard.press('Enter');
    await line(page, 'gc.containers').locator('.state', { hasText: 'disabled' }).waitFor();
  }],
];
