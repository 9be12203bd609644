// The page Members: what holds for any Davy, and what only the made-up fleet can show.
import assert from 'node:assert/strict';
import { serve } from '../fixture/server.mjs';
import { drawn, open, shot } from './browser.mjs';

const line = (page, key) => page.locator(`tr.line[data-key="${key}"]`);
const notes = (page, key) => page.locator(`tr.line[data-key="${key}"] + tr.notes`);
const names = (page) => page.locator('tr.line').evaluateAll((all) => all.map((tr) => tr.dataset.key));
const param = (page, name) => new URL(page.url()).searchParams.get(name);
/** A fleet that is failing says so with status 503, which Chromium writes into its console. */
const real = (faults) => faults.filter((f) => !/status of (401|409|503)/.test(f));

async function members(browser, url, path = '/members', options = {}) {
  const { page, faults } = await open(browser, url + path, { width: 1280, height: 860, ...options });
  await page.locator('tr.line').first().waitFor();
  return { page, faults };
}

async function introduce(page, name = 'ada') {
  const field = page.locator('#toggle-who');
  if (await field.count()) await field.fill(name);
}

async function toggleOff(page, key, why) {
  await line(page, key).locator('.toggle').click();
  await introduce(page);
  await page.locator('#toggle-why').fill(why);
  await page.keyboard.press('Enter');
}

/** Figures with their units, as numbers that can be compared. */
const size = (text) => {
  const [, number, unit] = /([\d.\u202f]+) ?([KMG]?i?B|%)/.exec(text);
  return Number(number.replaceAll('\u202f', '')) * { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, '%': 1 }[unit];
};
const descending = (values) => values.every((v, i) => i === 0 || values[i - 1] >= v);

