import type { SecretSource } from '../../src/secrets/secret-source.ts';
import { type SecretsManagerReference, secretsManager } from '../../src/secrets/secrets-manager.ts';

/** Secrets Manager as a source of which each reading is a round of its own. */
export function readingAnew(
  connect: Parameters<typeof secretsManager>[0],
): SecretSource<SecretsManagerReference> {
  return {
    async read(reference, signal) {
      using round = secretsManager(connect);
      return await round.read(reference, signal);
    },
  };
}
