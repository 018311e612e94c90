import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { memoryKms } from '../../../test/support/memory-kms.ts';
import { patient } from '../../../test/support/patience.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { Secret } from '../../base/secret.ts';
import { copyContext, type Question } from '../../config/last-known-good.ts';
import { bindingKey } from '../../keys/binding-key.ts';
import { dataKeys } from '../../keys/data-keys.ts';
import { keysError } from '../../keys/errors.ts';
import { kmsUnwrapper } from '../../keys/kms-keyring.ts';
import { openBytes } from '../../keys/message-sealer.ts';
import { systemError } from '../../system/errors.ts';
import { gatewaySchema } from '../config.ts';
import { type CopyKeeperOptions, copyKeeper, noCopy } from './copy-keeper.ts';
import { copyName, copyOnDisk } from './copy-on-disk.ts';

const { signal } = new AbortController();
const question: Question = {
  secretName: 'prod/web',
  versionStage: 'AWSCURRENT',
  region: 'eu-west-1',
  hostId: 'h1',
  agentName: 'web-1',
};
const config = gatewaySchema.parse({ version: 1 });

function version(versionId: string) {
  return { versionId, config, value: Secret.ofText(`the config of ${versionId}`) };
}

/** A state directory with a keeper that runs until the test is over, and the KMS that it seals under. */
async function setup() {
  const folder = temporaryDirectory();
  const kms = memoryKms();
  const disk = copyOnDisk(folder, question);
  const log: LogEvent[] = [];
  const clock = fakeClock();
  const keyArn = kms.addKey();
  const under = async (keyId: string) =>
    dataKeys({
      bindingKey: await bindingKey(
        { keyId, trustedKeys: [], region: '', kmsFor: () => kms, log: () => {} },
        signal,
      ),
      masterKeyOf: () => Promise.reject(new TypeError('no master key here')),
      sealingGeneration: () => 1,
      log: () => {},
    });
  const keeping = async (over: Partial<CopyKeeperOptions> = {}) => {
    const stop = new AbortController();
    const keeper = copyKeeper({
      disk,
      question,
      dataKeys: await under(keyArn),
      requireTrusted: async () => undefined,
      requireNamed: async () => undefined,
      clock,
      log: (event) => log.push(event),
      ...over,
    });
    const running = keeper.run(stop.signal).catch(() => undefined);
    onTestFinished(async () => {
      stop.abort(new Error('over'));
      await running;
    });
    return keeper;
  };
  kms.calls.length = 0;
  return {
    folder,
    kms,
    disk,
    log,
    clock,
    keyArn,
    under,
    keeping,
    said: () => log.map(({ name }) => name.replace('config.last-known-good-', '')),
    /** Sealings so far. */
    sealed: () => kms.calls.filter((call) => call.startsWith('GenerateDataKey')).length,
    opened: async () => {
      const found = await disk.read();
      if (found === undefined) return undefined;
      const unwrapper = kmsUnwrapper({
        trust: { accountId: '123456789012', partition: 'aws' },
        kmsFor: () => kms,
      });
      const { bytes } = await openBytes(
        found.message,
        copyContext(question, found.claims),
        unwrapper,
        signal,
      );
      return bytes.toString();
    },
  };
}

test('a copy that is withdrawn and cannot be removed is named as still there', async () => {
  const { folder, keeping, disk, log } = await setup();
  const refusal = systemError('FILE_DENIED', { path: folder });
  const keeper = await keeping({ disk: { ...disk, remove: () => Promise.reject(refusal) } });

  await keeper.withdraw('SECRET_DENIED');

  expect(log).toMatchObject([
    {
      name: 'config.last-known-good-unremoved',
      audit: 'failure',
      fields: { reason: 'SECRET_DENIED', file: join(folder, copyName), error: { code: 'FILE_DENIED' } },
    },
  ]);
  expect(keeper.state()).toEqual({ notKept: 'SECRET_DENIED' });
});