export const commonMembers = [
  ['every member is listed with its usage, the largest heap first', async (browser, url) => {
    const { page, faults } = await members(browser, url);
    assert.deepEqual(await page.locator('nav [aria-current]').innerText(), 'Members');
    await page.locator('nav a', { hasText: 'Explore' }).waitFor();
    const listed = await names(page);
    for (const name of ['api', 'ui', 'control']) assert.ok(listed.includes(name), `${name} is not in ${listed.join(', ')}`);
    assert.equal(await page.locator('th[aria-sort=descending]').innerText().then((t) => t.slice(0, 4)), 'Heap');
    const heaps = (await page.locator('tr.line td.heap').allInnerTexts()).map(size);
    assert.ok(descending(heaps), heaps.join(', '));
    assert.match(await line(page, 'api').locator('.state').innerText(), /ready/);
    await page.waitForFunction(() => document.querySelectorAll('.spark').length > 0);
    assert.deepEqual(real(faults), []);
    await shot(page, 'members');
  }],

  ['an endpoint is disabled with a reason, says so within a second, and comes back', async (browser, url) => {
    const { page, faults } = await members(browser, url, '/members?open=api');
    const key = 'api/ListAllJobs';
    const toggle = line(page, key).locator('.toggle');
    assert.equal(await toggle.getAttribute('aria-label'), 'Toggle endpoint ListAllJobs, which is on');
    await toggle.click();
    await introduce(page);
    await page.locator('#toggle-why').fill('holds the memory, see <b>#4</b>');
    await shot(page, 'members-form');
    const sent = Date.now();
    await page.keyboard.press('Enter');
    await line(page, key).locator('.toggle', { hasText: 'off' }).waitFor({ timeout: 2_000 });
    assert.ok(Date.now() - sent < 1_500, `it took ${Date.now() - sent} ms`);
    const told = await notes(page, key).innerText();
    assert.match(told, /ListAllJobs: every process obeys within a second/);
    assert.match(told, /off by ada, just now: holds the memory, see <b>#4<\/b>/);
    const change = page.locator('.changes tbody tr').first();
    await change.filter({ hasText: 'disabled' }).waitFor({ timeout: 3_000 });
    assert.match((await change.innerText()).replaceAll(/\s+/g, ' '), /ada ListAllJobs disabled holds the memory/);
    assert.equal(await page.locator('.toggle-form').count(), 0);
    await shot(page, 'members-off');
    // The name is asked for once.
    await line(page, key).locator('.toggle').click();
    assert.equal(await page.locator('#toggle-who').count(), 0);
    await page.keyboard.press('Enter');
    await line(page, key).locator('.toggle', { hasText: 'on' }).waitFor({ timeout: 2_000 });
    await page.locator('.changes tbody tr', { hasText: 'back to the configuration' }).first().waitFor();
    assert.deepEqual(real(faults), []);
  }],

  ['a click leads to the flame graph of a member', async (browser, url) => {
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
  ['columns sort by pointer and keyboard, the filter finds operations, and the address keeps both', async (browser, url) => {
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
    await page.locator('td', { hasText: 'Nothing has all the words' }).waitFor();
  }],

  ['the guilty operation is first by heap, and a click leads to what holds it', async (browser, url) => {
    const { page } = await members(browser, url, '/members?by=operation');
    const [first] = await names(page);
    assert.equal(first, 'api/ListAllJobs');
    await line(page, first).getByRole('link', { name: 'Heap flame graph of api ListAllJobs' }).click();
    await drawn(page);
    assert.equal(await page.locator('#selector').inputValue(), '{service_name="davy",member="api",op="ListAllJobs"}');
    assert.match(param(page, 'type'), /^memory:inuse_space:/);
    assert.equal(param(page, 'from'), 'now-15m');
  }],

  ['each process has its own lines, with what the kernel says', async (browser, url) => {
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

  ['what fell and what is late is told by words, and first when sorted by state', async (browser, url) => {
    const { page } = await members(browser, url, '/members?sort=state');
    assert.match(await page.locator('#health').innerText(), /^Failing\. log-collector is backing-off .*; gc\.volumes is stale/);
    assert.equal((await names(page))[0], 'log-collector');
    assert.match(await notes(page, 'log-collector').innerText(), /the cursor went backwards.*starts again in 19 s/s);
    assert.match(await line(page, 'gc.volumes').locator('.run').innerText(), /late, \d+ min/);
    assert.equal(await line(page, 'log-collector').locator('.state svg').count(), 1);
  }],

  ['a limit, a restart and a run now reach the server', async (browser, url) => {
    const { page } = await members(browser, url, '/members?open=api');
    await line(page, 'api/GetBuild').locator('.toggle').click();
    await page.locator('.toggle-form button', { hasText: 'Limit' }).first().click();
    await introduce(page);
    await page.getByLabel('Requests at a time').fill('0');
    await page.locator('#toggle-why').fill('slow disks');
    await page.keyboard.press('Enter');
    assert.match(await page.locator('.refused').innerText(), /whole number from 1/);
    await page.getByLabel('Requests at a time').fill('3');
    await page.keyboard.press('Enter');
    await line(page, 'api/GetBuild').locator('.toggle', { hasText: 'limit 3' }).waitFor();
    assert.match(await notes(page, 'api/GetBuild').innerText(), /limit 3, 30 s each by ada/);
    for (const [key, action] of [['scheduler', 'Restart'], ['gc.containers', 'Run now']]) {
      await line(page, key).locator('.toggle').click();
      await page.locator('.toggle-form .segments button', { hasText: action }).click();
      if (action === 'Restart') await page.locator('#toggle-why').fill('stuck');
      await page.locator('.toggle-form .primary').click();
      await notes(page, key).filter({ hasText: 'obeys' }).waitFor();
    }
    await page.waitForFunction(() => document.querySelector('tr[data-key=scheduler] .restarts')?.textContent === '1');
  }],

  ['a refusal is shown as the server says it, and Escape leaves the form', async (browser, url) => {
    const { page } = await members(browser, url);
    await toggleOff(page, 'control', 'try');
    await page.locator('.refused').waitFor();
    assert.equal(await page.locator('.refused').innerText(), "member control can't be disabled: what is toggled is toggled through it; stop the process instead");
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('.toggle-form').count(), 0);
    await page.waitForFunction(() => document.activeElement?.classList.contains('toggle'));
    await line(page, 'api').locator('.toggle').click();
    assert.match(await page.locator('.caution').innerText(), /only from a terminal, or at the debug port .*127\.0\.0\.1:6061/);
    await page.locator('#toggle-why').fill('');
    await page.keyboard.press('Enter');
    assert.match(await page.locator('.refused').innerText(), /reason is needed/);
  }],

  ['a server that wants a token is given it once', async (browser) => {
    const { server, url } = await serve({ token: 's3cret' });
    try {
      const { page } = await members(browser, url);
      await toggleOff(page, 'scheduler', 'try');
      await page.locator('#toggle-token').waitFor();
      assert.match(await page.locator('.refused').innerText(), /needs the token of http\.token/);
      await page.locator('#toggle-token').fill('wrong');
      await page.keyboard.press('Enter');
      await page.waitForFunction(() => !document.querySelector('.toggle-form .primary').disabled);
      await page.locator('#toggle-token').fill('s3cret');
      await page.keyboard.press('Enter');
      await line(page, 'scheduler').locator('.state', { hasText: 'off' }).waitFor();
      await page.reload();
      await line(page, 'scheduler').locator('.toggle').click();
      assert.equal(await page.locator('#toggle-token').count(), 0);
      await page.keyboard.press('Enter');
      await line(page, 'scheduler').locator('.state', { hasText: 'ready' }).waitFor();
      assert.equal(await page.evaluate(() => localStorage.getItem('davy.token')), null);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }],

  ['lines stay under the pointer while their figures change', async (browser, url) => {
    const [row] = await (await fetch(`${url}/api/v1/members`)).json();
    const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
    // At each look the smallest has become the largest.
    let look = 0;
    await page.route('**/api/v1/members?*', (route) => {
      look++;
      const heap = (i) => (1 + ((i + look) % 4)) * 1024;
      return route.fulfill({ json: [0, 1, 2, 3].map((i) => ({ ...row, name: `m${i}`, heap_bytes: heap(i) })) });
    });
    await page.goto(`${url}/members`);
    await page.locator('tr.line').first().waitFor();
    const figures = () => page.locator('td.heap').allInnerTexts();
    const change = async () => {
      const then = (await figures()).join();
      await page.waitForFunction((was) => [...document.querySelectorAll('td.heap')].map((td) => td.innerText).join() !== was, then);
    };
    await line(page, 'm2').locator('.flames').hover();
    await page.locator('.freshness', { hasText: 'order held' }).waitFor();
    const before = await names(page);
    for (let i = 0; i < 3; i++) {
      await change();
      assert.deepEqual(await names(page), before);
    }
    await page.mouse.move(640, 40);
    await page.locator('.freshness', { hasText: 'live' }).waitFor();
    assert.ok(descending((await figures()).map(size)), (await figures()).join());
  }],

  ['a page that loses its server says how old it is, and recovers by itself', async (browser) => {
    const first = await serve();
    const port = Number(new URL(first.url).port);
    const { page } = await members(browser, first.url);
    first.server.closeAllConnections();
    await new Promise((done) => first.server.close(done));
    await page.locator('#lost').waitFor({ timeout: 6_000 });
    await page.waitForTimeout(2_500);
    assert.match(await page.locator('#lost').innerText(), /cannot be reached\. No answer came\. Is the process still up\? What is shown is [3-9] s old, from \d\d:\d\d:\d\d\. This page keeps asking/);
    assert.ok((await names(page)).length > 5, 'the last answer stays');
    await shot(page, 'members-lost');
    const second = await serve({ port });
    try {
      await page.locator('#lost').waitFor({ state: 'detached', timeout: 6_000 });
    } finally {
      second.server.closeAllConnections();
      second.server.close();
    }
  }],

  ['of a thousand members the first are drawn, and any is found', async (browser, url) => {
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

  ['a tab that nobody looks at asks nothing', async (browser, url) => {
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

  ['a narrow page has no column to scroll for, and toggles too', async (browser, url) => {
    const { page } = await members(browser, url, '/members', { width: 400, height: 800, theme: 'light' });
    const overflow = () => page.evaluate(() => document.querySelector('.members-body').scrollWidth - document.querySelector('.members-body').clientWidth);
    assert.equal(await overflow(), 0);
    await page.locator('#sort').selectOption('cpu');
    assert.ok(descending((await page.locator('tr.line td.cpu').allInnerTexts()).map(size)));
    await line(page, 'gc.containers').locator('.toggle').click();
    await introduce(page);
    await page.locator('#toggle-why').fill('too much for node-2');
    await shot(page, 'members-narrow');
    assert.equal(await overflow(), 0);
    await page.keyboard.press('Enter');
    await line(page, 'gc.containers').locator('.state', { hasText: 'off' }).waitFor();
  }],
];
