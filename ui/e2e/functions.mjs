// Actions on functions: callers and callees, transforms, the menu, and searches that take too long.
import assert from 'node:assert/strict';
import { serve } from '../fixture/server.mjs';
import { drawn, open, row, settle, shot } from './browser.mjs';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const HEAP = 'memory:inuse_space:bytes:space:bytes';
const explore = (more = {}) => `/explore?${new URLSearchParams({ type: CPU, selector: '{service_name="davy"}', from: 'now-1h', ...more })}`;
const params = (page) => new URL(page.url()).searchParams;

export const fixtureFunctions = [
  ['the callers and callees of the hottest function are two clicks away, with its details', async (browser, url) => {
    for (const [theme, width] of [['light', 1440], ['dark', 1024], ['light', 480]]) {
      const { page, faults } = await open(browser, url + explore(), { theme, width });
      await drawn(page);
      await page.locator('#view-sandwich').click();
      await page.locator('.tr').first().click();
      await page.locator('.sandwich-up canvas').waitFor();
      const name = await page.locator('.tr').first().locator('.name').innerText();
      assert.equal(await page.locator('.frame-title strong').innerText(), name);
      assert.match(await page.locator('.frame-details').innerText(), /total[\s\S]*self[\s\S]*called by\s*[\d,]+ call path[\s\S]*package/);
      assert.match(await page.locator('.frame-groups').innerText(), /api · \w+\s+[\d.]+%/);
      assert.equal(params(page).get('fn'), name);
      await settle(page);
      await shot(page, `sandwich-${width}-${theme}`);
      if (width === 1440) {
        const there = page.url();
        await page.reload();
        await page.locator('.sandwich:not([aria-busy="true"]) .sandwich-up canvas').waitFor();
        assert.equal(page.url(), there);
        await page.locator('.sandwich-up canvas').focus();
        await page.keyboard.press('ArrowUp');
        await page.waitForFunction(() => /Callers: .* of the function/.test(document.querySelector('#sandwich-frame')?.textContent ?? ''));
        await page.keyboard.press('Enter');
        await page.waitForFunction((old) => new URLSearchParams(location.search).get('fn') !== old, name);
        await page.waitForFunction((old) => document.querySelector('.frame-title strong')?.textContent !== old, name);
        await page.waitForFunction(() => document.querySelectorAll('.sandwich-part canvas').length === 2);
      }
      assert.deepEqual(faults, []);
    }
  }],

  ['callers and callees are those of the whole profile where frames are not drawn', async (browser) => {
    const began = Date.now();
    const { server, url } = await serve({ now: () => began });
    const { page, faults } = await open(browser, url + explore({ view: 'sandwich' }), { width: 1440 });
    // Few frames, so that most functions are not drawn.
    const few = (route) => route.continue({ url: route.request().url().replace('max_nodes=20000', /[?&]function=/.test(route.request().url()) ? 'max_nodes=20000' : 'max_nodes=40') });
    await page.route('**/flamegraph?*max_nodes=20000*', few);
    await page.reload();
    const asked = [];
    page.on('request', (r) => { if (r.url().includes('function=')) asked.push(new URL(r.url()).searchParams.get('side')); });
    const rows = page.locator('.tr');
    await rows.first().waitFor();
    const names = await rows.locator('.name').allInnerTexts();
    let undrawn = 0;
    for (const [i, name] of names.slice(0, 6).entries()) {
      asked.length = 0;
      await rows.nth(i).click();
      await page.waitForFunction((of) => document.querySelector('.frame-title strong')?.textContent === of && document.querySelector('.sandwich')?.getAttribute('aria-busy') !== 'true', name);
      assert.deepEqual(asked.toSorted(), ['callees', 'callers']);
      // Totals of the table are those of the whole profile.
      const total = (await page.locator('.frame-details dd').first().innerText()).replace(/\s*[\d.]+%$/, '').trim();
      assert.ok((await rows.nth(i).innerText()).includes(total), `${name}: ${total} is not in the table`);
      if (await page.evaluate(() => document.querySelectorAll('.sandwich-up canvas').length > 0)) undrawn++;
    }
    assert.ok(undrawn > 0);
    server.close();
    assert.deepEqual(faults, []);
  }],

  ['another table of the same functions does not repeat the requests for callers and callees', async (browser) => {
    const began = Date.now();
    const { server, url } = await serve({ now: () => began });
    const { page, faults } = await open(browser, 'about:blank', { width: 1440 });
    // No frame of most functions is drawn.
    await page.route('**/flamegraph?*max_nodes=20000*', (route) => route.continue({ url: route.request().url().replace('max_nodes=20000', /[?&]function=/.test(route.request().url()) ? 'max_nodes=20000' : 'max_nodes=20') }));
    await page.goto(url + explore({ view: 'sandwich', type: HEAP }));
    const asked = [];
    page.on('request', (r) => { if (r.url().includes('function=')) asked.push(new URL(r.url()).searchParams.get('side')); });
    const rows = page.locator('.tr');
    await rows.first().waitFor();
    await rows.nth(8).click();
    await page.locator('.sandwich:not([aria-busy="true"]) .sandwich-part canvas').first().waitFor();
    await Promise.all([page.waitForResponse(/profiles\/top/), page.locator('#attribute').click()]);
    await settle(page);
    assert.deepEqual(asked.toSorted(), ['callees', 'callers']);
    server.close();
    assert.deepEqual(faults, []);
  }],

  ['a right click opens the menu of a frame, and transforms are undone one by one', async (browser, url) => {
    const { page, faults } = await open(browser, url + explore({ fold: 'off', view: 'flame' }));
    await drawn(page);
    const total = () => page.locator('.status b').first().innerText();
    const whole = await total();
    const frame = (await row(page, 6))[0];
    await page.mouse.click(frame.x, frame.y, { button: 'right' });
    await page.locator('.frame-menu').waitFor();
    assert.equal(await page.locator('.menu-name').innerText(), frame.name);
    await shot(page, 'frame-menu');
    await page.locator('#menu-focus').click();
    await page.waitForFunction(() => new URLSearchParams(location.search).has('t'));
    await page.waitForFunction((old) => document.querySelector('.status b')?.textContent !== old, whole);
    assert.match(await page.locator('.transforms').innerText(), /Only stacks with .*Percentages are of what is shown/s);
    const focused = await total();
    await page.locator('.flame-host canvas').focus();
    await page.keyboard.press('v');
    await page.waitForFunction(() => new URLSearchParams(location.search).getAll('t').length === 2);
    await drawn(page);
    assert.equal(await total(), focused, 'inversion changed the total');
    await shot(page, 'transforms');
    const there = page.url();
    await page.reload();
    await drawn(page);
    assert.equal(page.url(), there);
    await page.goBack();
    await page.waitForFunction(() => new URLSearchParams(location.search).getAll('t').length === 1);
    await page.locator('.transforms .x').click();
    await page.waitForFunction((old) => document.querySelector('.status b')?.textContent === old, whole);
    assert.equal(await page.locator('.transforms').count(), 0);
    assert.deepEqual(faults, []);
  }],

  ['ignore, hide, only my code and collapsed recursion each work by keyboard', async (browser, url) => {
    const { page } = await open(browser, url + explore({ fold: 'off' }));
    await drawn(page);
    const asked = [];
    page.on('request', (r) => { if (/\/(flamegraph|top)\?/.test(r.url())) asked.push(new URL(r.url()).searchParams); });
    await page.locator('.flame-host canvas').focus();
    for (let i = 0; i < 6; i++) await page.keyboard.press('ArrowDown');
    const name = (await page.locator('#focused-frame').innerText()).split(', ')[0];
    await page.keyboard.press('h');
    await page.waitForFunction(() => /^hide~/.test(new URLSearchParams(location.search).get('t') ?? ''));
    await drawn(page);
    assert.ok(asked.some((q) => q.get('hide')?.includes(name.split('::').at(-1))), 'the server was not asked to hide the function');
    assert.equal(await page.locator('.tr .name', { hasText: new RegExp(`^${name}$`) }).count(), 0);
    for (const [key, transform] of [['r', 'collapse'], ['m', 'mine']]) {
      await page.locator('.flame-host canvas').focus();
      await page.keyboard.press(key);
      await page.waitForFunction((t) => new URLSearchParams(location.search).getAll('t').includes(t), transform);
    }
    await drawn(page);
    assert.ok((await row(page, 2, 40)).every((f) => !/^(std|tokio|axum|hyper)::/.test(f.name)));
    await page.locator('.flame-host canvas').focus();
    await page.keyboard.press('u');
    await page.waitForFunction(() => !new URLSearchParams(location.search).getAll('t').includes('mine'));
  }],

  ['packages collapse by a key, and runtimes of the profile are hidden from the menu', async (browser, url) => {
    const { page, faults } = await open(browser, url + explore({ fold: 'off', view: 'flame' }));
    await drawn(page);
    const nodes = () => page.locator('.flame-host').getAttribute('data-nodes').then(Number);
    const total = () => page.locator('.status b').first().innerText();
    const [before, whole] = [await nodes(), await total()];
    await page.locator('.flame-host canvas').focus();
    await page.keyboard.press('p');
    await page.waitForFunction((n) => Number(document.querySelector('.flame-host').dataset.nodes) < n, before);
    assert.equal(await total(), whole);
    assert.match(await page.locator('.transforms').innerText(), /Packages collapsed/);
    await page.keyboard.press('u');
    await page.keyboard.press('Shift+F10');
    await page.locator('.frame-menu').waitFor();
    assert.equal(await page.locator('#menu-hide-jvm').count(), 0);
    await shot(page, 'frame-menu-presets');
    await page.locator('#menu-hide-tokio').click();
    await page.waitForFunction(() => new URLSearchParams(location.search).get('t') === 'preset~tokio');
    await page.waitForFunction((n) => Number(document.querySelector('.flame-host').dataset.nodes) !== n, before);
    await drawn(page);
    for (let depth = 2; depth < 8; depth++) for (const { name } of await row(page, depth, 40)) assert.doesNotMatch(name, /^tokio::/);
    assert.match(await page.locator('.transforms').innerText(), /Without Tokio and its web stack/);
    assert.deepEqual(faults, []);
  }],

  ['the menu works by keyboard and returns the focus', async (browser, url) => {
    const { page } = await open(browser, url + explore());
    await drawn(page);
    await page.locator('.top-table .tbody').focus();
    await page.keyboard.press('Shift+F10');
    await page.locator('.frame-menu').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('role')), 'menuitem');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Escape');
    assert.equal(await page.evaluate(() => document.activeElement.className), 'tbody');
    await page.keyboard.press('Shift+F10');
    await page.keyboard.press('c');
    await page.locator('.sandwich').waitFor();
  }],

  ['a search that takes for ever is stopped with a sentence, and the page goes on', async (browser, url) => {
    const { page } = await open(browser, 'about:blank');
    await page.route('**/profiles/flamegraph?*', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response });
    });
    await page.goto(url + explore({ search: '(([a-z_:]+)+)+0' }));
    await page.locator('.flame-host canvas').waitFor();
    await page.waitForFunction(() => /takes too long/.test(document.querySelector('#matched')?.textContent ?? ''), null, { timeout: 20_000 });
    await page.locator('#search').fill('poll');
    await page.waitForFunction(() => /\d%\s*matched/.test(document.querySelector('#matched')?.textContent ?? ''));
    await shot(page, 'slow-search');
  }],

  ['a focus without stacks says so and is removed by a button', async (browser, url) => {
    const { page } = await open(browser, url + explore({ t: 'focus~^nothing$' }));
    await page.locator('#no-transforms').waitFor();
    await page.locator('#no-transforms').click();
    await drawn(page);
  }],
];
