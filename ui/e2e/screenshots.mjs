// Takes the screenshots of the documents, from a running Davy that profiles itself:
// `DAVY_URL=http://127.0.0.1:8080 npm run screenshots`. It runs queries for 90 seconds, so that there is
// load to show, and disables the endpoint ListAllJobs until the pictures are taken.
import { fileURLToPath } from 'node:url';
import { drawn, launch, open } from './browser.mjs';

const url = (process.env.DAVY_URL ?? 'http://127.0.0.1:8080').replace(/\/$/, '');
const file = (name) => fileURLToPath(new URL(`../../ops/screenshots/${name}.png`, import.meta.url));
const LOAD_MS = 90_000;
/** The form's reply disappears after 20 seconds. */
const REPLY_MS = 22_000;

const request = async (path) => {
  const response = await fetch(`${url}/api/v1/${path}`);
  await response.arrayBuffer();
};

async function load() {
  const query = new URLSearchParams({
    type: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds', selector: '{service_name="davy"}', from: 'now-1h', by: 'member',
  });
  const start = Date.now();
  while (Date.now() - start < LOAD_MS) {
    await Promise.all([request(`profiles/flamegraph?${query}`), request('jobs'), request('jobs')]);
    const busy = (Date.now() - start) % 30_000 < 12_000;
    await new Promise((done) => setTimeout(done, busy ? 50 : 1500));
  }
}

async function toggle(page, reason) {
  await page.locator('tr.line[data-key="api/ListAllJobs"] .toggle-button').click();
  const name = page.locator('#toggle-who');
  if (await name.count()) await name.fill('ada');
  await page.locator('#toggle-why').fill(reason);
  await page.keyboard.press('Enter');
}

const browser = await launch();
const { page: members } = await open(browser, `${url}/members?sort=cpu&open=api`, { width: 1360, height: 820 });
await members.locator('tr.line').first().waitFor();
await load();
await toggle(members, 'the jobs dashboard requests all 36,000 jobs every second');
await members.locator('tr.line[data-key="api/ListAllJobs"] .toggle-button', { hasText: 'disabled' }).waitFor();
await members.mouse.move(2, 2);
await members.waitForTimeout(REPLY_MS);
await members.screenshot({ path: file('members') });
await toggle(members, 'dashboard fixed');
await members.waitForTimeout(2_000);
const { page: explore } = await open(browser, `${url}/explore?from=now-15m`, { width: 1500, height: 860 });
await drawn(explore, 60_000);
await explore.waitForTimeout(2_000);
await explore.screenshot({ path: file('explore') });
await browser.close();
