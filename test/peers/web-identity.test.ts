import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SandboxTarget, startSandbox } from '../contract/sandbox-target.ts';
import { openIdProvider, trustPolicyFor } from '../support/open-id-provider.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { arePeersMissing } from './support/peer.ts';
import { runPeer } from './support/run-peer.ts';

const subject = 'system:serviceaccount:default:app';
const whoAmI = `
import boto3
print(boto3.client("sts").get_caller_identity()["Arn"])
`;

/** As the platform of a workload sets it: a token in a file, a role, and no keys. */
const environment = (token: string) => {
  const tokenFile = join(temporaryDirectory(), 'token');
  writeFileSync(tokenFile, token);
  return {
    AWS_ACCESS_KEY_ID: undefined,
    AWS_SECRET_ACCESS_KEY: undefined,
    AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile,
    AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/Pod',
    AWS_ROLE_SESSION_NAME: 'pod-1',
  };
};

describe.skipIf(arePeersMissing('python', 'aws'))('clients with a web identity, against the sandbox', () => {
  let target: SandboxTarget;
  const provider = openIdProvider();

  beforeAll(async () => {
    target = await startSandbox();
    const { identities } = target.sandbox;
    const { arn } = identities.openIdProviders.create(provider.registration);
    identities.createRole('Pod', { trustPolicy: trustPolicyFor(arn, subject) });
  });

  afterAll(() => target.close());

  it('boto3 is the role that its token is for', async () => {
    const { stdout, stderr } = await runPeer('python', ['-c', whoAmI], target, environment(provider.token()));

    expect({ stdout: stdout.trim(), stderr }).toEqual({
      stdout: 'arn:aws:sts::123456789012:assumed-role/Pod/pod-1',
      stderr: '',
    });
  });

  it.each([
    ['an expired token', { exp: 1 }, 'ExpiredTokenException'],
    ['a token for another audience', { aud: 'other' }, 'InvalidIdentityToken'],
    ['a token of another subject', { sub: 'other' }, 'AccessDenied'],
  ])('the AWS CLI is told by name what is wrong with %s', async (_what, claims, name) => {
    const args = ['sts', 'get-caller-identity'];

    const refused = await runPeer('aws', args, target, environment(provider.token(claims)));
    const accepted = await runPeer('aws', args, target, environment(provider.token()));

    expect(refused.stderr).toContain(`(${name}) when calling the AssumeRoleWithWebIdentity operation`);
    expect(JSON.parse(accepted.stdout)).toMatchObject({ Account: '123456789012' });
  });
});
