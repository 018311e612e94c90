import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildClient, CommitmentPolicy, KmsKeyringNode } from '@aws-crypto/client-node';
import { DisableKeyCommand, KMS } from '@aws-sdk/client-kms';
import { describe, expect, onTestFinished, test } from 'vitest';
import { gatehouse } from '../support/agent.ts';
import { bindingKey, setup as host } from '../support/host.ts';
import { shell } from '../support/shell.ts';

/** An operator's shell with a KMS key to seal under, and a folder to work in. */
async function setup() {
  const { disk, operator, url } = await host();
  const env = { AWS_ENDPOINT_URL: url, ...operator.env };
  const sealed = join(disk, 'tls-key.sealed');
  const flags = ['--name', 'tls-key', '--in', '-', '--out', sealed];
  return {
    disk,
    env,
    kms: operator.kms,
    sealed,
    flags,
    createKey: (alias: string) => operator.createKey(alias),
    seal: (value: string | Buffer, more: readonly string[] = ['--key-id', bindingKey]) =>
      gatehouse(['seal', ...flags, ...more], { env, stdin: value }),
    unseal: (more: readonly string[] = []) => gatehouse(['unseal', sealed, ...more], { env }),
  };
}

/** Opens a sealed file with the official SDK and nothing of ours. */
async function openedByTheSdk(file: string, keyArn: string, env: Awaited<ReturnType<typeof setup>>['env']) {
  const { decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  const credentials = { accessKeyId: env.AWS_ACCESS_KEY_ID, secretAccessKey: env.AWS_SECRET_ACCESS_KEY };
  const kms = new KMS({ endpoint: env.AWS_ENDPOINT_URL, region: env.AWS_REGION, credentials });
  onTestFinished(() => kms.destroy());
  // The types of this SDK are those of an older client; what it calls is the same.
  const keyring = new KmsKeyringNode({ keyIds: [keyArn], clientProvider: () => kms as never });
  const { plaintext, messageHeader } = await decrypt(keyring, readFileSync(file));
  return { plaintext, context: messageHeader.encryptionContext };
}

describe('seal', () => {
  test.each([
    ['nothing', Buffer.alloc(0)],
    ['one byte', Buffer.from([0])],
    ['1 MB of every byte', randomBytes(1_000_000)],
  ])('and unseal return %s exactly', async (_what, secret) => {
    const { disk, env, sealed, flags } = await setup();
    const [plain, opened] = [join(disk, 'plain'), join(disk, 'opened')];
    writeFileSync(plain, secret);

    const { code, stderr } = await shell(
      `gatehouse seal ${flags.join(' ')} --wrap kms --key-id ${bindingKey} < ${plain} &&
       gatehouse unseal ${sealed} > ${opened}`,
      { env },
    );

    const said = stderr.trimEnd().split('\n');
    const arn = 'arn:aws:kms:eu-west-1:123456789012:key/[0-9a-f-]{36}';
    expect(said[0]).toMatch(new RegExp(`^sealed tls-key into ${sealed} under ${arn}$`, 'u'));
    expect(said[1]).toMatch(new RegExp(`^opened tls-key with ${arn}$`, 'u'));
    expect({ code, lines: said.length }).toEqual({ code: 0, lines: 2 });
    expect(readFileSync(opened).equals(secret)).toBe(true);
    expect((statSync(sealed).mode & 0o777).toString(8)).toBe('600');
  });

  test('through a pipe, 1 MB comes out whole', async () => {
    const { env, seal, sealed } = await setup();
    await seal(Buffer.alloc(1_000_000, 7));

    const { stdout } = await shell(`gatehouse unseal ${sealed} | { sleep 0.2; wc -c; }`, { env });

    expect(stdout.trim()).toBe('1000000');
  });

  test('unseal - opens what comes through a pipe, and an empty name is no file', async () => {
    const { env, seal, sealed } = await setup();
    await seal('hunter2');

    const { code, stdout } = await shell(`cat ${sealed} | gatehouse unseal -`, { env });
    const empty = await shell(`cat ${sealed} | gatehouse unseal ''`, { env });

    expect({ code, stdout }).toEqual({ code: 0, stdout: 'hunter2' });
    expect(empty.code).not.toBe(0);
    expect(empty.stdout).toBe('');
  });

  test('reads a file, and with --json reports on stdout', async () => {
    const { disk, env, sealed } = await setup();
    const plain = join(disk, 'plain');
    writeFileSync(plain, 'hunter2');

    const { code, stdout, stderr } = await gatehouse(
      ['seal', '--name', 'tls-key', '--in', plain, '--out', sealed, '--key-id', bindingKey, '--json'],
      { env },
    );

    expect(JSON.parse(stdout)).toEqual({
      name: 'tls-key',
      file: sealed,
      version: 1,
      keyArn: expect.stringMatching(/^arn:aws:kms:/u),
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(readFileSync(sealed).includes('hunter2')).toBe(false);
  });

  test('replaces a file only with --force', async () => {
    const { seal, unseal, sealed } = await setup();
    writeFileSync(sealed, 'mine');

    const { code, stderr } = await seal('first');

    expect(code).toBe(73);
    expect(stderr).toContain(`error: the file exists and is not replaced: path ${sealed}`);
    expect(readFileSync(sealed, 'utf8')).toBe('mine');
    expect((await seal('second', ['--key-id', bindingKey, '--force'])).code).toBe(0);
    expect((await unseal()).stdout).toBe('second');
  });

  test('without a key says that there is no master key yet, and how to name one', async () => {
    const { seal, sealed } = await setup();

    const { code, stdout, stderr } = await seal('hunter2', []);

    expect(stderr).toBe(
      'error: nothing says which key is to seal, and this host has no master key yet (SEALING_KEY_MISSING)\n' +
        'hint: Name a KMS key by id, ARN or alias: --wrap kms --key-id ID. Or make one: gatehouse master-key create.\n',
    );
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(existsSync(sealed)).toBe(false);
  });

  test('each refusal has its exit code and leaves no file', async () => {
    const { disk, env, kms, createKey, seal, sealed } = await setup();
    const disabled = await createKey('alias/disabled');
    await kms.send(new DisableKeyCommand({ KeyId: disabled }));
    const absent = [
      'seal',
      '--name',
      'a',
      '--in',
      join(disk, 'absent'),
      '--out',
      sealed,
      '--key-id',
      bindingKey,
    ];
    const endless = absent.with(4, '/dev/zero');
    const nowhere = absent.with(4, '-').with(6, join(disk, 'nope/dir/q.sealed'));
    const before = readdirSync(disk);

    const refusals = [
      { code: 78, said: 'KEY_NOT_FOUND', run: seal('x', ['--key-id', 'alias/nobody']) },
      { code: 77, said: 'KEY_DISABLED', run: seal('x', ['--key-id', disabled]) },
      { code: 64, said: 'SECRET_NAME_INVALID', run: seal('x', ['--key-id', bindingKey, '--name', 'a b']) },
      { code: 78, said: 'SECRET_HOST_UNNAMED', run: seal('x', ['--key-id', bindingKey, '--bind-to-host']) },
      { code: 66, said: 'INPUT_MISSING', run: gatehouse(absent, { env }) },
      { code: 73, said: 'FILE_DIRECTORY_MISSING', run: gatehouse(nowhere, { env, stdin: 'x' }) },
      { code: 66, said: 'INPUT_MISSING', run: gatehouse(endless, { env }) },
    ];

    for (const { code, said, run } of refusals) {
      const finished = await run;
      expect(finished.stderr).toContain(`(${said})`);
      expect({ said, code: finished.code, stdout: finished.stdout }).toEqual({ said, code, stdout: '' });
    }
    expect(readdirSync(disk)).toEqual(before);
  });

  test('writes what the official SDK opens by itself', async () => {
    const { createKey, env, seal, sealed } = await setup();
    const keyArn = await createKey('alias/other');
    await seal('correct horse', ['--key-id', keyArn]);

    const { plaintext, context } = await openedByTheSdk(sealed, keyArn, env);

    expect(plaintext.toString()).toBe('correct horse');
    expect(context).toMatchObject({
      'gatehouse:name': 'tls-key',
      'gatehouse:purpose': 'sealed-file',
      'gatehouse:version': '1',
    });
  });
});

describe('unseal', () => {
  test('lets out not one byte of a damaged file', async () => {
    const { seal, unseal, sealed } = await setup();
    await seal(Buffer.alloc(100_000, 'canary '));
    const good = readFileSync(sealed);
    const flipped = (at: number) => {
      const bytes = Buffer.from(good);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      return bytes;
    };
    const damaged = {
      'last byte flipped': flipped(good.length - 1),
      'byte in the last frame flipped': flipped(good.length - 1000),
      'cut short': good.subarray(0, -5),
      'something appended': Buffer.concat([good, Buffer.from('!')]),
      'not a sealed file': Buffer.from('-----BEGIN PRIVATE KEY-----'),
      empty: Buffer.alloc(0),
    };

    for (const [what, bytes] of Object.entries(damaged)) {
      writeFileSync(sealed, bytes);
      const { code, stdout, stderr } = await unseal();
      expect(stderr).toMatch(/^error: .*\(SEALED_(DAMAGED|FORMAT_UNKNOWN)\)\nhint: /u);
      expect({ what, code, stdout }).toEqual({ what, code: 65, stdout: '' });
    }
  });

  test('a file that is not there is missing input', async () => {
    const { unseal } = await setup();

    const { code, stdout, stderr } = await unseal();

    expect(stderr).toContain('(FILE_NOT_FOUND)');
    expect({ code, stdout }).toEqual({ code: 66, stdout: '' });
  });

  test('under another key than the given one is refused', async () => {
    const { createKey, seal, unseal } = await setup();
    const other = await createKey('alias/other');
    await seal('hunter2');

    const { code, stdout, stderr } = await unseal(['--key-id', other]);

    expect(stderr).toContain('(KEY_NOT_TRUSTED)');
    expect({ code, stdout }).toEqual({ code: 77, stdout: '' });
  });

  test('with --json the talk is JSON, the plaintext stays as it is', async () => {
    const { seal, unseal } = await setup();
    await seal('hunter2');

    const { code, stdout, stderr } = await unseal(['--json']);

    expect(JSON.parse(stderr)).toEqual({ name: 'tls-key', keyArn: expect.stringMatching(/^arn:aws:kms:/u) });
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'hunter2' });
  });

  test('without credentials is refused', async () => {
    const { env, seal, sealed } = await setup();
    await seal('hunter2');
    const { AWS_ENDPOINT_URL: endpoint, AWS_REGION: region } = env;

    const { code, stdout, stderr } = await gatehouse(['unseal', sealed, '--json'], {
      env: { AWS_ENDPOINT_URL: endpoint, AWS_REGION: region, AWS_EC2_METADATA_DISABLED: 'true' },
    });

    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'CREDENTIALS_NOT_FOUND' } });
    expect({ code, stdout }).toEqual({ code: 77, stdout: '' });
  });
});
