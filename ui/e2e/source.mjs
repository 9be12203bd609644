// What is shown of a function beside its callers: its timeline, its source lines, its build; and the service's own code.
import assert from 'node:assert/strict';
import { serve } from '../fixture/server.mjs';
import { drawn, open, row, settle, shot } from './browser.mjs';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const explore = (more = {}, service = 'davy') => `/explore?${new URLSearchParams({ type: CPU, selector: `{service_name="${service}"}`, from: 'now-1h', ...more })}`;
const params = (page) => new URL(page.url()).searchParams;

/** Chooses the function of the table whose name begins so, and waits for its details. */
async function choose(page, start) {
  await page.locator('.tr').first().waitFor();
  const names = await page.locator('.tr .name').allInnerTexts();
  const at = names.findIndex((name) => name.startsWith(start));
  assert.ok(at >= 0, `no ${start} among ${names.join(', ')}`);
  await page.locator('.tr').nth(at).click();
  await page.waitForFunction((name) => document.querySelector('.frame-title strong')?.textContent === name && document.querySelector('.own-timeline')?.getAttribute('aria-busy') === 'false', names[at]);
  return names[at];
}

/** The percentages of a list. */
const shares = async (page, selector) => (await page.locator(selector).allInnerTexts()).map((text) => Number.parseFloat(/<?([\d.]+)%/.exec(text)[1]));

