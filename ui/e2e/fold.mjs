// Runs of the runtime's frames as one row, and stepping through the matches of a search.
import assert from 'node:assert/strict';
import { drawn, open, row, settle, shot } from './browser.mjs';

const has = (page, name) => new URL(page.url()).searchParams.get(name);
const nodesOf = (page) => page.locator('.status').innerText().then((t) => /([\d\s]+) frames/.exec(t)[1]);

export const fixtureFold = [
  ['a run of runtime frames is one row, which a click unfolds and another one folds', async (browser, url) => {
    const { page, faults } = await open(browser, url);
    await drawn(page);
    const frames = await nodesOf(page);
    const [first] = await row(page, 2);
    assert.match(first.name, /^3 frames \(tokio, std\)$/);
    await page.mouse.move(first.x, first.y);
    const said = await page.locator('.tooltip').innerText();
    assert.match(said, /lang_start_internal[\s\S]*Harness<T,S>::poll[\s\S]*Click to unfold/);
    await shot(page, 'folded');
    await page.mouse.click(first.x, first.y);
    await settle(page);
    assert.equal((await row(page, 2))[0].name, 'std::rt::lang_start_internal');
    assert.match((await row(page, 4))[0].name, /Harness<T,S>::poll/);
    assert.equal(await nodesOf(page), frames, 'no frame is gone');
    assert.equal(new URL(page.url()).hash, '', 'unfolding is not zooming');
    await page.mouse.click(first.x, first.y);
    await settle(page);
    assert.equal((await row(page, 2))[0].name, first.name);
    await page.keyboard.press('Enter');
    await settle(page);
    assert.equal((await row(page, 2))[0].name, 'std::rt::lang_start_internal');
    assert.deepEqual(faults, []);
  }],

  ['folding that is off is in the address and remembered, and on leaves no trace', async (browser, url) => {
    const { page } = await open(browser, url);
    await drawn(page);
    assert.equal(has(page, 'fold'), null);
    await page.locator('#fold').click();
    await settle(page);
    assert.equal(has(page, 'fold'), 'off');
    assert.equal((await row(page, 2))[0].name, 'std::rt::lang_start_internal');
    await page.goto(url);
    await drawn(page);
    assert.equal(await page.locator('#fold').getAttribute('aria-pressed'), 'false');
    await page.locator('#fold').click();
    await settle(page);
    assert.equal(has(page, 'fold'), null);
    await page.goto(url);
    await drawn(page);
    assert.match((await row(page, 2))[0].name, /^3 frames/);
  }],

  ['a match within a folded run marks the run, which says how many match', async (browser, url) => {
    const { page } = await open(browser, `${url}/?search=${encodeURIComponent('scheduler::multi_thread')}`);
    await drawn(page);
    const share = () => page.locator('#matched b').innerText();
    await page.locator('#matched b').waitFor();
    const folded = await share();
    const [first] = await row(page, 2);
    await page.mouse.move(first.x, first.y);
    assert.match(await page.locator('.tooltip').innerText(), /1 of them matches/);
    await shot(page, 'folded-match');
    await page.locator('#fold').click();
    await settle(page);
    assert.equal(await share(), folded, 'what matches is told by all frames');
  }],

  ['Escape leaves a folded run in one step', async (browser, url) => {
    const { page } = await open(browser, url);
    await drawn(page);
    const [deep] = await row(page, 4);
    await page.mouse.click(deep.x, deep.y);
    await page.waitForFunction(() => location.hash.includes('z='));
    const crumbs = await page.locator('.trail button').allInnerTexts();
    assert.ok(crumbs.some((c) => /^▸ 3 frames$/.test(c)), crumbs.join(' › '));
    for (let i = 0; i < crumbs.length - 1; i++) await page.keyboard.press('Escape');
    await page.waitForFunction(() => location.hash === '');
  }],
];
