import { STSClient } from '@aws-sdk/client-sts';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { systemClock } from '../base/clock.ts';
import { callerIdentity, unexpectedCaller } from './caller.ts';
import { deadEndpoint, scriptedEndpoint } from './endpoint.contract.ts';
import { identityError } from './errors.ts';
import { instanceRole } from './instance-role.ts';

const signal = new AbortController().signal;

function clientOf(
  endpoint: string,
  credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } = {
    accessKeyId: 'AKIA',
    secretAccessKey: 'secret',
  },
) {
  const client = new STSClient({ endpoint, region: 'eu-west-1', credentials, maxAttempts: 1 });
  onTestFinished(() => client.destroy());
  return client;
}

/** An STS that answers one thing. */
async function setup(status: number, body: string) {
  const { url } = await scriptedEndpoint((_request, response) => {
    response.writeHead(status, { 'content-type': 'text/xml' }).end(body);
  });
  return clientOf(url);
}

const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/';

function identity(arn: string): string {
  return `<GetCallerIdentityResponse xmlns="${namespace}"><GetCallerIdentityResult><Arn>${arn}</Arn>
    <UserId>AROAEXAMPLE:session</UserId><Account>123456789012</Account></GetCallerIdentityResult>
    <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>`;
}

function failure(code: string): string {
  return `<ErrorResponse xmlns="${namespace}"><Error><Type>Sender</Type><Code>${code}</Code>
    <Message>secret-looking message</Message></Error><RequestId>1</RequestId></ErrorResponse>`;
}

describe('the caller', () => {
  test.each([
    [
      'arn:aws:sts::123456789012:assumed-role/GatehouseHost/i-0abc',
      { roleName: 'GatehouseHost', sessionName: 'i-0abc' },
    ],
    ['arn:aws:iam::123456789012:user/path/someone', {}],
    ['arn:aws:iam::123456789012:root', {}],
    ['arn:aws:sts::123456789012:federated-user/someone', {}],
  ])('is read from %s', async (arn, role) => {
    const client = await setup(200, identity(arn));

    const caller = await callerIdentity(client, signal);

    expect(caller).toEqual({ arn, accountId: '123456789012', userId: 'AROAEXAMPLE:session', ...role });
  });

  test('of an instance of the sandbox is its role', async () => {
    const sandbox = createSandbox();
    const listener = await sandbox.listen();
    onTestFinished(() => listener.close());
    const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: listener.url };
    const loaded = await instanceRole(env, systemClock, { required: true }).load(signal);
    const client = clientOf(listener.url, {
      accessKeyId: loaded?.accessKeyId ?? '',
      secretAccessKey: loaded?.secretAccessKey.revealText() ?? '',
      sessionToken: loaded?.sessionToken?.revealText() ?? '',
    });

    const caller = await callerIdentity(client, signal);

    expect(caller).toMatchObject({
      accountId: sandbox.accountId,
      roleName: 'GatehouseHost',
      sessionName: sandbox.instance.instanceId,
    });
  });

  test.each([
    [403, failure('InvalidClientTokenId'), 'CREDENTIALS_REFUSED'],
    [403, failure('SignatureDoesNotMatch'), 'CREDENTIALS_REFUSED'],
    [403, failure('ExpiredToken'), 'CREDENTIALS_EXPIRED'],
    [400, failure('Throttling'), 'CREDENTIALS_THROTTLED'],
    [503, failure('ServiceUnavailable'), 'CREDENTIALS_STS_UNREACHABLE'],
    [200, identity(''), 'CREDENTIALS_DOCUMENT_INVALID'],
  ])('is not known when STS answers %i %s', async (status, body, code) => {
    const client = await setup(status, body);

    await expect(callerIdentity(client, signal)).rejects.toMatchObject({ code });
  });

  test('is not known when STS is out of reach', async () => {
    const client = clientOf(await deadEndpoint());

    await expect(callerIdentity(client, signal)).rejects.toMatchObject({
      code: 'CREDENTIALS_STS_UNREACHABLE',
    });
  });

  test('is not known when there are no credentials, and that is the error', async () => {
    const error = identityError('CREDENTIALS_NO_ROLE');
    const client = new STSClient({
      endpoint: await deadEndpoint(),
      region: 'eu-west-1',
      credentials: () => Promise.reject(error),
    });

    await expect(callerIdentity(client, signal)).rejects.toBe(error);
  });

  test('is not asked for once the signal has aborted', async () => {
    const reason = new Error('enough');
    const client = clientOf(await deadEndpoint());

    await expect(callerIdentity(client, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

describe('a caller who is expected to be somebody', () => {
  const caller = {
    arn: 'arn:aws:sts::123456789012:assumed-role/GatehouseHost/i-1',
    accountId: '123456789012',
    userId: 'AROA:i-1',
    roleName: 'GatehouseHost',
    sessionName: 'i-1',
  };
  const user = { arn: 'arn:aws:iam::123456789012:user/me', accountId: '123456789012', userId: 'AIDA' };

  test.each([
    [caller, {}, undefined],
    [caller, { expectAccountId: '123456789012', expectRoleName: 'GatehouseHost' }, undefined],
    [
      caller,
      { expectAccountId: '210987654321' },
      { expectAccountId: '210987654321', accountId: '123456789012' },
    ],
    [caller, { expectRoleName: 'Other' }, { expectRoleName: 'Other', roleName: 'GatehouseHost' }],
    [user, { expectRoleName: 'Other' }, { expectRoleName: 'Other', roleName: 'no role' }],
  ])('%j with %j', (who, expected, details) => {
    const error = unexpectedCaller(who, expected);

    expect(error?.code).toBe(details && 'CREDENTIALS_UNEXPECTED_IDENTITY');
    expect(error?.details).toEqual(details && { arn: who.arn, ...details });
  });
});
