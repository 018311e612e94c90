import { secretsError } from '../../secrets/errors.ts';
import type { Launch } from '../launch.ts';
import { asOperator, authorise, configuredKeys, openProven, type Passwords } from './operator.ts';
import { registryAt } from './publication.ts';

export interface AllowOlderRequest {
  /** The secret's name. */
  readonly name: string;
  readonly passwords: Pick<Passwords, 'current'>;
}

/**
 * Lets an older version of a sealed file come back under this name, once.
 * @throws SECRET_UNKNOWN where no version was seen, PASSWORD_…, MASTER_KEY_ABSENT, KEY_…, REGISTRY_…
 */
export function allowOlder(
  launch: Launch,
  { name, passwords }: AllowOlderRequest,
  signal: AbortSignal,
): Promise<{ readonly name: string; readonly seen: number }> {
  return asOperator(launch, { isMade: false }, async (operator) => {
    const { ledger } = operator.state;
    const generation = ledger.sealing();
    // A host that seals under KMS alone has no master key, and no password that could be asked for.
    if (generation !== undefined) await authorise(await openProven(operator, generation, signal), passwords);
    const table = ledger.registryTable() ?? (await configuredKeys(operator.host, signal))?.registryTable;
    // There first: what the registry still knows, the agent would refuse.
    const there =
      table === undefined
        ? undefined
        : await registryAt(table, operator.host).allowOlder(operator.agentName, name, signal);
    const here = ledger.allowOlder(name);
    const seen = here === undefined && there === undefined ? undefined : Math.max(here ?? 0, there ?? 0);
    if (seen === undefined) throw secretsError('SECRET_UNKNOWN', { secret: name });
    return { name, seen };
  });
}
