// Makes every call of node-beanstalk against the server on the port given.

const assert = require('node:assert/strict');
const { Client, Pool } = require('node-beanstalk');

const options = { host: '127.0.0.1', port: Number(process.argv[2]) };
const hour = 3600;

async function withClient(f) {
  const c = new Client(options);
  await c.connect();
  await c.use('mail');
  await c.watch('mail');
  await c.ignore('default');
  await f(c);
  await c.disconnect();
}

async function jobLife(c) {
  const payload = { to: 'a@example.org', text: 'zażółć 😀\r\n', large: 'x'.repeat(50000) };
  const { id, state } = await c.put(payload, 60, 5);
  assert.equal(state, 'ready');
  assert.deepEqual(await c.reserve(), { id, payload });
  assert.equal(await c.touch(id), true);
  assert.equal(await c.release(id, 6), 'ready');
  assert.deepEqual(await c.reserveWithTimeout(1), { id, payload });
  assert.equal(await c.bury(id, 7), true);
  assert.deepEqual(await c.peekBuried(), { id, payload });
  assert.equal(await c.kick(10), 1);
  assert.deepEqual(await c.peekReady(), { id, payload });
  assert.deepEqual(await c.reserveJob(id), { id, payload });
  assert.equal(await c.reserveJob(id), null);
  const job = await c.statsJob(id);
  assert.deepEqual(
    [job.id, job.tube, job.state, job.pri, job.ttr, job.reserves, job.releases, job.buries, job.kicks, job.timeouts],
    [id, 'mail', 'reserved', 7, 60, 3, 1, 1, 1, 0],
  );
  assert.equal(await c.delete(id), true);
  assert.equal(await c.delete(id), false);
  assert.equal(await c.statsJob(id), null);
}

async function delays(c) {
  const { id, state } = await c.put('later', 60, 0, hour);
  assert.equal(state, 'delayed');
  assert.deepEqual(await c.peekDelayed(), { id, payload: 'later' });
  assert.equal(await c.kickJob(id), true);
  assert.equal(await c.kickJob(id), false);
  assert.deepEqual(await c.reserve(), { id, payload: 'later' });
  assert.equal(await c.release(id, 0, hour), 'delayed');
  assert.equal(await c.reserveWithTimeout(0), null);
  assert.deepEqual(await c.peek(id), { id, payload: 'later' });
  assert.equal(await c.delete(id), true);
  assert.equal(await c.peek(id), null);
}

async function tubes(c) {
  assert.equal(await c.listTubeUsed(), 'mail');
  assert.deepEqual(await c.listTubesWatched(), ['mail']);
  assert.deepEqual(await c.listTubes(), ['default', 'mail']);
  assert.equal(await c.ignore('mail'), false);
  assert.equal(await c.watch('other'), 2);
  assert.equal(await c.ignore('other'), true);
  assert.equal(await c.pauseTube('mail', hour), true);
  const tube = await c.statsTube('mail');
  assert.deepEqual(
    [tube.name, tube['current-using'], tube['current-watching'], tube.pause, tube['cmd-pause-tube']],
    ['mail', 1, 1, hour, 1],
  );
  assert.equal(await c.pauseTube('mail', 0), true);
  assert.equal(await c.statsTube('nothing'), null);
}

async function stats(c) {
  const all = await c.stats();
  assert.equal(all['max-job-size'], 65535);
  assert.equal(all.draining, false);
  assert.equal(all['current-jobs-ready'], 0);
  assert.match(String(all.version), /^1\.1[23]$/);
  assert.equal(typeof all['rusage-utime'], 'number');
}

async function deadline(c) {
  const { id } = await c.put('x', 1);
  await c.reserve();
  await assert.rejects(c.reserve(), /deadline soon/);
  await c.delete(id);
  await assert.rejects(c.put('x'.repeat(65536)), /max/);
}

// A pool's clients work at the same time.
async function together() {
  const pool = new Pool({ capacity: 4, clientOptions: options });
  const seen = new Set();
  await Promise.all(Array.from({ length: 200 }, async (_, i) => {
    const c = await pool.connect();
    try {
      await c.put({ i });
      const job = await c.reserve();
      assert.equal(seen.has(job.id), false);
      seen.add(job.id);
      assert.equal(await c.delete(job.id), true);
    } finally {
      c.releaseClient();
    }
  }));
  assert.equal(seen.size, 200);
  await pool.disconnect();
}

async function main() {
  for (const f of [jobLife, delays, tubes, stats, deadline]) {
    await withClient(f);
  }
  await together();
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
