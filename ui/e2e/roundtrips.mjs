// How many round trips a page needs before it is drawn, over a slow link.
import assert from 'node:assert/strict';
import { createServer, request as send } from 'node:http';
import { drawn, open } from './browser.mjs';

/** How long the browser has to send no request before those of a round trip are answered. */
const QUIET_MS = 1_500;

/**
 * A proxy that answers the requests of a round trip together, when no more of them arrive. Those of a third round trip depend on
 * the second, or waited for a free connection: they are held.
 */
async function slowLink(url) {
  const [trips, held] = [[[], []], []];
  let [trip, waiting, timer] = [0, [], null];
  const forward = (request, response) => send(`${url}${request.url}`, { method: request.method, headers: { ...request.headers, host: new URL(url).host } }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  }).on('error', () => {}).end();
  const server = createServer((request, response) => {
    if (trip > 1) {
      held.push(request.url);
      return;
    }
    trips[trip].push(request.url);
    waiting.push([request, response]);
    clearTimeout(timer);
    timer = setTimeout(() => {
      const all = waiting;
      [trip, waiting] = [trip + 1, []];
      for (const [asked, answer] of all) forward(asked, answer);
    }, QUIET_MS);
  });
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  return { url: `http://127.0.0.1:${server.address().port}`, trips, held, close: () => { server.closeAllConnections(); server.close(); } };
}

async function check(browser, url, path, isDrawn, data) {
  const link = await slowLink(url);
  try {
    const { page } = await open(browser, link.url + path);
    await isDrawn(page, 60_000).catch((error) => { throw new Error(`not drawn after ${link.trips[1].join(', ')}; held: ${link.held.join(', ')}`, { cause: error }); });
    assert.equal(link.trips[0].length, 1, 'the document is the first round trip');
    assert.ok(link.trips[1].some((of) => data.test(of)), `the data is not in the second round trip: ${link.trips[1].join(' ')}`);
    assert.ok(!link.held.some((of) => data.test(of)), 'the data was requested twice');
  } finally {
    link.close();
  }
}

const FLAME = /profiles\/flamegraph\?/;
const SELECTOR = encodeURIComponent('{service_name="davy"}');

/** Checks for any Davy that profiles itself. */
export const commonTrips = [
  ['Explore draws its flame graph after two round trips', (browser, url) => check(browser, url, '/explore', drawn, FLAME)],
  ['a link to a flame graph draws it after two round trips', (browser, url) =>
    check(browser, url, `/explore?type=process_cpu:cpu:nanoseconds:cpu:nanoseconds&selector=${SELECTOR}&from=now-30m&view=flame`, drawn, FLAME)],
  ['Incident says what changed after two round trips', (browser, url) =>
    check(browser, url, '/', (page) => page.locator('#verdict').waitFor(), /profiles\/changes\?/)],
];
