// Preloaded into a process: ends it, as a power cut would, before the n-th thing that it changes about files. Where it
// does fewer, it goes on to its end.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { O_CREAT, O_RDWR, O_WRONLY } = fs.constants;
let left = Number(process.env.GATEHOUSE_TEST_KILL_AT);

function step() {
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
}

function stepping(owner, name, isStep = () => true) {
  const real = owner[name];
  owner[name] = function stepped(...args) {
    if (isStep(args)) step();
    return real.apply(this, args);
  };
}

const isForWriting = ([, flags]) =>
  typeof flags === 'number' ? (flags & (O_CREAT | O_RDWR | O_WRONLY)) !== 0 : /[wa+]/u.test(String(flags));

for (const owner of [fs, fs.promises]) {
  for (const name of ['open', 'openSync']) if (name in owner) stepping(owner, name, isForWriting);
  for (const name of ['write', 'writeSync']) if (name in owner) stepping(owner, name, ([file]) => file > 2);
  for (const change of ['rename', 'link', 'unlink', 'mkdir', 'fsync', 'fchmod', 'fchown', 'chown']) {
    for (const name of [change, `${change}Sync`]) if (name in owner) stepping(owner, name);
  }
}
const handle = await fs.promises.open('/dev/null');
for (const name of ['sync', 'write', 'chmod', 'chown']) stepping(Object.getPrototypeOf(handle), name);
await handle.close();
syncBuiltinESMExports();
