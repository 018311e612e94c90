import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SandboxTarget, startSandbox } from '../contract/sandbox-target.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { arePeersMissing } from './support/peer.ts';
import { type PeerRun, runPeer } from './support/run-peer.ts';

/** How version 1 of the CLI exits when the service refused; version 2 says 254. */
const refusedExitCode = 255;

describe.skipIf(arePeersMissing('aws'))('the AWS CLI, against the sandbox', () => {
  let target: SandboxTarget;

  beforeAll(async () => {
    target = await startSandbox();
  });

  afterAll(() => target.close());

  const aws = (...args: string[]): Promise<PeerRun> => runPeer('aws', ['--output', 'json', ...args], target);
  const answer = async (...args: string[]): Promise<unknown> => {
    const { stdout, stderr, exitCode } = await aws(...args);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    return stdout === '' ? undefined : JSON.parse(stdout);
  };
  const refusal = async (...args: string[]): Promise<string> => {
    const { stderr, exitCode } = await aws(...args);
    expect(exitCode).toBe(refusedExitCode);
    return stderr.trim();
  };

  it('says who it is', async () => {
    expect(await answer('sts', 'get-caller-identity')).toMatchObject({
      Account: '123456789012',
      Arn: 'arn:aws:iam::123456789012:user/contract',
    });
  });

  it('is told by name that its key is wrong', async () => {
    const credentials = { ...target.credentials, secretAccessKey: 'wrong' };
    const run = (...args: string[]) => runPeer('aws', args, { ...target, credentials });

    const [sts, kms] = await Promise.all([run('sts', 'get-caller-identity'), run('kms', 'list-keys')]);

    expect([sts.exitCode, kms.exitCode]).toEqual([refusedExitCode, refusedExitCode]);
    expect(sts.stderr).toContain('(SignatureDoesNotMatch) when calling the GetCallerIdentity operation');
    expect(kms.stderr).toContain('(InvalidSignatureException) when calling the ListKeys operation');
  });

  it('keeps a secret and gets it back', async () => {
    await answer('secretsmanager', 'create-secret', '--name', 'cli/secret', '--secret-string', 'äöü');

    const reply = await answer('secretsmanager', 'get-secret-value', '--secret-id', 'cli/secret');

    expect(reply).toMatchObject({ Name: 'cli/secret', SecretString: 'äöü', VersionStages: ['AWSCURRENT'] });
    expect(await refusal('secretsmanager', 'get-secret-value', '--secret-id', 'cli/missing')).toContain(
      "(ResourceNotFoundException) when calling the GetSecretValue operation: Secrets Manager can't find the specified secret.",
    );
  });

  it('encrypts and decrypts under a context, and only under that', async () => {
    const directory = temporaryDirectory();
    const [plain, sealed] = [join(directory, 'plain'), join(directory, 'sealed')];
    writeFileSync(plain, 'a secret');
    await answer('kms', 'create-key');
    const { Keys } = (await answer('kms', 'list-keys')) as { Keys: { KeyId: string }[] };
    const keyId = Keys[0]?.KeyId ?? '';
    const context = ['--encryption-context', 'name=cli'];

    const encrypt = ['kms', 'encrypt', '--key-id', keyId, '--plaintext', `fileb://${plain}`, ...context];
    const { CiphertextBlob } = (await answer(...encrypt)) as { CiphertextBlob: string };
    writeFileSync(sealed, Buffer.from(CiphertextBlob, 'base64'));
    const decrypt = ['kms', 'decrypt', '--ciphertext-blob', `fileb://${sealed}`];
    const opened = await answer(...decrypt, ...context);

    expect(opened).toMatchObject({ Plaintext: Buffer.from('a secret').toString('base64') });
    expect(await refusal(...decrypt, '--encryption-context', 'name=other')).toContain(
      '(InvalidCiphertextException) when calling the Decrypt operation',
    );
  });

  it('keeps items, and only under their condition', async () => {
    const table = ['--table-name', 'cli-keys'];
    const item = JSON.stringify({ host: { S: 'web-1' }, generation: { N: '1' } });
    const put = ['dynamodb', 'put-item', ...table, '--item', item];
    const attributes = ['--attribute-definitions', 'AttributeName=host,AttributeType=S'];
    const key = ['--key-schema', 'AttributeName=host,KeyType=HASH', '--billing-mode', 'PAY_PER_REQUEST'];
    await answer('dynamodb', 'create-table', ...table, ...attributes, ...key);
    await answer('dynamodb', 'wait', 'table-exists', ...table);

    await answer(...put);
    const again = await refusal(...put, '--condition-expression', 'attribute_not_exists(host)');
    const read = await answer('dynamodb', 'get-item', ...table, '--key', '{"host":{"S":"web-1"}}');

    expect(again).toContain('(ConditionalCheckFailedException) when calling the PutItem operation');
    expect(read).toEqual({ Item: JSON.parse(item) });
  });

  it('puts events and gets them back', async () => {
    const place = ['--log-group-name', '/cli/group', '--log-stream-name', 'stream'];
    const timestamp = Date.now();
    await answer('logs', 'create-log-group', '--log-group-name', '/cli/group');
    const events = JSON.stringify([{ timestamp, message: 'eine Zeile: äöü' }]);

    const missing = await refusal('logs', 'put-log-events', ...place, '--log-events', events);
    await answer('logs', 'create-log-stream', ...place);
    await answer('logs', 'put-log-events', ...place, '--log-events', events);
    const reply = await answer('logs', 'get-log-events', ...place, '--start-from-head');

    expect(missing).toContain('(ResourceNotFoundException)');
    expect(missing).toContain('The specified log stream does not exist.');
    expect(reply).toMatchObject({ events: [{ timestamp, message: 'eine Zeile: äöü' }] });
  });
});
