// Profiles itself with @datadog/pprof: wall and CPU time with labels, and the heap.
'use strict';
const { createHash } = require('node:crypto');
const { writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { encode, heap, time } = require('@datadog/pprof');

function hashing() {
  let digest = Buffer.alloc(32);
  for (let i = 0; i < 5000; i++) digest = createHash('sha256').update(digest).digest();
}

function fibonacci(n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

const pause = () => new Promise((done) => setTimeout(done, 5));

async function main(directory) {
  const write = async (name, profile) =>
    writeFileSync(join(directory, `${name}.pb.gz`), await encode(profile));

  time.start({
    durationMillis: 2000,
    intervalMicros: 10_000,
    withContexts: true,
    collectCpuTime: true,
  });
  const end = Date.now() + 2000;
  while (Date.now() < end) {
    time.setContext({ operation: 'hash' });
    hashing();
    time.setContext({ operation: 'count' });
    fibonacci(24);
    time.setContext(undefined);
    await pause();
  }
  await write('node-wall', time.stop(false, ({ context }) => context?.context ?? {}));

  heap.start(4096, 64);
  const kept = [];
  for (let i = 0; i < 3000; i++) kept.push(new Array(50).fill({ i }), `${i}`.repeat(40));
  await write('node-heap', await heap.profile());
  heap.stop();
  return kept.length;
}

main(process.argv[2]);
