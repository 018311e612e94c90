import { expect, it, onTestFinished } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { memoryRegistry } from '../../../test/support/memory-registry.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { Secret } from '../../base/secret.ts';
import { masterKeyring } from '../../keys/master-keyring.ts';
import { messageSealer } from '../../keys/message-sealer.ts';
import { newContext } from '../../secrets/sealed-file.ts';
import { keptRecords } from './kept-records.ts';
import { openMasterKeyState } from './state.ts';
import { watermark } from './watermark.ts';

const never = new AbortController().signal;
const log = () => undefined;

it('tells the registry of versions from when the host was bound to one, without a restart', async () => {
  const stateDirectory = temporaryDirectory();
  const registry = memoryRegistry();
  const mark = watermark({ registry, agentName: 'web-1', clock: fakeClock(), log });
  const records = keptRecords({ stateDirectory, log, table: undefined, watermarkIn: async () => mark });
  onTestFinished(() => records.close());
  const sealer = messageSealer(masterKeyring(1, async () => Secret.ofBytes(Buffer.alloc(32, 1))));
  const seen = async (version: number): Promise<void> => {
    const sealed = await sealer.seal(Buffer.from('x'), newContext('one', version), never);
    await records.admit({ name: 'one', path: '/sealed/one', version, sealed }, never);
    await records.keep(never);
  };
  await seen(1);
  expect(registry.calls).toEqual([]);

  const operator = openMasterKeyState(stateDirectory, { isMade: true });
  operator?.ledger.bindTable('memory');
  operator?.close();
  await seen(2);

  expect(await registry.seen('web-1', never)).toEqual(new Map([['one', { version: 2 }]]));
});
