import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DisableKeyCommand } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import { takeLock } from '../../src/system/lock.ts';
import { bindingKey, eventually, type Host } from '../support/host.ts';
import {
  deliveredPath,
  hostWithMasterKey,
  masterKeyStatus,
  sealed,
  unsealed,
  withFiles,
} from '../support/master-key-commands.ts';

describe('a change of the master key', () => {
  it('re-encrypts every file while the agent runs, which follows', async () => {
    const host = await hostWithMasterKey();
    const files = {
      one: await sealed(host, 'one', 'value of one'),
      two: await sealed(host, 'two', 'value of two'),
    };
    await host.putGateway(withFiles(host, files));
    const agent = await host.started();
    const before = readFileSync(files.one);

    const changed = await host.run(['master-key', 'reencrypt', '--json']);

    expect(JSON.parse(changed.stdout)).toMatchObject({ generation: 2, files: 2, gone: [], isBack: false });
    expect(readFileSync(files.one).equals(before)).toBe(false);
    agent.kill('SIGHUP');
    await agent.event('master-key.opened', (line) => line['generation'] === 2);
    await eventually('the agent has read both again', async () => {
      const { secrets } = await host.status();
      return secrets.every(({ failing }) => failing === undefined) || undefined;
    });
    expect(host.delivered(deliveredPath(host, 'two'))).toBe('value of two');
    expect((await agent.stop()).code).toBe(0);
    expect(await masterKeyStatus(host)).toMatchObject({
      generation: 2,
      generations: [
        { number: 1, state: 'retired' },
        { number: 2, state: 'current' },
      ],
      sealedFiles: { current: 2, all: 2 },
    });
  });

  it('finds files that are not on record, and leaves out what nothing opens', async () => {
    const host = await hostWithMasterKey();
    const known = await sealed(host, 'known', 'x');
    const damaged = await sealed(host, 'damaged', 'y');
    writeFileSync(damaged, readFileSync(damaged).subarray(0, -1));

    const left = await host.run(['master-key', 'reencrypt']);

    expect(left).toMatchObject({ code: 1, stderr: expect.stringContaining('(MASTER_KEY_FILES_LEFT)') });
    expect(left.stderr).toContain(
      `${damaged}: the sealed data is damaged, incomplete or forged (SEALED_DAMAGED)`,
    );
    expect(await masterKeyStatus(host)).toMatchObject({
      change: { from: 1, to: 2 },
      sealedFiles: { current: 1, all: 2 },
    });

    const done = await host.run([
      'master-key',
      'reencrypt',
      '--forget',
      damaged,
      '--also',
      host.disk,
      '--json',
    ]);
    expect(JSON.parse(done.stdout)).toMatchObject({ generation: 2, files: 1 });
    expect(await unsealed(host, known)).toBe('x');
  });

  it('that is under way in another process is waited for', async () => {
    const host = await hostWithMasterKey();
    await sealed(host, 'one', 'x');
    const lock = await lockedBySomebody(host);
    try {
      expect(await host.run(['master-key', 'reencrypt'])).toMatchObject({
        code: 75,
        stderr: expect.stringContaining('(MASTER_KEY_CHANGING)'),
      });
      // Sealing goes on.
      await sealed(host, 'two', 'y');
    } finally {
      lock.release();
    }
    expect(await host.run(['master-key', 'reencrypt'])).toMatchObject({ code: 0 });
  });

  it('is given up on request', async () => {
    const host = await hostWithMasterKey();
    const one = await sealed(host, 'one', 'x');
    const damaged = await sealed(host, 'two', 'y');
    writeFileSync(damaged, 'no sealed file any more');
    expect((await host.run(['master-key', 'reencrypt'])).code).toBe(1);

    const back = await host.run(['master-key', 'reencrypt', '--abort', '--forget', damaged, '--json']);

    expect(JSON.parse(back.stdout)).toMatchObject({ generation: 1, isBack: true, files: 1 });
    expect(await host.run(['unseal', one, '--json'])).toMatchObject({
      stdout: 'x',
      stderr: '{"name":"one","generation":1}\n',
    });
    expect(await host.run(['master-key', 'reencrypt', '--abort'])).toMatchObject({
      stderr: expect.stringContaining('(MASTER_KEY_NOT_CHANGING)'),
    });
    // The number of what was given up is not used again.
    expect(JSON.parse((await host.run(['master-key', 'reencrypt', '--json'])).stdout)).toMatchObject({
      generation: 3,
    });
  });
});

describe('another binding key', () => {
  it('wraps the master key, files untouched, and the old one can go', async () => {
    const host = await hostWithMasterKey();
    const file = await sealed(host, 'one', 'x');
    const before = readFileSync(file);
    const old = host.keyArn(bindingKey);
    const next = await host.operator.createKey('alias/next');

    const done = await host.run(['master-key', 'rewrap', '--key-id', 'alias/next', '--json']);
    await host.operator.kms.send(new DisableKeyCommand({ KeyId: old }));

    expect(JSON.parse(done.stdout)).toEqual({ bindingKeyArn: next, generations: [1] });
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(await unsealed(host, file)).toBe('x');
  });

  it('leaves a generation that does not open as it is, wraps the rest, and says which', async () => {
    const host = await hostWithMasterKey();
    const file = await sealed(host, 'one', 'x');
    expect((await host.run(['master-key', 'reencrypt'])).code).toBe(0);
    const lost = join(host.stateDirectory, 'master-key', '1.wrapped');
    const damaged = readFileSync(lost);
    damaged.writeUInt8(damaged.readUInt8(100) ^ 1, 100);
    writeFileSync(lost, damaged);
    const next = await host.operator.createKey('alias/next');

    const done = await host.run(['master-key', 'rewrap', '--key-id', 'alias/next']);

    expect(done).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/\(MASTER_KEY_GENERATIONS_LEFT\)[\s\S]*generation 1: /u),
    });
    expect(await masterKeyStatus(host)).toMatchObject({ generation: 2, bindingKey: { arn: next } });
    expect(readFileSync(lost).equals(damaged)).toBe(true);
    expect(await unsealed(host, file)).toBe('x');
  });
});

async function lockedBySomebody(host: Host): Promise<{ release(): void }> {
  const lock = takeLock(join(host.stateDirectory, 'master-key', 'change.lock'));
  if (lock === undefined) throw new Error('somebody has it already');
  return lock;
}
