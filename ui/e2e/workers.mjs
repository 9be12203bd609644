// The Fleet page: checks for any Davy, and checks that need synthetic workers.
import assert from 'node:assert/strict';
import { serve } from '../fixture/server.mjs';
import { open, shot } from './browser.mjs';

const text = (page, selector) => page.locator(selector).innerText().then((t) => t.replaceAll(/\s+/g, ' '));

async function fleet(browser, url, options = {}, query = '') {
  const { page, faults } = await open(browser, `${url}/fleet${query}`, { width: 1440, height: 900, ...options });
  await page.locator('#fleet-summary').waitFor();
  return { page, faults };
}

/** Whether anything is wider than the window. */
const overflows = (page) => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);

export const commonFleet = [
  ['the fleet shows its collectors with last run and outcome, and links to their usage', async (browser, url) => {
    const { page, faults } = await fleet(browser, url);
    assert.equal(await text(page, 'nav [aria-current]'), 'Fleet');
    await page.locator('#collectors tbody tr').first().waitFor();
    const members = await page.locator('#collectors tbody .name').allInnerTexts();
    assert.deepEqual(members, ['gc.builds', 'gc.containers', 'gc.volumes', 'gc.workers']);
    assert.ok(!(await overflows(page)));
    assert.deepEqual(faults, []);
    await shot(page, 'fleet');
    await page.locator('#collectors a', { hasText: 'Usage' }).nth(1).click();
    await page.waitForURL(/members\?filter=gc\.containers/);
    assert.equal(await page.locator('#filter').inputValue(), 'gc.containers');
  }],
];

/** A fixture whose workers are in a state. */
async function on(state, check) {
  const fixture = await serve({ workers: state });
  try {
    await check(fixture.url, fixture);
  } finally {
    fixture.server.close();
  }
}

export const fixtureFleet = [
  ['every wedged worker is named with what is wrong and what to do, in every width and theme', async (browser) => {
    await on({ is: 'wedged' }, async (url) => {
      for (const theme of ['light', 'dark']) {
        for (const width of [1440, 1024, 480]) {
          const { page, faults } = await fleet(browser, url, { theme, width, height: width === 480 ? 1800 : 1100 });
          const ids = await page.locator('.notice').evaluateAll((all) => all.map((one) => one.id));
          assert.deepEqual(ids, ['foreign', 'stalled', 'hung', 'late-gc.volumes', 'missing', 'unknown', 'old-gc.containers', 'disk', 'waiting']);
          for (const name of ['wedged', 'liar', 'robbed', 'restored', 'full', 'gone']) {
            assert.match(await page.locator('.notices').innerText(), new RegExp(name), name);
          }
          assert.match(await text(page, '#workers'), /3 destroys hung past the deadline/);
          assert.ok(!(await overflows(page)), `${theme} ${width} overflows`);
          assert.deepEqual(faults, []);
          await shot(page, `fleet-wedged-${width}-${theme}`);
        }
      }
    });
  }],

  ['the log of a running build is live, and continues where a lost connection has left it', async (browser) => {
    const state = { is: 'fine', logs: [] };
    await on(state, async (url) => {
      const { page } = await fleet(browser, url);
      await page.locator('#builds tr', { hasText: 'davy-106' }).getByRole('button', { name: 'Log' }).click();
      await page.waitForFunction(() => /over: succeeded/.test(document.querySelector('#log-state')?.textContent ?? ''));
      const lines = (await page.locator('#log').innerText()).split('\n');
      assert.deepEqual(lines, [1, 2, 3, 4, 5, 6].map((n) => `step ${n} of build 106`));
      assert.deepEqual(state.logs, [0, 3]);
      assert.equal(new URL(page.url()).searchParams.get('build'), '106');
      await shot(page, 'fleet-log');
      await page.reload();
      await page.locator('#log').waitFor();
      await page.goBack();
      await page.locator('#log').waitFor({ state: 'detached' });
    });
  }],

  ['a build whose task was sampled leads to its flame graph, and no other build does', async (browser) => {
    await on({ is: 'fine' }, async (url) => {
      const { page, faults } = await fleet(browser, url);
      const links = page.locator('#builds a', { hasText: 'Flame graph' });
      assert.equal(await links.count(), 1);
      assert.match(await text(page, '#builds tr:has(a)'), /104 succeeded/);
      assert.match(decodeURIComponent(await links.getAttribute('href')), /selector=\{service_name="build",build="104"\}/);
      await links.click();
      await page.waitForURL(/explore\?/);
      assert.deepEqual(faults, []);
    });
  }],

  ['a worker leads to its usage and its flame graph, and the list is filtered and paged', async (browser) => {
    await on({ is: 'wedged' }, async (url) => {
      const { page } = await fleet(browser, url);
      await page.locator('#state').selectOption('stalled');
      await page.waitForFunction(() => document.querySelectorAll('#workers .name').length === 1);
      assert.match(await text(page, '#workers .name'), /gone/);
      assert.equal(new URL(page.url()).searchParams.get('state'), 'stalled');
      const flame = await page.locator('#workers a', { hasText: 'Flame graph' }).getAttribute('href');
      assert.match(decodeURIComponent(flame), /process="worker\/gone"/);
      await page.locator('#workers a', { hasText: 'Usage' }).click();
      await page.waitForURL(/members\?by=process&filter=worker\/gone/);
    });
    await on({ is: 'many' }, async (url) => {
      const { page } = await fleet(browser, url);
      assert.equal(await page.locator('#workers .name').count(), 100);
      await page.locator('#next-workers').click();
      await page.waitForFunction(() => document.querySelector('#workers .name')?.textContent === 'worker-0100');
    });
  }],

  ['without workers the page says how to run one, and a lost server is an error with the last data', async (browser) => {
    const state = { is: 'none' };
    await on(state, async (url) => {
      const { page } = await fleet(browser, url);
      assert.match(await text(page, '.fleet'), /davy token worker NAME/);
      assert.equal(await page.locator('.notice').count(), 0);
      state.is = 'down';
      await page.locator('#lost').waitFor();
      assert.match(await text(page, '#lost'), /could not be loaded.*database unreachable.*Showing data from/);
      state.is = 'fine';
      await page.locator('#lost').waitFor({ state: 'detached' });
      assert.equal(await page.locator('#workers .name').count(), 3);
    });
  }],
];
