import { existsSync } from 'node:fs';
import { join } from 'node:path';

const environment = join(import.meta.dirname, '../../../.peers/venv/bin');

/** Programs of the Python environment that `scripts/peers-environment.mjs` makes. */
const programs = {
  moto: 'moto_server',
  aws: 'aws',
  python: 'python',
  'aws-encryption-cli': 'aws-encryption-cli',
  'cfn-lint': 'cfn-lint',
} as const;

export type PeerName = keyof typeof programs;

/** Where a peer's program is, or would be. */
export function peerProgram(name: PeerName): string {
  return join(environment, programs[name]);
}

/**
 * Whether a peer is missing, so that what needs it is skipped: `describe.skipIf(arePeersMissing('moto'))(…)`. Says why
 * on stderr. @throws under CI, where a missing peer fails the test file.
 */
export function arePeersMissing(...names: readonly PeerName[]): boolean {
  const missing = names.map((name) => peerProgram(name)).filter((program) => !existsSync(program));
  if (missing.length === 0) return false;
  const reason = `no ${missing.join(', no ')}; node scripts/peers-environment.mjs says why`;
  const { CI = '' } = process.env;
  if (!['', 'false', '0'].includes(CI)) throw new Error(`peers are missing: ${reason}`);
  process.stderr.write(`skipped, peers are missing: ${reason}\n`);
  return true;
}
