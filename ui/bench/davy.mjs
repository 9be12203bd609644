// A real Davy with a synthetic profile: the server that is measured together with the page.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as serveHttp, request as send } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { serve } from '../fixture/server.mjs';

/** Samples of one upload: its size after decompression stays below the default limit of the server. */
const SAMPLES = 100_000;

const free = () => new Promise((done) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => done(port));
  });
});

/** Protobuf in one growing buffer. */
class Writer {
  bytes = Buffer.allocUnsafe(256);
  length = 0;

  varint(value) {
    if (this.length + 10 > this.bytes.length) this.bytes = Buffer.concat([this.bytes, Buffer.allocUnsafe(this.bytes.length)]);
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) this.bytes[this.length++] = (rest % 128) + 128;
    this.bytes[this.length++] = rest;
  }

  number(field, value) {
    this.varint(field * 8);
    this.varint(value);
  }

  message(field, part) {
    this.varint(field * 8 + 2);
    this.varint(part.length);
    while (this.length + part.length > this.bytes.length) this.bytes = Buffer.concat([this.bytes, Buffer.allocUnsafe(this.bytes.length)]);
    part.copy(this.bytes, this.length);
    this.length += part.length;
  }

  get written() {
    return this.bytes.subarray(0, this.length);
  }
}

const written = (write) => {
  const out = new Writer();
  write(out);
  return out.written;
};

/** The tree as profiles in pprof's format: a sample for each node with a value of its own. */
export function* pprofs({ columns: { self, frame, depth }, frames }) {
  const tables = written((out) => {
    const strings = ['', 'cpu', 'nanoseconds'];
    const text = (value) => strings.push(value) - 1;
    // What the values are, and the period.
    for (const field of [1, 11]) out.message(field, written((o) => { o.number(1, 1); o.number(2, 2); }));
    frames.forEach(({ name, file, line }, f) => {
      if (f === 0) return;
      const fn = written((o) => { o.number(1, f); o.number(2, text(name)); o.number(4, text(file)); });
      out.message(5, fn);
      out.message(4, written((o) => { o.number(1, f); o.message(4, written((l) => { l.number(1, f); l.number(2, line); })); }));
    });
    for (const one of strings) out.message(6, Buffer.from(one));
  });
  const path = [];
  for (let i = 1; i < self.length;) {
    const out = new Writer();
    for (let samples = 0; i < self.length && samples < SAMPLES; i++) {
      path.length = depth[i] - 1;
      path.push(frame[i]);
      if (self[i] === 0) continue;
      samples++;
      const ids = written((o) => { for (let d = path.length - 1; d >= 0; d--) o.varint(path[d]); });
      out.message(2, written((o) => { o.message(1, ids); o.message(2, written((v) => v.varint(self[i]))); }));
    }
    yield gzipSync(Buffer.concat([tables, out.written]), { level: 1 });
  }
}

/** Starts a Davy with data of its own, whose services `big` and `other` have the tree, the samples of two workers in turn. */
export async function davy(binary, tree, log = () => {}) {
  const [http, archive, debug] = await Promise.all([free(), free(), free()]);
  const data = await mkdtemp(join(tmpdir(), 'davy-bench-'));
  const child = spawn(binary, ['quickstart', '--data-dir', data, '--http-listen', `127.0.0.1:${http}`, '--archive-listen', `127.0.0.1:${archive}`, '--debug-listen', `127.0.0.1:${debug}`], { cwd: data, stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (part) => { errors = (errors + part).slice(-4_000); });
  const stop = async () => {
    const ended = new Promise((done) => { child.once('exit', done); });
    if (child.exitCode === null && child.kill()) await ended;
    await rm(data, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${http}`;
  try {
    const until = Math.floor(Date.now() / 1_000);
    let parts = 0;
    const services = ['big', 'other'];
    for (const [service, profile] of services.flatMap((of) => [...pprofs(tree)].map((profile) => [of, profile]))) {
      const query = new URLSearchParams({ name: `${service}{worker=w${parts % 2}}`, from: String(until - 15), until: String(until), format: 'pprof', spyName: 'bench' });
      await again(async () => {
        const answer = await fetch(`http://127.0.0.1:${archive}/ingest?${query}`, { method: 'POST', body: profile, headers: { 'content-type': 'application/octet-stream' } });
        if (!answer.ok) throw new Error(`${binary} refuses a profile: ${answer.status} ${await answer.text()}`);
      }, child, () => errors);
      log(`${++parts} parts pushed`);
    }
    return { url, until: until * 1_000, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The page of this folder with the API of a Davy that has another one. */
export async function withPage(davyUrl) {
  const page = await serve();
  const proxy = serveHttp((request, response) => {
    const url = (request.url.startsWith('/api/') ? davyUrl : page.url) + request.url;
    send(url, { method: request.method, headers: { ...request.headers, host: new URL(url).host } }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    }).on('error', () => response.destroy()).end();
  });
  await new Promise((done) => { proxy.listen(0, '127.0.0.1', done); });
  return { url: `http://127.0.0.1:${proxy.address().port}`, close: () => { proxy.close(); page.server.close(); } };
}

/** Repeats what fails while the server starts. */
async function again(act, child, errors) {
  for (let tries = 0; ; tries++) {
    try {
      return await act();
    } catch (error) {
      if (child.exitCode !== null) throw new Error(`Davy ended with ${child.exitCode}: ${errors()}`);
      if (tries === 100 || !/fetch failed|503/.test(String(error.message))) throw error;
      await new Promise((done) => { setTimeout(done, 100); });
    }
  }
}
