import type { Clock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secret.ts';
import type { CredentialSource } from '../../src/identity/credential-source.ts';
import { identityError } from '../../src/identity/errors.ts';

const hourMs = 3_600_000;

/** A credential source that hands out an hour at a time, unless it is in trouble. */
export function hourlySource(
  clock: Pick<Clock, 'now'>,
  secret = 'secret',
  trouble?: Parameters<typeof identityError>[0],
) {
  const world: { loads: number; trouble: typeof trouble } = { loads: 0, trouble };
  const source: CredentialSource = {
    name: 'fake',
    absence: 'it is a fake',
    async load() {
      world.loads += 1;
      if (world.trouble !== undefined) throw identityError(world.trouble);
      return {
        accessKeyId: `ASIA${world.loads}`,
        secretAccessKey: Secret.ofText(secret),
        sessionToken: Secret.ofText('token'),
        expiration: new Date(clock.now().getTime() + hourMs),
        source: 'fake',
      };
    },
  };
  return { source, world };
}
