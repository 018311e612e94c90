import { randomBytes } from 'node:crypto';
import { Secret } from '../../src/base/secret.ts';
import { copyContext, type Question } from '../../src/config/last-known-good.ts';
import { sealBytes } from '../../src/keys/message-sealer.ts';

export const question: Question = {
  secretName: 'prod/web',
  versionStage: 'AWSCURRENT',
  region: 'eu-west-1',
  hostId: 'h1',
  agentName: 'web-1',
};

/** A sealed copy of this version, as long as the longest gateway config, under a key that is gone. */
export async function sealedVersion(versionId: string): Promise<Buffer> {
  const wrappedKeys = [{ provider: 'aws-kms', info: Buffer.from('arn'), wrapped: Buffer.alloc(180) }];
  return sealBytes(
    Buffer.alloc(65_536),
    copyContext(question, { versionId, sealedAt: new Date(0) }),
    { wrap: async () => ({ dataKey: Secret.ofBytes(randomBytes(32)), wrappedKeys }) },
    new AbortController().signal,
  );
}
