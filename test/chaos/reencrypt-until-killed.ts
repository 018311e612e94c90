import { sealedFiles } from '../../src/agent/master-key/sealed-files.ts';
import { targetOf } from '../../src/keys/ledger.ts';
import { reencrypt } from '../../src/keys/reencryption.ts';
import { ledgerIn, testKeyOf } from '../support/sealed-host.ts';
import { stepping } from '../support/stepping.ts';

/** Re-encrypts what `makeSealedHost` made in this folder, and kills itself at this step, or never. */
const [folder = '', killAt = 'never'] = process.argv.slice(2);
const ledger = ledgerIn(folder);
const change = ledger.change();
// The run before was killed when all was done.
if (change === undefined) process.exit(0);
let steps = 0;
const step = (): void => {
  steps += 1;
  if (String(steps) === killAt) process.kill(process.pid, 'SIGKILL');
};
process.stdout.write('begun\n');
const files = sealedFiles();
const parts = stepping({ files, ledger }, step);
const options = { keyOf: testKeyOf, target: targetOf(change), concurrency: 1, progress: () => undefined };
const done = await reencrypt({ ...options, ...parts }, new AbortController().signal);
await files.close();
process.exitCode = done.left.length === 0 && parts.ledger.finish() ? 0 : 1;
