// Folded runs of runtime frames, and stepping through the matches of a search.
import assert from 'node:assert/strict';
import { drawn, open, row, settle, shareOf, shot } from './browser.mjs';

const has = (page, name) => new URL(page.url()).searchParams.get(name);
const nodesOf = (page) => page.locator('.status').innerText().then((t) => /([\d,]+) frames/.exec(t)[1]);

export const fixtureFold = [
  ['a click unfolds a run of runtime frames, and another folds it', async (browser, url) => {
    const { page, faults } = await open(browser, `${url}/explore`);
    await drawn(page);
    const frames = await nodesOf(page);
    const [first] = await row(page, 2);
    assert.match(first.name, /^3 frames \(tokio, std\)$/);
    await page.mouse.move(first.x, first.y);
    const tooltip = await page.locator('.tooltip').innerText();
    assert.match(tooltip, /lang_start_internal[\s\S]*Harness<T,S>::poll[\s\S]*Click to unfold/);
    await shot(page, 'folded');
    await page.mouse.click(first.x, first.y);
    await settle(page);
    assert.equal((await row(page, 2))[0].name, 'std::rt::lang_start_internal');
    assert.match((await row(page, 4))[0].name, /Harness<T,S>::poll/);
    assert.equal(await nodesOf(page), frames, 'unfolding changed the number of frames');
    assert.equal(new URL(page.url()).hash, '', 'unfolding zoomed');
    await page.mouse.click(first.x, first.y);
    await settle(page);
    assert.equal((await row(page, 2))[0].name, first.name);
    await page.keyboard.press('Enter');
    await settle(page);
    assert.equal((await row(page, 2))[0].name, 'std::rt::lang_start_internal');
    assert.deepEqual(faults, []);
  }],

  ['disabled folding is in the URL and in the browser storage, enabled folding in neither', async (browser, url) => {
    const { page } = await open(browser, `${url}/explore`);
    await drawn(page);
    assert.equal(has(page, 'fold'), null);
    const whole = page.url();
    await page.locator('#fold').click();
    await settle(page);
    assert.equal(has(page, 'fold'), 'off');
    assert.equal((await row(page, 2))[0].name, 'std::rt::lang_start_internal');
    await page.goto(whole);
    await drawn(page);
    assert.equal(await page.locator('#fold').getAttribute('aria-pressed'), 'false');
    assert.equal(has(page, 'fold'), 'off', 'the stored setting is not in the URL');
    await page.locator('#fold').click();
    await settle(page);
    assert.equal(has(page, 'fold'), null);
    await page.goto(`${url}/explore`);
    await drawn(page);
    assert.match((await row(page, 2))[0].name, /^3 frames/);
  }],

  ['a match within a folded run marks the run, whose tooltip counts its matches', async (browser, url) => {
    const { page } = await open(browser, `${url}/explore?search=${encodeURIComponent('scheduler::multi_thread')}`);
    await drawn(page);
    const share = () => page.locator('#matched b').innerText();
    await page.locator('#matched b').waitFor();
    const folded = await share();
    const [first] = await row(page, 2);
    await page.mouse.move(first.x, first.y);
    assert.match(await page.locator('.tooltip').innerText(), /1 match/);
    await shot(page, 'folded-match');
    await page.locator('#fold').click();
    await settle(page);
    assert.equal(await share(), folded, 'folding changed the matched share');
  }],

  ['Escape zooms out of a folded run in one step', async (browser, url) => {
    const { page } = await open(browser, `${url}/explore`);
    await drawn(page);
    const [deep] = await row(page, 4);
    await page.mouse.click(deep.x, deep.y);
    await page.waitForFunction(() => location.hash.includes('zoom='));
    const crumbs = await page.locator('.trail button').allInnerTexts();
    assert.ok(crumbs.some((c) => /^▸ 3 frames$/.test(c)), crumbs.join(' › '));
    for (let i = 0; i < crumbs.length - 1; i++) await page.keyboard.press('Escape');
    await page.waitForFunction(() => location.hash === '');
  }],

  ['a search shows its widest match, and Enter and Shift+Enter go to the next and the previous one', async (browser, url) => {
    const { page, faults } = await open(browser, `${url}/explore?fold=off&view=flame`, { height: 560 });
    await drawn(page);
    const box = await page.locator('.flame-host').boundingBox();
    const focus = async () => {
      await settle(page);
      return page.locator('.flame-box-focus').boundingBox();
    };
    const announced = () => page.locator('#focused-frame').innerText();
    const inView = (at) => at !== null && at.y >= box.y && at.y + at.height <= box.y + box.height && at.width >= 50;
    await page.locator('#search').fill('^parquet');
    await page.locator('#match-index', { hasText: /^1 of \d+/ }).waitFor();
    assert.ok(inView(await focus()), 'the widest match is out of view or too narrow');
    const first = await announced();
    await shot(page, 'match');
    await page.locator('#search').press('Enter');
    await page.locator('#match-index', { hasText: /^2 of/ }).waitFor();
    assert.ok(inView(await focus()));
    assert.notEqual(await announced(), first);
    await page.locator('#search').press('Shift+Enter');
    await page.locator('#match-index', { hasText: /^1 of/ }).waitFor();
    assert.equal(await announced(), first);
    await page.locator('#search').press('ArrowUp');
    await page.waitForFunction(() => /^(\S+) of \1$/.test(document.querySelector('#match-index').textContent.replaceAll(',', '')));
    assert.ok(inView(await focus()), 'the narrowest match is out of view or too narrow');
    assert.deepEqual(faults, []);
  }],

  ['Enter right after another text was typed goes to the first match of that text', async (browser, url) => {
    const { page, faults } = await open(browser, `${url}/explore?fold=off`);
    await drawn(page);
    await page.locator('#search').fill('^parquet');
    await page.locator('#match-index', { hasText: /^1 of \d+/ }).waitFor();
    // Before the matches of the new text can be known.
    await page.locator('#search').evaluate((input) => {
      input.value = '^sqlx';
      input.dispatchEvent(new InputEvent('input', { bubbles: true }));
      input.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
    });
    await page.waitForFunction(() => /^sqlx/.test(document.querySelector('#focused-frame').textContent));
    assert.match(await page.locator('#match-index').innerText(), /^1 of/);
    assert.deepEqual(faults, []);
  }],

  ['the share follows every letter that is typed, the view and the address follow when typing pauses', async (browser, url) => {
    const { page, faults } = await open(browser, 'about:blank', {});
    await page.clock.install();
    await page.goto(`${url}/explore`);
    await drawn(page);
    await page.locator('#search').focus();
    await page.clock.pauseAt(await page.evaluate(() => Date.now() + 1_000));
    const seen = () => page.evaluate(() => ({ index: document.querySelector('#match-index')?.textContent ?? '', search: new URLSearchParams(location.search).get('search'), frame: document.querySelector('#focused-frame').textContent }));
    const before = (await seen()).frame;
    const shares = [];
    for (const text of ['^parquet', '::Row::', 'serialize', '^sqlx']) {
      shares.push(await shareOf(page, text, shares));
      await page.clock.runFor(90);
      const { index, search, frame } = await seen();
      assert.match(index, /^– of/, text);
      assert.deepEqual([search, frame], [null, before], text);
    }
    await page.clock.runFor(300);
    await page.locator('#match-index', { hasText: /^1 of/ }).waitFor();
    const after = await seen();
    assert.equal(after.search, '^sqlx');
    assert.notEqual(after.frame, before);
    assert.deepEqual(faults, []);
  }],
];
