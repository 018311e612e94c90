import type { CredentialSource, Credentials } from './credential-source.ts';
import { identityError } from './errors.ts';

/** A source that did not apply, and why. */
export interface PassedOver {
  readonly name: string;
  readonly reason: string;
}

export interface Chain extends CredentialSource {
  /** The source that answered, once one has. */
  readonly answered: string | undefined;
  /** Those asked before it, in order. */
  readonly passedOver: readonly PassedOver[];
}

/**
 * The first of `sources` that applies; one that throws ends the search. Once a source has answered, only that one is
 * asked again: a running agent must not slip into another identity because its own is away for a minute.
 *
 * `load` never answers `undefined`. @throws CREDENTIALS_NOT_FOUND, CREDENTIALS_SOURCE_LOST, and what the sources throw.
 */
export function chain(sources: readonly CredentialSource[]): Chain {
  let chosen: CredentialSource | undefined;
  let passedOver: PassedOver[] = [];

  async function first(signal: AbortSignal): Promise<Credentials> {
    const absent: PassedOver[] = [];
    for (const source of sources) {
      const credentials = await source.load(signal);
      if (credentials !== undefined) {
        chosen = source;
        passedOver = absent;
        return credentials;
      }
      absent.push({ name: source.name, reason: source.absence });
    }
    passedOver = absent;
    throw identityError('CREDENTIALS_NOT_FOUND', {
      passedOver: absent.map(({ name, reason }) => `${name}: ${reason}`),
    });
  }

  return {
    name: 'chain',
    absence: 'no source applies',

    async load(signal) {
      if (chosen === undefined) return first(signal);
      const credentials = await chosen.load(signal);
      if (credentials !== undefined) return credentials;
      throw identityError('CREDENTIALS_SOURCE_LOST', { source: chosen.name, reason: chosen.absence });
    },

    get answered() {
      return chosen?.name;
    },
    get passedOver() {
      return passedOver;
    },
  };
}
