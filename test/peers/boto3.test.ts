import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SandboxTarget, startSandbox } from '../contract/sandbox-target.ts';
import { arePeersMissing } from './support/peer.ts';
import { runPeer } from './support/run-peer.ts';

const script = join(import.meta.dirname, 'drive_with_boto3.py');

describe.skipIf(arePeersMissing('python'))('boto3, against the sandbox', () => {
  let target: SandboxTarget;

  beforeAll(async () => {
    target = await startSandbox();
  });

  afterAll(() => target.close());

  it('works with every service, and is refused as AWS refuses it', async () => {
    const { stdout, stderr, exitCode } = await runPeer('python', [script, target.roleArn], target);

    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({
      sts: {
        account: '123456789012',
        assumed: 'assumed-role/contract/boto3',
        'wrong key': ['SignatureDoesNotMatch', 403],
        'wrong token': ['InvalidClientTokenId', 403],
      },
      secrets: {
        'by name': true,
        'by arn': 'boto3/database',
        bytes: true,
        listed: ['boto3/bytes', 'boto3/database'],
        missing: ['ResourceNotFoundException', 400],
        'wrong key': ['InvalidSignatureException', 400],
        'unknown key': ['UnrecognizedClientException', 400],
      },
      kms: {
        decrypted: 'a secret',
        'data key': true,
        'wrong context': ['InvalidCiphertextException', 400],
        missing: ['NotFoundException', 400],
        imported: {
          pending: ['KMSInvalidStateException', 400],
          decrypted: 'imported',
          model: 'KEY_MATERIAL_EXPIRES',
        },
      },
      dynamodb: {
        twice: ['ConditionalCheckFailedException', 400],
        read: true,
        missing: ['ResourceNotFoundException', 400],
        reserved: ['ValidationException', 400],
      },
      logs: {
        'no stream': ['ResourceNotFoundException', 400],
        'all read': true,
        retention: 30,
        rejected: { tooOldLogEventEndIndex: 1 },
        'out of order': ['InvalidParameterException', 400],
        'retention of 2': ['InvalidParameterException', 400],
      },
    });
  });
});