describe('a version that is offered', () => {
  test('is sealed and kept, for nobody else to read, and opens to what it was', async () => {
    const { folder, keeping, keyArn, opened, said } = await setup();
    const keeper = await keeping();
    const offered = version('v1');

    keeper.offer(offered);

    await vi.waitFor(() => expect(keeper.state().versionId).toBe('v1'), patient);
    expect(keeper.state()).toEqual({
      versionId: 'v1',
      sealedAt: '2026-11-22T12:00:00.000Z',
      sealedUnder: keyArn,
    });
    expect(await opened()).toBe('the config of v1');
    expect(statSync(join(folder, copyName)).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(folder, copyName)).includes('the config')).toBe(false);
    expect(offered.value.revealBytes().every((byte) => byte === 0)).toBe(true);
    expect(said()).toEqual(['kept']);
  });

  test('that is kept already costs no call, in this process and in the next', async () => {
    const { keeping, kms, said } = await setup();
    const first = await keeping();
    first.offer(version('v1'));
    await vi.waitFor(() => expect(first.state().versionId).toBe('v1'), patient);
    kms.calls.length = 0;

    const again = version('v1');
    first.offer(again);
    const next = await keeping();
    kms.calls.length = 0;
    next.offer(version('v1'));

    await vi.waitFor(() => expect(next.state().versionId).toBe('v1'), patient);
    await vi.waitFor(() => expect(again.value.revealBytes().every((byte) => byte === 0)).toBe(true), patient);
    expect(kms.calls).toEqual([]);
    expect(said()).toEqual(['kept']);
  });

  test('takes the place of the one before', async () => {
    const { keeping, opened, sealed } = await setup();
    const keeper = await keeping();
    keeper.offer(version('v1'));
    await vi.waitFor(() => expect(keeper.state().versionId).toBe('v1'), patient);

    keeper.offer(version('v2'));

    await vi.waitFor(() => expect(keeper.state().versionId).toBe('v2'), patient);
    expect(await opened()).toBe('the config of v2');
    expect(sealed()).toBe(2);
  });

  test('is sealed anew under another binding key, so that the one before can go', async () => {
    const { keeping, kms, under, opened } = await setup();
    const before = await keeping();
    before.offer(version('v1'));
    await vi.waitFor(() => expect(before.state().versionId).toBe('v1'), patient);
    const next = kms.addKey();

    const keeper = await keeping({ dataKeys: await under(next) });
    keeper.offer(version('v1'));

    await vi.waitFor(() => expect(keeper.state().sealedUnder).toBe(next), patient);
    expect(await opened()).toBe('the config of v1');
  });

  test('is tried again where KMS fails, said once, and the newest wins', async () => {
    const { keeping, kms, clock, opened, said } = await setup();
    kms.failWith(keysError('KEY_UNREACHABLE'), 'GenerateDataKey');
    const keeper = await keeping();

    keeper.offer(version('v1'));
    await vi.waitFor(() => expect(keeper.state().failing).toBe('KEY_UNREACHABLE'), patient);
    keeper.offer(version('v2'));
    kms.failWith(undefined);

    // Its wait may begin at any time: the disk is a real one.
    await vi.waitFor(async () => {
      await clock.advance(600_000);
      expect(keeper.state().versionId).toBe('v2');
    }, patient);
    expect(keeper.state().failing).toBeUndefined();
    expect(await opened()).toBe('the config of v2');
    expect(said()).toEqual(['failed', 'kept']);
  });

  test('under a key that could not open it when it is needed is not written, and that is said', async () => {
    const { keeping, disk, keyArn, log } = await setup();
    const keeper = await keeping({
      async requireTrusted(key) {
        throw keysError('KEY_NOT_TRUSTED', { sealedUnder: 'keyArn' in key ? [key.keyArn] : [] });
      },
    });

    keeper.offer(version('v1'));

    await vi.waitFor(() => expect(keeper.state().failing).toBe('KEY_NOT_TRUSTED'), patient);
    expect(disk.isThere()).toBe(false);
    expect(log).toMatchObject([{ fields: { error: { details: { sealedUnder: [keyArn] } } } }]);
  });

  test('that cannot be sealed leaves the one before, and the status says which that is', async () => {
    const { keeping, keyArn, kms } = await setup();
    const before = await keeping();
    before.offer(version('v1'));
    await vi.waitFor(() => expect(before.state().versionId).toBe('v1'), patient);
    kms.failWith(keysError('KEY_DENIED'), 'GenerateDataKey');

    const keeper = await keeping();
    keeper.offer(version('v2'));

    await vi.waitFor(() => expect(keeper.state().failing).toBe('KEY_DENIED'), patient);
    expect(keeper.state()).toMatchObject({ versionId: 'v1', sealedUnder: keyArn });
  });

  test('is kept already, under a key that may not open it any more: that is said', async () => {
    const { keeping, kms } = await setup();
    const before = await keeping();
    before.offer(version('v1'));
    await vi.waitFor(() => expect(before.state().versionId).toBe('v1'), patient);
    kms.calls.length = 0;

    const keeper = await keeping({
      async requireNamed() {
        throw keysError('KEY_NOT_TRUSTED', { sealedUnder: [] });
      },
    });
    kms.calls.length = 0;
    keeper.offer(version('v1'));

    await vi.waitFor(() => expect(keeper.state().failing).toBe('KEY_NOT_TRUSTED'), patient);
    expect(kms.calls).toEqual([]);
  });

  test('is whole though newer ones come while it is being sealed', async () => {
    const { keeping, under, keyArn, opened } = await setup();
    const inner = await under(keyArn);
    const gate = Promise.withResolvers<void>();
    const keeper = await keeping({
      dataKeys: {
        isCurrent: (by) => inner.isCurrent(by),
        async create(context, sig) {
          if (context['gatehouse:version-id'] === 'v1') await gate.promise;
          return inner.create(context, sig);
        },
      },
    });
    keeper.offer(version('v1'));
    await vi.waitFor(() => expect(keeper.state()).toEqual({}), patient);

    keeper.offer(version('v2'));
    keeper.offer(version('v3'));
    gate.resolve();

    await vi.waitFor(() => expect(keeper.state().versionId).toBe('v3'), patient);
    expect(await opened()).toBe('the config of v3');
  });
});

