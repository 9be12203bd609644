// The Archive page: checks for any Davy, and checks that need the synthetic archive.
import assert from 'node:assert/strict';
import { serve } from '../fixture/server.mjs';
import { open, shot } from './browser.mjs';

const text = (page, selector) => page.locator(selector).innerText().then((t) => t.replaceAll(/\s+/g, ' '));

async function archive(browser, url, options = {}) {
  const { page, faults } = await open(browser, `${url}/archive`, { width: 1440, height: 900, ...options });
  await page.locator('#levels tbody tr').first().waitFor();
  return { page, faults };
}

/** Whether anything is wider than the window. */
const overflows = (page) => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);

export const commonArchive = [
  ['the archive shows its levels, retention and requests', async (browser, url) => {
    const { page, faults } = await archive(browser, url);
    assert.equal(await text(page, 'nav [aria-current]'), 'Archive');
    const levels = await page.locator('#levels tbody tr td:first-child').allInnerTexts();
    assert.deepEqual(levels.slice(0, 2), ['Segments', 'Hour blocks']);
    assert.match(await text(page, '#retention'), /Windows \d+ d .*Sums by day \d+ d/);
    assert.match(await text(page, '#requests tbody'), /Segments [\d,]+/);
    assert.match(await text(page, '#listed'), /listed .*\d by [\d,]+ requests?/);
    assert.ok(!(await overflows(page)));
    assert.deepEqual(faults, []);
    await shot(page, 'archive');
  }],

  ['the archive is readable in a narrow window, in both themes', async (browser, url) => {
    for (const theme of ['light', 'dark']) {
      const { page } = await archive(browser, url, { theme, width: 800 });
      assert.ok(!(await overflows(page)));
      await shot(page, `archive-800-${theme}`);
    }
  }],
];

/** A fixture whose archive is in a state. */
async function on(state, check) {
  const fixture = await serve({ archive: state });
  try {
    await check(fixture.url, fixture);
  } finally {
    fixture.server.close();
  }
}

export const fixtureArchive = [
  ['without prices the page says how to set them, and with prices what requests cost', async (browser) => {
    await on({ is: 'fine' }, async (url) => {
      const { page } = await archive(browser, url);
      assert.match(await text(page, '#no-prices'), /\[bucket\.prices\] currency = "USD"/);
      assert.equal(await page.locator('#charges').count(), 0);
      assert.equal(await page.locator('.notice').count(), 0);
    });
    await on({ is: 'priced' }, async (url) => {
      const { page } = await archive(browser, url);
      assert.match(await text(page, '#charges'), /Requests 0\.25 USD 6\.92 USD Transfer – – Storage – 0\.16 USD/);
      assert.match(await text(page, '#missing-prices'), /Without transfer/);
      assert.match(await text(page, '#retention .rule >> nth=0'), /member=~"gc\.\*"\} 7 d 25 blocks, about 31\.0 MiB/);
      assert.equal(await page.locator('#no-prices').count(), 0);
      await shot(page, 'archive-priced');
    });
  }],

  ['what needs attention comes first and says what to do', async (browser) => {
    await on({ is: 'broken' }, async (url) => {
      for (const [theme, width] of [['light', 1440], ['dark', 800]]) {
        const { page } = await archive(browser, url, { theme, width });
        const ids = await page.locator('.notice').evaluateAll((all) => all.map((one) => one.id));
        assert.deepEqual(ids, ['no-archiver', 'late-segment', 'quarantined', 'waiting-windows', 'unreadable']);
        assert.match(await text(page, '#quarantine tbody'), /checksum .*\.segment/);
        assert.ok(!(await overflows(page)));
        await shot(page, `archive-broken-${theme}`);
      }
    });
  }],

  ['a bucket that is not available is an error with the last data, and a retry recovers', async (browser) => {
    const state = { is: 'fine' };
    await on(state, async (url) => {
      const { page } = await archive(browser, url);
      state.is = 'down';
      await page.getByRole('button', { name: 'Refresh now' }).click();
      await page.locator('#lost').waitFor();
      assert.match(await text(page, '#lost'), /could not be loaded\. Cannot list .*connection refused.* Showing data from .* Retrying\./);
      assert.ok((await page.locator('#levels tbody tr').count()) > 0);
      state.is = 'fine';
      await page.locator('#lost button').click();
      await page.locator('#lost').waitFor({ state: 'detached' });
    });
  }],

  ['services are listed by size with links to their flame graphs', async (browser, url) => {
    const { page } = await archive(browser, url);
    assert.equal(await page.locator('#services tbody tr').count(), 12);
    await page.locator('#all-services').click();
    assert.equal(await page.locator('#services tbody tr').count(), 31);
    await page.locator('#services a', { hasText: 'checkout' }).click();
    await page.waitForURL(/selector=/);
    assert.equal(await page.locator('#selector').inputValue(), '{service_name="checkout"}');
  }],
];
