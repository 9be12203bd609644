// A day of a shop, pushed to a running Davy: two members with an operation each, version 1.1 yesterday and 1.2 today, in which
// the heap of the cart grew and the API calls a new function.

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** The length of a window, and how long each version is recorded. */
const [WINDOW, SPAN] = [MINUTE, 10 * MINUTE];

/** CPU in samples of 10 ms and heap in bytes of a window, as folded stacks. */
const MEMBERS = [
  {
    member: 'api', op: 'GetCart',
    cpu: { common: ['main;serve;cart::get;db::query 1200', 'main;serve;cart::get;json::write 600', 'main;serve;tls::read 300'], '1.2': ['main;serve;cart::get;price::round 900'] },
    heap: { common: ['main;serve;session::load 4000000'], '1.1': ['main;serve;cart::get;Cart::items 20000000'], '1.2': ['main;serve;cart::get;Cart::items 90000000'] },
  },
  {
    member: 'mailer', op: 'SendReceipt',
    cpu: { common: ['main;poll;mail::send;db::query 500', 'main;poll;mail::send;smtp::write 700'] },
    heap: { common: ['main;poll;mail::send;Template::new 30000000'] },
  },
];

async function push(archive, name, from, until, stacks, units) {
  const query = new URLSearchParams({ name, from: String(Math.floor(from / 1_000)), until: String(Math.floor(until / 1_000)), format: 'folded', ...units });
  const answer = await fetch(`${archive}/ingest?${query}`, { method: 'POST', body: `${stacks.join('\n')}\n`, headers: { 'content-type': 'text/plain' } });
  if (!answer.ok) throw new Error(`${archive} refuses ${name}: ${answer.status} ${await answer.text()}`);
}

/** Pushes ten minutes until a day before `now`, and the ten minutes until `now`. */
export async function pushDay(archive, service, now) {
  const until = Math.floor(now / MINUTE) * MINUTE;
  await Promise.all([[until - DAY, '1.1'], [until, '1.2']].map(([end, version]) => pushSpan(archive, service, version, end - SPAN, end)));
}

/** Pushes the windows of a range at once: each response waits until the window is stored, which takes seconds. */
export async function pushSpan(archive, service, version, from, until, window = WINDOW) {
  const all = [];
  for (let at = from; at < until; at += window) {
    for (const { member, op, cpu, heap } of MEMBERS) {
      const labels = `{member="${member}",op="${op}",version="${version}"}`;
      all.push(push(archive, `${service}.cpu${labels}`, at, at + window, [...cpu.common, ...(cpu[version] ?? [])], { units: 'samples', sampleRate: '100' }));
      all.push(push(archive, `${service}.inuse_space${labels}`, at, at + window, [...heap.common, ...(heap[version] ?? [])], { units: 'bytes', aggregationType: 'average' }));
    }
  }
  await Promise.all(all);
}
