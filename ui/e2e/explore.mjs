// What a new user meets in Explore: colours, links, rates, the table of a heap, other services.
import assert from 'node:assert/strict';
import { drawn, open, row, settle, shot } from './browser.mjs';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const HEAP = 'memory:inuse_space:bytes:space:bytes';
const TASKS = 'tasks:tasks:count::';
const query = (parts) => `/explore?${new URLSearchParams(parts)}`;
const DAVY = '{service_name="davy"}';
const address = (page) => new URL(page.url());

export const fixtureExplore = [
  ['what the first flame graph does not need is requested when it is drawn, or after 300 ms', async (browser, url) => {
    for (const isSlow of [true, false]) {
      const page = await browser.newPage();
      const others = [];
      page.on('request', (request) => { if (/profiles\/(labels|types|series)|Timeline|Tooltip/.test(request.url())) others.push(request.url()); });
      await page.addInitScript(() => {
        // The 300 ms pass when the test says so.
        const [real, late] = [globalThis.setTimeout, []];
        globalThis.setTimeout = (act, ms, ...more) => (ms === 300 ? late.push(act) : real(act, ms, ...more));
        globalThis.passLate = () => { for (const act of late) act(); };
        new MutationObserver(() => { globalThis.drawnAt ??= performance.now(); }).observe(document, { subtree: true, attributeFilter: ['data-drawn'] });
      });
      let answer = () => {};
      const held = new Promise((done) => { answer = done; });
      if (isSlow) await page.route('**/profiles/flamegraph?*', async (route) => { await held; await route.continue(); });
      await page.goto(url + query({ type: CPU, selector: DAVY, by: 'member' }), { waitUntil: 'commit' });
      if (isSlow) {
        await page.locator('#search').waitFor();
        await settle(page);
        assert.deepEqual(others, []);
        await page.evaluate(() => globalThis.passLate());
        await page.locator('.timeline').waitFor();
        answer();
      }
      await drawn(page);
      await page.locator('.timeline').waitFor();
      assert.ok(['labels', 'types', 'series', 'Timeline', 'Tooltip'].every((name) => others.some((of) => of.includes(name))), others.join(' '));
      if (!isSlow) {
        const [first, at] = await page.evaluate(() => [Math.min(...performance.getEntriesByType('resource').filter(({ name }) => /profiles\/(labels|types|series)|Timeline|Tooltip/.test(name)).map((of) => of.startTime)), globalThis.drawnAt]);
        assert.ok(first >= at, `requested at ${first}, drawn at ${at}`);
      }
      await page.context().close();
    }
  }],

  ['the worker is started by the first script, and the page starts no other', async (browser, url) => {
    const { page, faults } = await open(browser, `${url}/explore`);
    await drawn(page);
    assert.equal(page.workers().filter((worker) => /tree\.worker/.test(worker.url())).length, 1);
    const [start, own] = await page.evaluate(() => ['start-', 'explore-'].map((name) => performance.getEntriesByType('resource').find((of) => of.name.includes(`/${name}`))?.startTime));
    assert.ok(start <= own, `${start} ${own}`);
    assert.equal(await page.evaluate(() => globalThis.davyWorker), null, 'the page took it');
    assert.deepEqual(faults, []);
  }],

  ['the timeline marks a new version, starts and changes, in words too', async (browser, url) => {
    const changed = await fetch(`${url}/api/v1/endpoints/QuerySeries`, { method: 'PUT', headers: { 'davy-user': 'ada' }, body: JSON.stringify({ limit: 5, why: 'too many' }) });
    assert.equal(changed.status, 200);
    const { page, faults } = await open(browser, url + query({ type: CPU, selector: DAVY, from: 'now-1h' }), { theme: 'light', width: 1440 });
    await drawn(page);
    await page.locator('.plot-mark').first().waitFor();
    assert.match(await page.locator('.plot-mark.version').getAttribute('title'), /^version 0\.2\.0 started: \w+ \(\d+\) on node-\d/);
    assert.match(await page.locator('#marks').innerText(), /limit endpoint QuerySeries by ada: too many/);
    await shot(page, 'marks');
    assert.deepEqual(faults, []);
    await page.locator('#service').selectOption('shop-frontend');
    await page.waitForFunction(() => document.querySelector('.plot-mark') === null);
    await fetch(`${url}/api/v1/endpoints/QuerySeries`, { method: 'PUT', headers: { 'davy-user': 'ada' }, body: JSON.stringify({ enabled: true }) });
  }],

  ['versions that sort next to each other have different colours in the legend and the graph', async (browser, url) => {
    const { page, faults } = await open(browser, url + query({ type: CPU, selector: DAVY, by: 'version', from: 'now-1h' }), { theme: 'light' });
    await drawn(page);
    const entries = await page.locator('.legend .entry').evaluateAll((all) => all.map((e) => [e.innerText.trim(), getComputedStyle(e.querySelector('i')).backgroundColor]));
    assert.deepEqual(entries.map(([name]) => name).sort(), ['0.1.0', '0.2.0']);
    assert.notEqual(entries[0][1], entries[1][1]);
    const frames = (await row(page, 1, 30)).slice(0, 2);
    const box = await page.locator('.flame-host canvas').boundingBox();
    const colours = await page.evaluate(([xs, y]) => {
      const canvas = document.querySelector('.flame-host canvas');
      const { data } = canvas.getContext('2d').getImageData(0, y, canvas.width, 1);
      return xs.map((x) => `rgb(${data[4 * x]}, ${data[4 * x + 1]}, ${data[4 * x + 2]})`);
    }, [frames.map(({ x }) => Math.round(x - box.x) + 6), 18 + 3]);
    assert.deepEqual(frames.map(({ name }, i) => [name, colours[i]]).sort(), entries.map(([version, colour]) => [`version=${version}`, colour]).sort());
    await shot(page, 'versions');
    assert.deepEqual(faults, []);
  }],

  ['the copied link shows the same range and total later', async (browser, url) => {
    const { page } = await open(browser, url + query({ selector: DAVY }));
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: url });
    await drawn(page);
    const total = await page.locator('.status b').first().innerText();
    const range = await page.locator('.status').innerText();
    await page.locator('#copy-link').click();
    await page.locator('#copy-link', { hasText: 'Copied' }).waitFor();
    const link = new URL(await page.evaluate(() => navigator.clipboard.readText()));
    assert.match(link.searchParams.get('from'), /^\d{13}$/);
    assert.match(link.searchParams.get('until'), /^\d{13}$/);
    assert.equal(link.searchParams.get('by'), 'member');
    await page.goto(link.href);
    await drawn(page);
    assert.equal(await page.locator('.status b').first().innerText(), total);
    assert.equal(/\(.*?\)/.exec(await page.locator('.status').innerText())[0], /\(.*?\)/.exec(range)[0]);
  }],

  ['a deep zoom has a short URL, and links with names still zoom', async (browser, url) => {
    const { page } = await open(browser, url + query({ type: CPU, selector: DAVY, fold: 'off', view: 'flame' }));
    await drawn(page);
    const [deep] = await row(page, 9);
    await page.mouse.click(deep.x, deep.y);
    await page.waitForFunction(() => location.hash.startsWith('#zoom='));
    assert.ok(address(page).hash.length < 60, address(page).hash);
    const title = () => page.locator('.trail [aria-current]').getAttribute('title');
    assert.equal(await title(), deep.name);
    await page.reload();
    await drawn(page);
    assert.equal(await title(), deep.name);
    await page.goto(`${url}${query({ type: CPU, selector: DAVY, fold: 'off' })}#z=${encodeURIComponent('member=api')}`);
    await page.reload();
    await drawn(page);
    assert.equal(await title(), 'member=api');
  }],

  ['the timeline shows rates that do not depend on the range', async (browser, url) => {
    const { page } = await open(browser, url + query({ type: CPU, selector: DAVY, from: 'now-1h' }));
    await drawn(page);
    const head = page.locator('.timeline-head');
    assert.match(await head.innerText(), /cores · bars of 20 s/);
    const over = await page.locator('.plot-over').boundingBox();
    const rate = async () => {
      await page.mouse.move(over.x + over.width - 12, over.y + 40);
      await page.waitForFunction(() => /core/.test(document.querySelector('.legend b')?.textContent ?? ''));
      return Number.parseFloat(await page.locator('.legend b').first().innerText());
    };
    const hour = await rate();
    await page.locator('.range button', { hasText: '6h' }).click();
    await drawn(page);
    assert.match(await head.innerText(), /bars of 2 min/);
    const six = await rate();
    assert.ok(Math.abs(six - hour) / hour < 0.4, `${hour} cores in an hour, ${six} in six hours`);
  }],

  ['a heap table attributes allocator frames to their callers until it is told not to', async (browser, url) => {
    const { page } = await open(browser, url + query({ type: HEAP, selector: DAVY, view: 'table' }));
    await page.locator('.tr').first().waitFor();
    const names = () => page.locator('.tr .name').allInnerTexts();
    assert.ok((await names()).every((n) => !/rust_realloc|grow_amortized/.test(n)), (await names()).join(', '));
    await shot(page, 'heap-table');
    await page.locator('#attribute').click();
    await page.locator('.tr .name', { hasText: '__rust_realloc' }).waitFor();
    assert.equal(address(page).searchParams.get('allocators'), 'shown');
    assert.equal((await names())[0], '__rust_realloc');
  }],

  ['a service that lacks the shown type shows another type and says so', async (browser, url) => {
    const { page } = await open(browser, url + query({ type: TASKS, selector: DAVY }));
    await drawn(page);
    await page.locator('#service').selectOption('shop-frontend');
    await page.locator('#replaced-type').waitFor();
    assert.match(await page.locator('#replaced-type').innerText(), /shop-frontend has no profiles of type “Tasks” in this range. Showing “CPU”/);
    await drawn(page);
    assert.equal(await page.locator('#type').inputValue(), CPU);
    await page.locator('#service').selectOption('davy');
    await page.waitForFunction(() => document.querySelector('#replaced-type') === null);
  }],

  ['a new filter starts with a label that people filter by', async (browser, url) => {
    const { page } = await open(browser, url + query({ type: CPU, selector: '{service_name="shop-frontend"}' }));
    await drawn(page);
    await page.locator('#add-filter').click();
    assert.equal(await page.locator('.filter-form input[aria-label=Label]').inputValue(), 'process');
    const offered = await page.locator('#label-names option').evaluateAll((all) => all.map((o) => o.value));
    assert.ok(!offered.includes('__name__'), offered.join(', '));
  }],

  ['an invalid selector covers nothing', async (browser, url) => {
    const { page } = await open(browser, `${url}/explore`);
    await drawn(page);
    await page.locator('#selector').fill('{member=');
    const error = await page.locator('.field-error').boundingBox();
    const title = await page.locator('.timeline-head b').boundingBox();
    assert.ok(error.y + error.height <= title.y, 'the error covers the title of the timeline');
  }],

  ['a selected part stays visible when the range has moved on', async (browser, url) => {
    const now = Date.now();
    const { page } = await open(browser, url + query({ type: CPU, selector: DAVY, from: 'now-1h', pick: `${now - 7_200_000}-${now - 6_600_000}` }));
    await drawn(page);
    const values = await page.locator('.legend b').allInnerTexts();
    assert.ok(values.length > 3 && !values.includes('–'), values.join(', '));
  }],

  ['the toolbar stays on one line with a long search message', async (browser, url) => {
    const { page } = await open(browser, url + query({ type: CPU, selector: DAVY, search: '<davy_tag::Tagged<F> as (' }), { width: 1440 });
    await drawn(page);
    await page.waitForFunction(() => /plain text/.test(document.querySelector('#matched')?.textContent ?? ''));
    const { height } = await page.locator('.tools').boundingBox();
    assert.ok(height < 40, `the toolbar is ${height} px high`);
  }],

  ['at 480 pixels the flame graph begins above the fold', async (browser, url) => {
    const { page } = await open(browser, url + query({ type: CPU, selector: DAVY }), { width: 480, height: 900 });
    await drawn(page);
    await settle(page);
    const { y } = await page.locator('.flame-host').boundingBox();
    assert.ok(y < 620, `the flame graph begins at ${y}`);
    await shot(page, 'narrow-480');
  }],
];