export const fixtureSource = [
  ['a function has its own timeline, its share by member and operation, and a range of it opens', async (browser) => {
    const began = Date.now();
    const own = await serve({ now: () => began });
    try {
      const { page, faults } = await open(browser, own.url + explore({ view: 'sandwich' }), { width: 1440 });
      const asked = [];
      page.on('request', (r) => { if (/profiles\/series\?.*focus=/.test(r.url())) asked.push(new URL(r.url()).searchParams); });
      const name = await choose(page, 'davy_control::service::Service');
      assert.deepEqual(asked.map((q) => [q.get('focus'), q.get('by')]), [[`^${name}$`, 'member,op']]);
      assert.match(await page.locator('.own-plot').getAttribute('aria-label'), /^Timeline of the function: [\d.]+ cores at the end, at most [\d.]+ cores at (\d{4}-\d\d-\d\d )?\d\d:\d\d/);
      const groups = await page.locator('.own-timeline li').allInnerTexts();
      assert.ok(groups.length > 2 && groups.every((text) => /^[\w.-]+ · \w+|^\d+ more/.test(text)), groups.join(', '));
      const sum = (await shares(page, '.own-timeline li b')).reduce((a, b) => a + b, 0);
      assert.ok(sum > 99 && sum < 101, `the shares add up to ${sum}%`);
      const over = await page.locator('.own-plot .plot-over').boundingBox();
      await page.mouse.move(over.x + over.width * 0.8, over.y + 20);
      await page.mouse.down();
      await page.mouse.move(over.x + over.width - 2, over.y + 20, { steps: 6 });
      await page.mouse.up();
      await page.waitForFunction(() => new URLSearchParams(location.search).has('pick'));
      await settle(page);
      assert.equal(await page.locator('.frame-title strong').innerText(), name);
      assert.deepEqual(faults, []);
    } finally {
      own.server.close();
    }
  }],

  ['the lines of a function have totals and links to the repository, with module and build id', async (browser, url) => {
    for (const [theme, width] of [['light', 1440], ['dark', 1024], ['light', 480]]) {
      const { page, faults } = await open(browser, url + explore({ view: 'sandwich' }), { theme, width });
      await choose(page, 'davy_control::service::Service');
      await page.locator('#source-lines').focus();
      await page.keyboard.press('Enter');
      await page.locator('#lines tbody tr').first().waitFor();
      assert.equal(params(page).get('lines'), 'shown');
      const numbers = (await page.locator('#lines th[scope=row]').allInnerTexts()).map(Number);
      assert.deepEqual(numbers, numbers.toSorted((a, b) => a - b));
      const parts = (await shares(page, '#lines td:nth-child(3)')).reduce((a, b) => a + b, 0);
      assert.ok(parts > 99 && parts < 135, `the lines add up to ${parts}%`);
      const link = page.locator('#lines th a').first();
      assert.equal(await link.getAttribute('href'), `https://github.com/acme/davy/blob/0.1.0/control/src/lib.rs#L${numbers[0]}`);
      assert.match(await link.getAttribute('rel'), /noopener/);
      assert.match(await page.locator('#build-id').innerText(), /^[0-9a-f]{40}$/);
      assert.match(await page.locator('.frame-details dl').innerText(), /module\s*\/usr\/bin\/davy/);
      await settle(page);
      await shot(page, `source-${width}-${theme}`);
      if (width === 1440) {
        await page.reload();
        await page.locator('#lines tbody tr').first().waitFor();
      }
      assert.deepEqual(faults, []);
    }
  }],

  ['only addresses of HTTP become links, and without rules the page says how to configure them', async (browser, url) => {
    const { page } = await open(browser, url + explore({ view: 'sandwich', lines: 'shown' }, 'shop-frontend'));
    await choose(page, 'shop::');
    await page.locator('#lines tbody tr').first().waitFor();
    assert.equal(await page.locator('.frame-details a').count(), 0);
    const own = await serve({ noViewer: true });
    try {
      await page.goto(own.url + explore({ view: 'sandwich', lines: 'shown' }));
      await choose(page, 'davy_control::service::Service');
      await page.locator('#no-source').waitFor();
      assert.match(await page.locator('#no-source').innerText(), /\[\[viewer\.services\]\]/);
      assert.equal(await page.locator('.frame-details a').count(), 0);
      await page.goto(own.url + explore({ t: 'mine' }));
      await drawn(page);
      assert.match(await page.locator('#no-own').innerText(), /set own of a rule in \[\[viewer\.services\]\]/);
    } finally {
      own.server.close();
    }
  }],

  ['only my code says how much of it can be among the frames that are not drawn', async (browser) => {
    const own = await serve({ rules: [{ service: '^big$', own: '^davy_' }] });
    try {
      const profile = async (lod, width) => {
        const { page } = await open(browser, `${own.url}/explore?${new URLSearchParams({ type: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds', selector: `{service_name="big",nodes="60000"${lod}}`, by: '', view: 'flame', t: 'mine' })}`, { width, theme: width === 1024 ? 'dark' : 'light' });
        await drawn(page);
        return page;
      };
      for (const width of [1440, 1024, 480]) {
        const page = await profile(',lod="true"', width);
        assert.match(await page.locator('#own-undrawn').innerText(), /^Frames with \d[\d.]*% of the whole are not drawn/);
        await shot(page, `own-undrawn-${width}`);
        await page.context().close();
      }
      assert.equal(await (await profile('', 1440)).locator('#own-undrawn').count(), 0, 'all frames are there');
    } finally {
      own.server.close();
    }
  }],

  ['the table of only my code is that of all frames, drawn or not', async (browser) => {
    const began = Date.now();
    const own = await serve({ now: () => began });
    try {
      const table = async (max) => {
        const { page, faults } = await open(browser, 'about:blank', { width: 1440 });
        await page.route('**/flamegraph?*', (route) => route.continue({ url: route.request().url().replace(/max_nodes=\d+/, `max_nodes=${max}`) }));
        await page.goto(own.url + explore({ t: 'mine', from: String(began - 36e5), until: String(began) }));
        await page.locator('.tfoot', { hasText: 'of your own code' }).waitFor();
        await drawn(page);
        const rows = await page.locator('.tr').allInnerTexts();
        const isCut = await page.locator('#own-undrawn').count();
        if (max === 40) await shot(page, 'own-table');
        assert.deepEqual(faults, []);
        await page.context().close();
        return { rows, isCut };
      };
      const [whole, cut] = [await table(1_000_000), await table(40)];
      assert.deepEqual([whole.isCut, cut.isCut], [0, 1]);
      assert.ok(whole.rows.length > 3);
      for (const row of whole.rows) assert.match(row, /davy_(archive|control|profile)::/);
      assert.deepEqual(cut.rows, whole.rows);
    } finally {
      own.server.close();
    }
  }],

  ['only my code keeps what the rule of the service matches, by key, in the URL, and is undone', async (browser) => {
    const began = Date.now();
    const own = await serve({ now: () => began });
    try {
      const { page, faults } = await open(browser, own.url + explore({ fold: 'off' }), { width: 1440 });
      await drawn(page);
      const total = () => page.locator('.status b').first().innerText();
      const nodes = () => page.locator('.flame-host').getAttribute('data-nodes').then(Number);
      const [whole, before] = [await total(), await nodes()];
      await page.locator('.flame-host canvas').focus();
      await page.keyboard.press('m');
      await page.waitForFunction((n) => Number(document.querySelector('.flame-host').dataset.nodes) < n, before);
      await drawn(page);
      assert.equal(params(page).get('t'), 'mine');
      assert.equal(await total(), whole, 'the total changed');
      for (const depth of [2, 3, 4]) for (const { name } of await row(page, depth, 30)) assert.match(name, /^davy_(archive|control|profile)::|frames$|^\d+ /, `row ${depth}`);
      for (const name of await page.locator('.tr .name').allInnerTexts()) assert.match(name, /^davy_(archive|control|profile)::/);
      assert.match(await page.locator('.tfoot').innerText(), /of your own code/);
      assert.match(await page.locator('.status').innerText(), /without your own code: /);
      await shot(page, 'own-code');
      await page.reload();
      await drawn(page);
      assert.ok((await nodes()) < before);
      await page.locator('.flame-host canvas').focus();
      await page.keyboard.press('u');
      await page.waitForFunction((n) => Number(document.querySelector('.flame-host').dataset.nodes) === n, before);
      await row(page, 1).then(([first]) => page.mouse.click(first.x, first.y, { button: 'right' }));
      await page.locator('#menu-mine').click();
      await page.waitForFunction(() => new URLSearchParams(location.search).get('t') === 'mine');
      await page.waitForFunction((n) => Number(document.querySelector('.flame-host').dataset.nodes) < n, before);
      assert.deepEqual(faults, []);
    } finally {
      own.server.close();
    }
  }],
];
