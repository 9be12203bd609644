// What a page says that has nothing to draw, and one that there is not.
import assert from 'node:assert/strict';
import { drawn, open, shot } from './browser.mjs';

const HEAP = 'memory:inuse_space:bytes:space:bytes';
const query = (parts) => `/?${new URLSearchParams(parts)}`;
const said = (page) => page.locator('main.empty').innerText();

export const fixtureEmpty = [
  ['a selector that cannot be read is shown with its error, and can be corrected', async (browser, url) => {
    const { page, faults } = await open(browser, url + query({ selector: 'foo' }));
    await page.locator('main.empty').waitFor();
    assert.match(await said(page), /cannot be read[\s\S]*foo[\s\S]*=, !=, =~ or !~ is expected after foo at character 4/);
    assert.equal(await page.locator('#selector').inputValue(), 'foo');
    assert.equal(await page.locator('#selector').getAttribute('aria-invalid'), 'true');
    assert.equal(new URL(page.url()).searchParams.get('selector'), 'foo');
    await shot(page, 'bad-selector');
    await page.locator('#selector').fill('{service_name="davy"}');
    await page.keyboard.press('Enter');
    await drawn(page);
    assert.deepEqual(faults, []);
  }],

  ['a service that sent nothing is named, and the others are offered', async (browser, url) => {
    const { page } = await open(browser, url + query({ selector: '{service_name="nope"}' }));
    await page.locator('main.empty[data-why=service]').waitFor();
    const text = await said(page);
    assert.match(text, /No service nope has sent profiles in this range/);
    assert.doesNotMatch(text, /just started/);
    await shot(page, 'empty-service');
    await page.locator('main.empty button', { hasText: 'shop-frontend' }).click();
    await drawn(page);
  }],

  ['a member without a sampled heap is not told to push', async (browser, url) => {
    const { page } = await open(browser, url + query({ type: HEAP, selector: '{service_name="davy",member="idle"}' }));
    await page.locator('main.empty[data-why=sampled]').waitFor();
    const text = await said(page);
    assert.match(text, /one allocation in every 512 KiB by default/);
    assert.doesNotMatch(text, /Push a profile/);
    await shot(page, 'empty-sampled');
    await page.locator('#no-filter').click();
    await drawn(page);
  }],

  ['an address that no page has says so', async (browser, url) => {
    const { page } = await open(browser, `${url}/nope`);
    await page.locator('main.empty').waitFor();
    assert.match(await said(page), /There is no such page[\s\S]*\/nope/);
    await shot(page, 'no-page');
    await page.locator('main.empty a', { hasText: 'Explore' }).click();
    await drawn(page);
  }],
];
