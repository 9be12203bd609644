// Faults of the network, extreme names, landmarks and the keyboard.
import assert from 'node:assert/strict';
import { drawn, open, settle, shot } from './browser.mjs';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const explore = (more = {}) => `/explore?${new URLSearchParams({ type: CPU, selector: '{service_name="davy"}', from: 'now-1h', ...more })}`;

export const fixtureRobust = [
  ['a script that does not arrive is explained', async (browser, url) => {
    const { page } = await open(browser, 'about:blank');
    await page.route('**/assets/explore-*.js', (route) => route.abort());
    await page.goto(`${url}/explore`);
    await page.locator('.empty [role=alert]').waitFor();
    assert.match(await page.locator('.empty').innerText(), /could not be loaded/);
    await page.unroute('**/assets/explore-*.js');
    await page.locator('.empty button').click();
    await drawn(page);
  }],

  ['a worker that does not arrive is explained, also if it failed before the first request', async (browser, url) => {
    for (const path of [explore(), '/compare']) {
      const { page } = await open(browser, 'about:blank');
      let failed = 0;
      let answer = () => {};
      const held = new Promise((done) => { answer = done; });
      await page.route('**/assets/tree.worker-*.js', async (route) => {
        await route.abort();
        failed++;
      });
      await page.route('**/profiles/*?*', async (route) => { await held; await route.continue(); });
      await page.goto(url + path);
      await page.locator('#search').waitFor();
      await settle(page);
      assert.ok(failed > 0);
      answer();
      await page.locator('.notice.error').waitFor();
      assert.match(await page.locator('.notice.error').innerText(), /worker failed: its script could not be loaded/);
    }
  }],

  ['a request that stalls shows a hint and can be cancelled and repeated', async (browser, url) => {
    const { page } = await open(browser, 'about:blank');
    await page.route('**/profiles/flamegraph?*', () => {});
    await page.goto(url + explore());
    await page.locator('#slow').waitFor({ timeout: 10_000 });
    assert.match(await page.locator('#slow').innerText(), /Flame graph: no response yet/);
    await shot(page, 'slow');
    await page.locator('#slow button').click();
    await page.locator('.notice.error', { hasText: 'was cancelled' }).waitFor();
    await page.unroute('**/profiles/flamegraph?*');
    await page.locator('.notice.error button').click();
    await drawn(page);
  }],

  ['names of 64 KiB and names that change the direction of text fill neither the screen nor the URL', async (browser, url) => {
    const { page, faults } = await open(browser, `${url}/explore?${new URLSearchParams({ type: CPU, selector: '{service_name="odd"}', by: '' })}`);
    await drawn(page);
    const box = await page.locator('.flame-host canvas').boundingBox();
    await page.mouse.move(box.x + 40, box.y + 27);
    await page.locator('.tooltip').waitFor();
    const { height } = await page.locator('.tooltip').boundingBox();
    assert.ok(height < 400, `the tooltip is ${height} px high`);
    await page.mouse.click(box.x + 40, box.y + 27);
    await settle(page);
    await page.locator('.tr', { hasText: 'xxxxxxxx' }).first().click();
    await settle(page);
    assert.ok(page.url().length < 2_000, `the URL has ${page.url().length} characters`);
    const reversed = await page.locator('.tr .name').allInnerTexts();
    assert.ok(reversed.every((n) => !n.includes('\u202e')));
    assert.equal(await page.locator('script:not([src])').count(), 0);
    await shot(page, 'odd-names');
    assert.deepEqual(faults, []);
  }],

  ['every page has one h1, and everything is in a landmark', async (browser, url) => {
    for (const path of [explore(), '/compare', '/members', '/archive', '/?selector=foo']) {
      const { page } = await open(browser, url + path);
      await page.locator('h1').waitFor({ state: 'attached' });
      await page.waitForTimeout(1_500);
      assert.equal(await page.locator('h1').count(), 1, path);
      const outside = await page.evaluate(() => [...document.querySelectorAll('.page *')]
        .filter((e) => e.childElementCount === 0 && e.textContent.trim() !== '' && !e.closest('header, main, footer, nav, dialog, [role=status], [role=alert]'))
        .map((e) => `${e.tagName} ${e.textContent}`));
      assert.deepEqual(outside, [], path);
      assert.equal(await page.locator('main').count(), 1, path);
      await page.context().close();
    }
  }],

  ['a range is selected, changed, used and cleared by keyboard', async (browser, url) => {
    const { page } = await open(browser, url + explore());
    await drawn(page);
    await page.locator('.plot').focus();
    const picked = () => (new URL(page.url()).searchParams.get('pick') ?? '').split('-').map(Number);
    await page.keyboard.press('ArrowLeft');
    await page.waitForFunction(() => new URLSearchParams(location.search).has('pick'));
    const [from, until] = picked();
    assert.equal(until - from, 20_000);
    for (let i = 0; i < 9; i++) await page.keyboard.press('ArrowLeft');
    for (let i = 0; i < 4; i++) await page.keyboard.press('Shift+ArrowRight');
    await page.waitForFunction((u) => /-/.test(new URLSearchParams(location.search).get('pick')), until);
    const [a, b] = picked();
    assert.deepEqual([from - a, b - a], [9 * 20_000, 5 * 20_000]);
    await page.locator('#picked').waitFor();
    assert.match(await page.locator('#picked-text').innerText(), /Selected .*\(1 min 40 s\)/);
    await page.keyboard.press('Enter');
    await page.waitForFunction((x) => new URLSearchParams(location.search).get('from') === x, String(a));
  }],

  ['the call tree is an outline that works by keyboard and names level, position and state', async (browser, url) => {
    const { page, faults } = await open(browser, url + explore({ view: 'tree', fold: 'off' }), { theme: 'light', width: 1024 });
    await page.locator('[role=treeitem]').first().waitFor();
    const tree = page.locator('[role=tree]');
    const active = () => page.evaluate(() => {
      const e = document.getElementById(document.querySelector('[role=tree]').getAttribute('aria-activedescendant'));
      return { name: e.querySelector('bdi').textContent, level: e.getAttribute('aria-level'), open: e.getAttribute('aria-expanded'), of: e.getAttribute('aria-setsize') };
    });
    await tree.focus();
    await page.keyboard.press('ArrowDown');
    const first = await active();
    assert.match(first.name, /^member=/);
    assert.deepEqual([first.level, first.open], ['2', 'false']);
    assert.ok(Number(first.of) > 5);
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction(() => document.querySelectorAll('[aria-level="3"]').length > 0);
    await page.keyboard.press('ArrowRight');
    assert.equal((await active()).level, '3');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    assert.equal((await active()).name, first.name);
    await shot(page, 'tree');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.hash.startsWith('#zoom='));
    assert.deepEqual(faults, []);
  }],

  ['zooming, searching and display options send no requests', async (browser, url) => {
    const { page } = await open(browser, url + explore());
    await drawn(page);
    const requests = [];
    page.on('request', (r) => { if (/\/api\//.test(r.url())) requests.push(r.url()); });
    const box = await page.locator('.flame-host canvas').boundingBox();
    await page.mouse.click(box.x + 60, box.y + 27);
    await page.waitForFunction(() => location.hash.startsWith('#zoom='));
    await page.locator('#search').fill('poll');
    await page.locator('#colour').selectOption('package');
    await page.locator('#fold').click();
    await page.locator('button', { hasText: 'A–Z' }).click();
    await settle(page);
    assert.deepEqual(requests, []);
  }],

  ['the help sheet lists the keys and closes by Escape', async (browser, url) => {
    const { page } = await open(browser, url + explore(), { width: 1024 });
    await drawn(page);
    await page.keyboard.press('?');
    await page.locator('dialog.help[open]').waitFor();
    assert.match(await page.locator('dialog.help').innerText(), /Callers and callees|callers and callees/);
    await shot(page, 'help');
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => document.querySelector('dialog.help[open]') === null);
    await page.locator('#help').click();
    await page.locator('dialog.help[open]').waitFor();
  }],

  ['forced colours and reduced motion keep the page usable', async (browser, url) => {
    const { page } = await open(browser, url + explore());
    await page.emulateMedia({ forcedColors: 'active', reducedMotion: 'reduce' });
    await drawn(page);
    const pressed = await page.locator('#view-both').evaluate((e) => getComputedStyle(e).backgroundColor);
    const other = await page.locator('#view-flame').evaluate((e) => getComputedStyle(e).backgroundColor);
    assert.notEqual(pressed, other, 'the pressed button looks like the others');
    await shot(page, 'forced-colours');
  }],

  ['a lost connection is reported and recovers without a click, on every page', async (browser, url) => {
    for (const [path, sign] of [['/', '#verdict'], ['/explore', '.flame-host[data-nodes]'], ['/compare', '.flame-host[data-nodes]'], ['/members', 'tr.line'], ['/fleet', 'main table'], ['/archive', 'main table']]) {
      const { page } = await open(browser, 'about:blank', { width: 1024 });
      await page.clock.install();
      await page.route('**/api/**', (route) => route.abort('connectionreset'));
      await page.goto(url + path);
      const notice = page.locator('.notice.error, .banner, #lost').first();
      await notice.waitFor();
      assert.match(await notice.innerText(), /Cannot connect to Davy\. Check that the process is running\..* Retrying\./, path);
      await page.unroute('**/api/**');
      // The longest pause before another try.
      await page.clock.runFor(31_000);
      await page.locator(sign).first().waitFor();
      assert.equal(await page.getByText('Cannot connect to Davy').count(), 0, path);
      await page.context().close();
    }
  }],

  ['a connection that stalls is reported on every page', async (browser, url) => {
    for (const path of ['/', '/explore', '/compare', '/members', '/fleet', '/archive']) {
      const { page } = await open(browser, 'about:blank', { width: 1024 });
      await page.clock.install();
      await page.route('**/api/**', () => {});
      await page.goto(url + path);
      await page.locator('main h1').first().waitFor({ state: 'attached' });
      await page.clock.runFor(4_500);
      await page.getByText(/no response yet|takes longer than usual/i).first().waitFor();
      if (path === '/archive') {
        // Without a control in the content, the content itself is focused.
        await page.locator('.skip').press('Enter');
        assert.equal(await page.evaluate(() => document.activeElement.tagName), 'MAIN');
        await shot(page, 'skip-empty');
      }
      await page.context().close();
    }
  }],
];
