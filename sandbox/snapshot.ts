import { z } from 'zod';
import type { IdentitiesSnapshot } from './identities.ts';
import { SandboxError } from './sandbox-error.ts';
import { parseStateText, stateText } from './state-text.ts';

/** 3: roles have inline policies, and temporary keys the time of their issue. */
const snapshotVersion = 3;

const snapshotSchema = z.object({
  version: z.literal(snapshotVersion),
  accountId: z.string(),
  region: z.string(),
  identities: z.custom<IdentitiesSnapshot>((value) => typeof value === 'object' && value !== null),
  services: z.record(
    z.string(),
    z.custom<object>((value) => typeof value === 'object' && value !== null),
  ),
});

export type Snapshot = z.infer<typeof snapshotSchema>;

export function snapshotText(snapshot: Omit<Snapshot, 'version'>): string {
  return stateText({ version: snapshotVersion, ...snapshot });
}

/**
 * A snapshot of this account and region.
 * @throws SandboxError SANDBOX_STATE_DAMAGED
 */
export function parseSnapshot(text: string, accountId: string, region: string): Snapshot {
  let value: unknown;
  try {
    value = parseStateText(text);
  } catch (error) {
    throw damaged('it is not JSON as the sandbox writes it', error);
  }
  const parsed = snapshotSchema.safeParse(value);
  if (!parsed.success) throw damaged(`it is not of version ${snapshotVersion}`, parsed.error);
  if (parsed.data.accountId !== accountId || parsed.data.region !== region) {
    throw damaged(`it is of account ${parsed.data.accountId} and region ${parsed.data.region}`);
  }
  return parsed.data;
}

function damaged(why: string, cause?: unknown): SandboxError {
  const problems = [{ path: '', message: why }];
  return new SandboxError('SANDBOX_STATE_DAMAGED', `the state cannot be used: ${why}`, problems, cause);
}