describe('a copy that is withdrawn', () => {
  test('is gone, and comes back with the next version that is offered, the same too', async () => {
    const { keeping, disk, opened, said } = await setup();
    const keeper = await keeping();
    keeper.offer(version('v1'));
    await vi.waitFor(() => expect(keeper.state().versionId).toBe('v1'), patient);

    await keeper.withdraw('SECRET_DENIED');

    expect(disk.isThere()).toBe(false);
    expect(keeper.state()).toEqual({ notKept: 'SECRET_DENIED' });
    keeper.offer(version('v1'));
    await vi.waitFor(() => expect(keeper.state().versionId).toBe('v1'), patient);
    expect(await opened()).toBe('the config of v1');
    expect(said()).toEqual(['kept', 'removed', 'kept']);
  });

  test('does not take what is offered meanwhile with it', async () => {
    const { keeping, disk, said } = await setup();
    const gate = Promise.withResolvers<void>();
    const done: string[] = [];
    const keeper = await keeping({
      disk: {
        ...disk,
        read() {
          done.push('read');
          return disk.read();
        },
        async remove() {
          done.push('removal');
          await gate.promise;
          done.push('removed');
          return disk.remove();
        },
      },
    });
    keeper.offer(version('v1'));
    await vi.waitFor(() => expect(keeper.state().versionId).toBe('v1'), patient);
    done.length = 0;

    const withdrawal = keeper.withdraw('SECRET_DENIED');
    keeper.offer(version('v2'));
    setImmediate(gate.resolve);
    await withdrawal;
    await vi.waitFor(() => expect(keeper.state().versionId).toBe('v2'), patient);

    expect(done.slice(0, 3)).toEqual(['removal', 'removed', 'read']);
    expect(disk.isThere()).toBe(true);
    expect(said()).toEqual(['kept', 'removed', 'kept']);
  });

  test('is not written by what was under way, or was to be tried again', async () => {
    const { keeping, under, keyArn, disk, clock, kms } = await setup();
    const inner = await under(keyArn);
    const gate = Promise.withResolvers<void>();
    const sealing = Promise.withResolvers<void>();
    const keeper = await keeping({
      dataKeys: {
        isCurrent: (by) => inner.isCurrent(by),
        async create(context, sig) {
          sealing.resolve();
          await gate.promise;
          return inner.create(context, sig);
        },
      },
    });
    const offered = version('v1');
    keeper.offer(offered);
    await sealing.promise;
    await keeper.withdraw('SECRET_DENIED');
    gate.resolve();
    await vi.waitFor(
      () => expect(offered.value.revealBytes().every((byte) => byte === 0)).toBe(true),
      patient,
    );

    const failing = await keeping();
    kms.failWith(keysError('KEY_UNREACHABLE'), 'GenerateDataKey');
    const another = version('v2');
    failing.offer(another);
    await vi.waitFor(() => expect(failing.state().failing).toBe('KEY_UNREACHABLE'), patient);
    await failing.withdraw('SECRET_DENIED');
    kms.failWith(undefined);
    await clock.advance(3_600_000);

    expect(another.value.revealBytes().every((byte) => byte === 0)).toBe(true);
    expect(disk.isThere()).toBe(false);
  });
});

