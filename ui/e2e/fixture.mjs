// Checks that need synthetic profiles: failures, gaps, sizes.
import assert from 'node:assert/strict';
import { serve } from '../fixture/server.mjs';
import { drawn, open, pixels, row, settle, shot } from './browser.mjs';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const HEAP = 'memory:inuse_space:bytes:space:bytes';
const query = (parts) => `/explore?${new URLSearchParams(parts)}`;
const service = (name, more = '') => `{service_name="${name}"${more}}`;

export const onlyFixture = [
  ['the light theme, with the root at the bottom', async (browser, url) => {
    const { page, faults } = await open(browser, url + query({ type: HEAP, selector: service('davy'), growth: 'up', by: 'member,op' }), { theme: 'light' });
    await drawn(page);
    const names = (await row(page, 2, 25)).map((f) => f.name);
    assert.ok(names.every((n) => n.startsWith('op=')), names.join(', '));
    await shot(page, 'light-up');
    assert.deepEqual(faults, []);
  }],

  ['undrawn children are labelled, and a click loads them', async (browser) => {
    // The same range has the same data in both responses.
    const began = Date.now();
    const { server, url } = await serve({ now: () => began });
    const asked = [];
    const { page } = await open(browser, 'about:blank');
    page.on('request', (r) => {
      const params = new URL(r.url()).searchParams;
      if (params.has('max_nodes')) asked.push([Number(params.get('max_nodes')), params.getAll('path').length]);
    });
    // Few frames, so that undrawn children are wide enough to find.
    const few = (route) => (route.request().url().includes('path=') ? route.continue() : route.continue({ url: route.request().url().replace('max_nodes=20000', 'max_nodes=120') }));
    await page.route('**/flamegraph?*max_nodes=20000*', few);
    await page.goto(url + query({ type: CPU, selector: service('davy'), view: 'flame' }));
    await drawn(page);
    await shot(page, 'hidden');
    let rest = null;
    for (let depth = 4; depth < 14 && !rest; depth++) {
      rest = (await row(page, depth, 30)).find((f) => f.name.includes('not drawn')) ?? null;
    }
    assert.ok(rest, 'no undrawn children found');
    assert.match(rest.name, /child(ren)?, <?[\d.]+%, not drawn/);
    await page.mouse.click(rest.x, rest.y);
    await page.waitForFunction(() => Number(document.querySelector('.flame-host').dataset.nodes) > 120);
    await settle(page);
    assert.equal(asked.length, 2);
    assert.equal(asked[1][0], 20_000);
    server.close();
    assert.ok(asked[1][1] >= 3, 'the request does not name the frame whose children were not drawn');
  }],

  ['zooming into a frame requests what was not drawn of it, once, and changes no value', async (browser) => {
    // The same range has the same data in both responses.
    const began = Date.now();
    const { server, url } = await serve({ now: () => began });
    const asked = [];
    const { page, faults } = await open(browser, 'about:blank');
    page.on('request', (r) => {
      const params = new URL(r.url()).searchParams;
      if (params.has('path')) asked.push(params.getAll('path'));
    });
    await page.route('**/flamegraph?*max_nodes=20000*', (route) =>
      (route.request().url().includes('path=') ? route.continue() : route.continue({ url: route.request().url().replace('max_nodes=20000', 'max_nodes=60') })));
    await page.goto(url + query({ type: CPU, selector: service('davy'), view: 'flame', fold: 'off' }));
    await drawn(page);
    const before = await page.locator('.flame-host').getAttribute('data-nodes');
    const [first] = (await row(page, 1, 25)).filter((f) => f.name.startsWith('member='));
    await page.mouse.move(first.x, first.y);
    const total = () => page.locator('.tooltip dd').first().innerText();
    const value = await total();
    await page.mouse.click(first.x, first.y);
    await page.waitForFunction((n) => Number(document.querySelector('.flame-host').dataset.nodes) > Number(n), before);
    await settle(page);
    assert.deepEqual(asked, [[first.name]]);
    await page.mouse.move(first.x, first.y + 1);
    assert.equal(await total(), value);
    await page.keyboard.press('Escape');
    await settle(page);
    assert.equal(asked.length, 1);
    server.close();
    assert.deepEqual(faults, []);
  }],

  ['an invalid regular expression is searched for as text, with a note', async (browser, url) => {
    const { page } = await open(browser, url + query({ search: '<davy_tag::Tagged<F> as (' }));
    await drawn(page);
    await page.waitForFunction(() => /plain text/.test(document.querySelector('#matched')?.textContent ?? ''));
  }],

  ['a failure is shown as a sentence with a button to retry', async (browser, url) => {
    const { page } = await open(browser, url + query({ type: CPU, selector: service('broken') }));
    await page.locator('.notice.error').first().waitFor();
    const notices = await page.locator('.notices').innerText();
    assert.match(notices, /The archive is disabled\. Disabled by ada at 03:12: disk nearly full \(HTTP 503\)\./);
    assert.doesNotMatch(notices, /Retrying/, 'a disabled endpoint is asked again');
    assert.equal(await page.locator('.notice.error').count(), 1, 'failures with the same cause share a notice');
    await shot(page, 'failure');
    const again = page.waitForRequest(/flamegraph/);
    await page.locator('.notice button').click();
    await again;
  }],

  ['a service without profiles shows how to push', async (browser, url) => {
    const { page } = await open(browser, url + query({ type: CPU, selector: service('checkout') }));
    await page.locator('.empty').waitFor();
    assert.match(await page.locator('.empty').innerText(), /davy push .*--service checkout/);
    await shot(page, 'empty');
  }],

  ['a page that was opened before the first profile shows it without a reload', async (browser) => {
    let quiet = true;
    const { server, url } = await serve({ quiet: () => quiet });
    try {
      const { page, faults } = await open(browser, `${url}/explore`);
      await page.locator('.empty').waitFor();
      assert.match(await page.locator('.empty').innerText(), /refreshes every 5 seconds/);
      await shot(page, 'fresh');
      quiet = false;
      await drawn(page);
      assert.equal(await page.locator('#service').inputValue(), 'davy');
      assert.deepEqual(faults, []);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }],

  ['the default range is 15 minutes after a fresh start, and a chosen range is kept', async (browser) => {
    const { server, url } = await serve({ young: 6 * 60_000 });
    try {
      const { page, faults } = await open(browser, `${url}/explore`);
      await drawn(page);
      const pressed = () => page.locator('.range [aria-pressed=true]').innerText();
      assert.equal(await pressed(), '15m');
      assert.equal(new URL(page.url()).searchParams.get('from'), null);
      await shot(page, 'young');
      await page.locator('.range button', { hasText: '1h' }).click();
      await settle(page);
      await drawn(page);
      assert.equal(await pressed(), '1h');
      await page.reload();
      await drawn(page);
      assert.equal(await pressed(), '1h');
      assert.deepEqual(faults, []);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }],

  ['a partial response is marked as incomplete', async (browser) => {
    const { server, url } = await serve({ partial: ['2 of 36 segments could not be read: bucket request timed out.'] });
    try {
      const { page } = await open(browser, `${url}/explore`);
      await drawn(page);
      assert.match(await page.locator('#partial').innerText(), /Incomplete data\..*2 of 36 segments/);
      await shot(page, 'partial');
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }],

  ['where windows have expired, the range that is counted is shown, and links contain it', async (browser) => {
    const { server, url } = await serve({ expired: true });
    try {
      const { page } = await open(browser, url + query({ type: CPU, selector: service('davy'), from: 'now-90m' }));
      await drawn(page);
      const HOUR = 3_600_000;
      const counted = await page.locator('#effective').innerText();
      assert.match(counted, /^counts .*\d\d:00 – .*\d\d:00 \([23] h\)$/);
      assert.match(await page.locator('.status').innerText(), /\d\d:00:00 – .*\d\d:00:00 \([23] h\)/);
      await page.locator('#export-menu summary').click();
      await page.locator('#export-menu a').first().waitFor();
      const links = await page.locator('.menu .popover a').all();
      assert.equal(links.length, 3);
      for (const link of links) {
        const params = new URL(await link.getAttribute('href'), url).searchParams;
        for (const end of ['from', 'until']) assert.equal(Number(params.get(end)) % HOUR, 0, `${end} of ${params}`);
      }
      await shot(page, 'effective');
      await page.goto(url + query({ type: CPU, selector: service('davy'), from: String(Math.floor(Date.now() / HOUR) * HOUR - 2 * HOUR), until: String(Math.floor(Date.now() / HOUR) * HOUR) }));
      await drawn(page);
      assert.equal(await page.locator('#effective').count(), 0, 'whole hours are counted as asked');
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }],

  ['a refresh keeps zoom, focus and search', async (browser, url) => {
    const { page, faults } = await open(browser, `${url}/explore`);
    await drawn(page);
    const [, second] = await row(page, 1);
    await page.mouse.click(second.x, second.y);
    await page.locator('#search').fill('poll');
    await settle(page);
    const requests = [];
    page.on('request', (r) => requests.push(r.url()));
    const refreshed = page.waitForResponse(/flamegraph/);
    await page.locator('button[aria-label="Refresh now"]').click();
    await refreshed;
    await drawn(page);
    assert.equal(await page.locator('.trail [aria-current]').getAttribute('title'), second.name);
    assert.equal(await page.locator('#search').inputValue(), 'poll');
    assert.deepEqual((await row(page, 1, 60)).map((f) => f.name), [second.name]);
    await page.locator('#live').selectOption('5');
    await page.waitForResponse(/flamegraph/, { timeout: 9_000 });
    assert.equal(new URL(page.url()).searchParams.get('live'), '5');
    assert.deepEqual(faults, []);
  }],

  ['filter chips and the selector field edit the same state', async (browser, url) => {
    const { page } = await open(browser, `${url}/explore`);
    await drawn(page);
    await page.locator('#add-filter').click();
    await page.locator('.values label', { hasText: 'gc.containers' }).click();
    await page.locator('.values label', { hasText: 'gc.volumes' }).click();
    await shot(page, 'filter');
    await page.locator('.filter-form button[type=submit]').click();
    await drawn(page);
    assert.equal(await page.locator('#selector').inputValue(), '{service_name="davy",member=~"gc\\\\.containers|gc\\\\.volumes"}');
    assert.deepEqual([...new Set((await row(page, 1)).map((f) => f.name))].sort(), ['member=gc.containers', 'member=gc.volumes']);
    await page.locator('#selector').fill('{service_name="davy",member="api"');
    assert.match(await page.locator('.field-error').innerText(), /expected a closing \}/);
    await page.locator('#selector').fill('{service_name="davy",member="api"}');
    await page.keyboard.press('Enter');
    await drawn(page);
    assert.equal(await page.locator('.chip').innerText().then((t) => t.replace(/\s/g, '')), 'member=api×');
    await page.locator('.chip .x').click();
    await drawn(page);
    assert.equal(await page.locator('.chip').count(), 0);
  }],

  ['untagged is a choice of the filter', async (browser, url) => {
    const { page } = await open(browser, `${url}/explore`);
    await drawn(page);
    await page.locator('#add-filter').click();
    await page.locator('.values label', { hasText: '(untagged)' }).click();
    await page.locator('.filter-form button[type=submit]').click();
    await drawn(page);
    assert.equal(await page.locator('#selector').inputValue(), '{service_name="davy",member=""}');
    assert.deepEqual([...new Set((await row(page, 1, 60)).map((f) => f.name))], ['member=(untagged)']);
  }],

  // A range within a day, and one over days, whose times are longer.
  ...['now-1h', 'now-3d'].map((from) => [`Explore fits into a narrow window from ${from}`, async (browser, url) => {
    const { page } = await open(browser, `${url}/explore?from=${from}&until=now`, { width: 420, height: 850 });
    await drawn(page);
    const outside = await page.evaluate(() => [...document.querySelectorAll('.page *')]
      .filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.trail, .tbody, .legend'))
      .map((e) => `${e.tagName} ${e.className} ${e.textContent}`));
    assert.deepEqual(outside, []);
    await shot(page, `narrow-${from}`);
  }]),

  ['a service without members is ungrouped and coloured by package', async (browser, url) => {
    const { page } = await open(browser, `${url}/explore`);
    await drawn(page);
    await page.locator('#service').selectOption('shop-frontend');
    await settle(page);
    await drawn(page);
    assert.equal(await page.locator('#by').inputValue(), '');
    assert.equal(await page.locator('#colour').inputValue(), 'package');
    assert.ok((await pixels(page)).large >= 3);
    await shot(page, 'package');
  }],

  ['exports link to the query API', async (browser, url) => {
    const { page } = await open(browser, `${url}/explore`);
    await drawn(page);
    await page.locator('#export-menu summary').click();
    await page.locator('#export-menu a').first().waitFor();
    const links = await page.locator('#export-menu a').evaluateAll((all) => all.map((a) => a.href));
    assert.deepEqual(links.map((l) => new URL(l).pathname), ['svg', 'pprof', 'folded'].map((x) => `/api/v1/profiles/${x}`));
    const download = page.waitForEvent('download');
    await page.locator('#export-png').click();
    assert.equal((await download).suggestedFilename(), 'flamegraph.png');
  }],

  ['a million frames are drawn and zoomed smoothly', async (browser, url) => {
    const { page, faults } = await open(browser, url + query({ type: CPU, selector: '{service_name="big",nodes="1000000"}', by: '', view: 'flame' }));
    await drawn(page, 60_000);
    const times = [];
    const box = await page.locator('.flame-host canvas').boundingBox();
    for (let i = 0; i < 12; i++) {
      await page.mouse.move(box.x + box.width * (0.2 + 0.05 * i), box.y + 120);
      await page.keyboard.down('Control');
      await page.mouse.wheel(0, i < 8 ? -180 : 180);
      await page.keyboard.up('Control');
      await page.waitForTimeout(60);
      times.push(Number(/drawn in ([\d.]+) ms/.exec(await page.locator('.status').innerText())?.[1]));
    }
    times.sort((a, b) => a - b);
    console.log(`        1,000,000 frames: ${await page.locator('.status .quiet').first().innerText()}; zoom draws: median ${times[6]} ms, worst ${times[11]} ms`);
    await shot(page, 'million');
    assert.ok(times[6] < 60, `the median zoom draw took ${times[6]} ms`);
    assert.deepEqual(faults, []);
  }],
];
