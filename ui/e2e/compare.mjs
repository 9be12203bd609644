// Compare: from Explore by one click, the words, the scales, the table, the flame graph and the keyboard.
import assert from 'node:assert/strict';
import { drawn, open, row, settle, shareOf, shot } from './browser.mjs';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const HEAP = 'memory:inuse_space:bytes:space:bytes';
const explore = (type, more = {}) => `/explore?${new URLSearchParams({ type, selector: '{service_name="davy"}', from: 'now-1h', ...more })}`;
const param = (page, name) => new URL(page.url()).searchParams.get(name);
const text = (page, selector) => page.locator(selector).innerText();

async function compare(browser, url, choose, { type = CPU, ...options } = {}) {
  const { page, faults } = await open(browser, url + explore(type), options);
  await drawn(page);
  await page.locator('#compare-menu summary').click();
  await page.locator('#compare-menu a', { hasText: choose }).first().click();
  await drawn(page);
  await page.locator('.rank-table .tr').first().waitFor();
  return { page, faults };
}

export const fixtureCompare = [
  ['two versions are compared by one click, and what is new and gone is at the top and visible', async (browser, url) => {
    for (const theme of ['light', 'dark']) {
      const { page, faults } = await compare(browser, url, 'Version 0.2.0 with 0.1.0', { theme, width: 1440 });
      assert.match(await text(page, '#verdict'), /^CPU: [\d.]+ min, [+−][\d.]+ \w+ \([+−][\d.]+%\) compared with [\d.]+ min in the base\. Frames are compared by their share/);
      const rows = await page.locator('.rank-table .tr').evaluateAll((all) => all.map((r) => r.innerText.replace(/\s+/g, ' ')));
      assert.match(rows[0], /points new .*davy_control::audit::Log::write/);
      assert.ok(rows.some((r) => / gone /.test(r)), 'nothing is gone');
      await page.locator('.rank-table .tr', { hasText: 'gone' }).first().click();
      await page.waitForFunction(() => /%/.test(document.querySelector('#matched')?.textContent ?? ''));
      await settle(page);
      await shot(page, `compare-${theme}`);
      assert.deepEqual(faults, []);
    }
  }],

  ['a frame says its values on both sides and its difference', async (browser, url) => {
    const { page } = await compare(browser, url, 'Version 0.2.0');
    const frames = await row(page, 4, 8);
    const added = frames.find((f) => f.name.includes('audit::Log::write'));
    assert.ok(added, frames.map((f) => f.name).join(', '));
    await page.mouse.move(added.x, added.y);
    assert.match(await text(page, '.tooltip'), /total[\s\S]*0%[\s\S]*points[\s\S]*new/);
  }],

  ['the same time yesterday is an absolute range of the same length', async (browser, url) => {
    const { page } = await compare(browser, url, 'Same time yesterday', { type: HEAP });
    const [from, baseFrom] = [Number(param(page, 'from')), Number(param(page, 'base_from'))];
    assert.equal(from - baseFrom, 86_400_000);
    assert.match(await text(page, '#verdict'), /^Heap in use: /);
    assert.equal(await page.locator('#scale-rate').count(), 0, 'a level has no rate');
    assert.equal(await page.locator('.tr .name', { hasText: 'rust_realloc' }).count(), 0, 'allocator frames are in the table');
  }],

  ['one member is compared with another', async (browser, url) => {
    const { page } = await compare(browser, url, /^member .* with /);
    assert.match(param(page, 'selector'), /member="api"/);
    assert.match(param(page, 'base_selector'), /member="(?!api)/);
  }],

  ['ranges of different lengths are compared per second, with a caution when they are not', async (browser, url) => {
    const { page } = await open(browser, `${url}/compare?${new URLSearchParams({ type: CPU, selector: '{service_name="davy"}', from: 'now-10m', until: 'now', base_from: 'now-1h', base_until: 'now' })}`);
    await drawn(page);
    assert.equal(await page.locator('#scale-rate').getAttribute('aria-pressed'), 'true');
    assert.match(await text(page, '#verdict'), /cores/);
    await page.locator('#scale-value').click();
    await page.locator('#caution').waitFor();
    assert.match(await text(page, '#caution'), /different lengths, 10 min and 1 h/);
    assert.equal(param(page, 'scale'), 'value');
  }],

  ['a range is typed, the sides are exchanged, and the link restores all of it', async (browser, url) => {
    const { page } = await compare(browser, url, 'The range before');
    await page.locator('#base-from').fill('now-2h');
    await page.locator('#base-until').fill('now-90m');
    await page.locator('#base-until').press('Enter');
    await page.waitForFunction(() => new URLSearchParams(location.search).get('base_until') === 'now-90m');
    await drawn(page);
    await page.locator('#swap').click();
    await page.waitForFunction(() => new URLSearchParams(location.search).get('until') === 'now-90m');
    await drawn(page);
    const [first] = (await row(page, 1)).filter((f) => f.name.startsWith('member='));
    await page.mouse.click(first.x, first.y);
    await page.waitForFunction(() => location.hash.startsWith('#zoom='));
    await settle(page);
    const verdict = await text(page, '#verdict');
    await page.reload();
    await drawn(page);
    assert.ok(verdict.startsWith('CPU: '));
    assert.deepEqual((await row(page, 1, 60)).map((f) => f.name), [first.name]);
    await page.locator('#compared-from').fill('yesterday');
    await page.locator('.field-error').waitFor();
  }],

  ['the share follows every letter that is typed, the address follows when typing pauses', async (browser, url) => {
    const { page, faults } = await open(browser, 'about:blank');
    await page.clock.install();
    await page.goto(`${url}/compare`);
    await drawn(page);
    await page.clock.pauseAt(await page.evaluate(() => Date.now() + 1_000));
    const shares = [];
    for (const word of ['^parquet', '::Row::', 'serialize']) {
      shares.push(await shareOf(page, word, shares));
      await page.clock.runFor(90);
      assert.equal(param(page, 'search'), null);
    }
    await page.clock.runFor(300);
    assert.equal(param(page, 'search'), 'serialize');
    // A slow pattern does not fail the pattern after it.
    await page.clock.resume();
    await page.locator('#search').fill('(([a-z_:]+)+)+0');
    await page.locator('#search').fill('poll');
    await page.waitForFunction((of) => /^\d.*% matched$/.test(document.querySelector('#matched').textContent) && document.querySelector('#matched').textContent !== of, shares[2]);
    assert.equal(await page.locator('[role=alert]').count(), 0);
    assert.deepEqual(faults, []);
  }],

  ['the keyboard alone finds what changed', async (browser, url) => {
    const { page } = await compare(browser, url, 'Version 0.2.0');
    await page.locator('.rank-table .tbody').focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => new URLSearchParams(location.search).has('search'));
    await page.locator('.flame-host canvas').focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.waitForFunction(() => /base .*depth \d/.test(document.querySelector('#focused-frame')?.textContent ?? ''));
    await page.keyboard.press('Enter');
    await page.keyboard.press('Escape');
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'search');
  }],

  ['a failure of the comparison is a sentence with a retry', async (browser, url) => {
    const { page } = await open(browser, 'about:blank');
    await page.route('**/profiles/diff?*', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ title: 'Service Unavailable', detail: 'the bucket is not available', status: 503 }) }));
    await page.goto(`${url}/compare`);
    await page.locator('.notice.error').waitFor();
    assert.match(await text(page, '.notice.error'), /The comparison could not be loaded\. The bucket is not available \(HTTP 503\)/);
    await page.unroute('**/profiles/diff?*');
    await page.locator('.notice.error button').click();
    await drawn(page);
    assert.equal(await page.locator('.notice.error').count(), 0);
  }],

  ...[1024, 480].map((width) => [`Compare fits into ${width} pixels`, async (browser, url) => {
    const { page } = await compare(browser, url, 'Version 0.2.0', { width });
    const outside = await page.evaluate(() => [...document.querySelectorAll('.page *')]
      .filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.tbody'))
      .map((e) => `${e.tagName} ${e.className} ${e.textContent}`));
    assert.deepEqual(outside, []);
    await shot(page, `compare-${width}`);
  }]),
];