describe('what lies in the place of the copy', () => {
  test('is told by the status before any version was fetched', async () => {
    const { keeping, keyArn } = await setup();
    const before = await keeping();
    before.offer(version('v1'));
    await vi.waitFor(() => expect(before.state().versionId).toBe('v1'), patient);

    const keeper = await keeping();

    await vi.waitFor(
      () => expect(keeper.state()).toMatchObject({ versionId: 'v1', sealedUnder: keyArn }),
      patient,
    );
  });

  test('and is damaged is told once, however often its replacement fails', async () => {
    const { folder, keeping, kms, clock, said } = await setup();
    writeFileSync(join(folder, copyName), '');
    kms.failWith(keysError('KEY_UNREACHABLE'), 'GenerateDataKey');
    const keeper = await keeping();

    keeper.offer(version('v1'));
    const tries = () => kms.calls.filter((call) => call.startsWith('GenerateDataKey')).length;
    await vi.waitFor(async () => {
      await clock.advance(600_000);
      expect(tries()).toBeGreaterThan(2);
    }, patient);

    expect(said()).toEqual(['replaced', 'failed']);
  });

  test.each<[string, (path: string) => void]>([
    ['a bit flipped', (path) => writeFileSync(path, flipped(readFileSync(path)))],
    ['its end cut off', (path) => writeFileSync(path, readFileSync(path).subarray(0, -1))],
    ['nothing in it', (path) => writeFileSync(path, '')],
    ['something else in it', (path) => writeFileSync(path, 'x'.repeat(300_000))],
  ])('with %s is told, and replaced', async (_what, spoil) => {
    const { folder, keeping, opened, said } = await setup();
    const before = await keeping();
    before.offer(version('v1'));
    await vi.waitFor(() => expect(before.state().versionId).toBe('v1'), patient);
    spoil(join(folder, copyName));

    const keeper = await keeping();
    keeper.offer(version('v1'));

    await vi.waitFor(() => expect(said()).toEqual(['kept', 'replaced', 'kept']), patient);
    expect(await opened()).toBe('the config of v1');
  });

  test('of another host is told, and replaced', async () => {
    const { folder, keeping, log } = await setup();
    const other = { ...question, hostId: 'h2' };
    const theirs = await keeping({ question: other, disk: copyOnDisk(folder, other) });
    theirs.offer(version('v1'));
    await vi.waitFor(() => expect(theirs.state().versionId).toBe('v1'), patient);

    const keeper = await keeping();
    keeper.offer(version('v1'));

    await vi.waitFor(() => expect(keeper.state().versionId).toBe('v1'), patient);
    expect(log.find(({ name }) => name === 'config.last-known-good-replaced')).toMatchObject({
      fields: { error: { code: 'GATEWAY_CONFIG_COPY_FOREIGN', details: { differing: ['gatehouse:host'] } } },
    });
  });

  test('and cannot be replaced leaves the keeper trying', async () => {
    const { folder, keeping } = await setup();
    mkdirSync(join(folder, copyName));
    const keeper = await keeping();

    keeper.offer(version('v1'));

    await vi.waitFor(() => expect(keeper.state().failing).toBe('FILE_FAILED'), patient);
  });
});

