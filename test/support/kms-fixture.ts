import { constants, createCipheriv, publicEncrypt, randomBytes } from 'node:crypto';
import { kms } from '../../sandbox/kms.ts';
import { AwsError, type Caller, type JsonObject } from '../../sandbox/service.ts';

export const account = '111122223333';
export const region = 'eu-west-1';
export const dayMs = 24 * 60 * 60 * 1000;

/** A user who may do anything that a key's policy leaves to the account. */
export const administrator: Caller = {
  accountId: account,
  arn: `arn:aws:iam::${account}:user/administrator`,
  userId: 'AIDA',
  accessKeyId: 'AKIA',
};

/** A session of a role, with tags and with nothing but these statements in its policy. */
export function session(
  role: string,
  statements: readonly object[],
  tags: Readonly<Record<string, string>> = {},
): Caller {
  return {
    accountId: account,
    arn: `arn:aws:sts::${account}:assumed-role/${role}/i-1`,
    userId: 'AROA:i-1',
    accessKeyId: 'ASIA',
    roleArn: `arn:aws:iam::${account}:role/${role}`,
    policies: statements.length === 0 ? [] : [policyOf(...statements)],
    tags: new Map(Object.entries(tags)),
  };
}

export function policyOf(...Statement: readonly object[]): string {
  return JSON.stringify({ Version: '2012-10-17', Statement });
}

export const base64 = (value: string | Uint8Array): string => Buffer.from(value).toString('base64');

/** The sandbox's KMS without a socket: calls, refusals as `Name: message`, and a clock to move. */
export function kmsFixture(isPrincipal: (arn: string) => boolean = () => true) {
  const state = kms.newState();
  let now = new Date('2026-11-26T12:00:00Z');
  const callAs = (caller: Caller, name: string, input: JsonObject = {}): JsonObject => {
    const operation = kms.operations[name];
    if (operation === undefined) throw new TypeError(`no operation ${name}`);
    return operation(input, state, { caller, region, now, requestId: 'r', isPrincipal }) ?? {};
  };
  const refusalAs = (caller: Caller, name: string, input: JsonObject = {}): string => {
    try {
      callAs(caller, name, input);
    } catch (error) {
      if (error instanceof AwsError) return `${error.name}: ${error.message}`;
      throw error;
    }
    return 'nothing refused';
  };
  const call = (name: string, input?: JsonObject): JsonObject => callAs(administrator, name, input);
  return {
    state,
    callAs,
    refusalAs,
    call,
    refusal: (name: string, input?: JsonObject) => refusalAs(administrator, name, input),
    newKey: (input: JsonObject = {}) => {
      const { KeyId, Arn } = call('CreateKey', input)['KeyMetadata'] as { KeyId: string; Arn: string };
      return { id: KeyId, arn: Arn };
    },
    describe: (KeyId: string) => call('DescribeKey', { KeyId })['KeyMetadata'] as JsonObject,
    now: () => now,
    pass: (ms: number) => {
      now = new Date(now.getTime() + ms);
    },
  };
}

/** Wraps material as an operator's tools do, by code that shares nothing with the sandbox. */
export function wrapped(material: Uint8Array, publicKey: string, algorithm: string): string {
  const key = { key: Buffer.from(publicKey, 'base64'), type: 'spki', format: 'der' } as const;
  const oaepHash = algorithm.endsWith('SHA_1') ? 'sha1' : 'sha256';
  const underRsa = (bytes: Uint8Array): Buffer =>
    publicEncrypt({ ...key, oaepHash, padding: constants.RSA_PKCS1_OAEP_PADDING }, bytes);
  if (algorithm.startsWith('RSAES_OAEP_')) return base64(underRsa(material));
  const wrappingKey = randomBytes(32);
  const cipher = createCipheriv('id-aes256-wrap-pad', wrappingKey, Buffer.from('a65959a6', 'hex'));
  return base64(Buffer.concat([underRsa(wrappingKey), cipher.update(material), cipher.final()]));
}
