// The empty states, and paths that are not pages.
import assert from 'node:assert/strict';
import { drawn, open, shot } from './browser.mjs';

const HEAP = 'memory:inuse_space:bytes:space:bytes';
const query = (parts) => `/explore?${new URLSearchParams(parts)}`;
const textOf = (page) => page.locator('.empty').innerText();

export const fixtureEmpty = [
  ['an invalid selector is shown with its error and can be corrected', async (browser, url) => {
    const { page, faults } = await open(browser, url + query({ selector: 'foo' }));
    await page.locator('.empty').waitFor();
    assert.match(await textOf(page), /Invalid selector[\s\S]*foo[\s\S]*Expected =, !=, =~ or !~ after foo at column 4/);
    assert.equal(await page.locator('#selector').inputValue(), 'foo');
    assert.equal(await page.locator('#selector').getAttribute('aria-invalid'), 'true');
    assert.equal(new URL(page.url()).searchParams.get('selector'), 'foo');
    await shot(page, 'bad-selector');
    await page.locator('#selector').fill('{service_name="davy"}');
    await page.keyboard.press('Enter');
    await drawn(page);
    assert.deepEqual(faults, []);
  }],

  ['a service without profiles is named, and the available ones are offered', async (browser, url) => {
    const { page } = await open(browser, url + query({ selector: '{service_name="nope"}' }));
    await page.locator('.empty[data-reason=service]').waitFor();
    const text = await textOf(page);
    assert.match(text, /No profiles of service nope in this range/);
    assert.doesNotMatch(text, /profiles itself/);
    await shot(page, 'empty-service');
    await page.locator('.empty button', { hasText: 'shop-frontend' }).click();
    await drawn(page);
  }],

  ['a selector that matches several services asks for one and sends no merged query', async (browser, url) => {
    const { page } = await open(browser, 'about:blank');
    const selectors = [];
    page.on('request', (r) => {
      const { pathname, searchParams } = new URL(r.url());
      if (/\/(flamegraph|series|top)$/.test(pathname)) selectors.push(searchParams.get('selector'));
    });
    await page.goto(url + query({ type: HEAP, selector: '{region="eu-1"}' }));
    await page.locator('.empty[data-reason=services]').waitFor();
    assert.deepEqual(selectors, []);
    await shot(page, 'empty-services');
    await page.locator('.empty button', { hasText: 'shop-frontend' }).click();
    await drawn(page);
    assert.equal(await page.locator('#selector').inputValue(), '{service_name="shop-frontend",region="eu-1"}');
    assert.ok(selectors.every((s) => s.includes('service_name="shop-frontend"')), selectors.join(' '));
  }],

  ['a member without heap samples gets an explanation, not the push commands', async (browser, url) => {
    const { page } = await open(browser, url + query({ type: HEAP, selector: '{service_name="davy",member="idle"}' }));
    await page.locator('.empty[data-reason=unsampled]').waitFor();
    const text = await textOf(page);
    assert.match(text, /by default one allocation per 512 KiB/);
    assert.doesNotMatch(text, /Push a profile/);
    await shot(page, 'empty-unsampled');
    await page.locator('#no-filter').click();
    await drawn(page);
  }],

  ['an unknown path shows the existing pages', async (browser, url) => {
    const { page } = await open(browser, `${url}/nope`);
    await page.locator('.empty').waitFor();
    assert.match(await textOf(page), /Page not found[\s\S]*\/nope/);
    await shot(page, 'not-found');
    await page.locator('.empty a', { hasText: 'Explore' }).click();
    await drawn(page);
  }],
];