/** What a kill leaves at each step of writing: an empty, a half and a whole temporary file, and no new name yet. */
test.each([0, 0.5, 1])(
  'a write that was killed with %s of it done leaves the copy before, and goes',
  async (part) => {
    const { folder, keeping, opened } = await setup();
    const before = await keeping();
    before.offer(version('v1'));
    await vi.waitFor(() => expect(before.state().versionId).toBe('v1'), patient);
    const elsewhere = await setup();
    const theirs = await elsewhere.keeping();
    theirs.offer(version('v2'));
    await vi.waitFor(() => expect(theirs.state().versionId).toBe('v2'), patient);
    const whole = readFileSync(join(elsewhere.folder, copyName));
    const [temporary = ''] = await temporaryNameIn(folder);
    writeFileSync(join(folder, temporary), whole.subarray(0, whole.length * part), { mode: 0o600 });

    expect(await opened()).toBe('the config of v1');
    const keeper = await keeping();
    keeper.offer(version('v1'));

    await vi.waitFor(() => expect(keeper.state().versionId).toBe('v1'), patient);
    expect(readdirSync(folder)).toEqual([copyName]);
  },
);

describe('where no copy is to be kept', () => {
  test('one from before goes, and that is said', async () => {
    const { disk, keeping, log } = await setup();
    const before = await keeping();
    before.offer(version('v1'));
    await vi.waitFor(() => expect(before.state().versionId).toBe('v1'), patient);
    const offered = version('v2');

    const keeper = noCopy(disk, 'no binding key', (event) => log.push(event));
    keeper.offer(offered);
    await keeper.run(signal);

    expect(disk.isThere()).toBe(false);
    expect(keeper.state()).toEqual({ notKept: 'no binding key' });
    expect(log.at(-1)).toMatchObject({
      name: 'config.last-known-good-removed',
      fields: { reason: 'no binding key' },
    });
    expect(offered.value.revealBytes().every((byte) => byte === 0)).toBe(true);
  });

  test('and there was none nothing is said', async () => {
    const { disk, log } = await setup();

    await noCopy(disk, 'switched off', (event) => log.push(event)).run(signal);

    expect(log).toEqual([]);
  });
});

function flipped(bytes: Buffer): Buffer {
  const at = bytes.length - 40;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  return bytes;
}

/** The name that a write into this folder has before it is done, as the code that writes makes it. */
async function temporaryNameIn(folder: string): Promise<readonly string[]> {
  const { createHash } = await import('node:crypto');
  expect(readdirSync(folder)).toEqual([copyName]);
  const prefix = createHash('sha256').update(copyName).digest('hex').slice(0, 16);
  return [`.gatehouse-${prefix}-0123456789abcdef.tmp`];
}
