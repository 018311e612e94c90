import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Secret } from '../../src/base/secret.ts';
import { type Ledger, openLedger } from '../../src/keys/ledger.ts';
import { masterKeyring, masterKeyUnwrapper } from '../../src/keys/master-keyring.ts';
import { messageSealer, openBytes } from '../../src/keys/message-sealer.ts';
import { parseHeader } from '../../src/keys/sealed-message.ts';

const never = new AbortController().signal;

const testKeys = new Map<number, Secret>();

/** A master key that every process of a test knows, held as `masterKeys` holds one. */
export const testKeyOf = async (generation: number): Promise<Secret> => {
  const known = testKeys.get(generation);
  if (known !== undefined) return known;
  const key = Secret.ofBytes(createHash('sha256').update(`test key ${generation}`).digest());
  testKeys.set(generation, key);
  return key;
};

export function ledgerIn(folder: string): Ledger {
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  return openLedger(join(folder, 'ledger.db'), { busyMsMax: 10_000, owner });
}

/** What the file of this number holds. */
export const contentOf = (number: number): string => `secret ${number} ${'x'.repeat(number % 50)}`;

/** Files sealed under generation 1 in `folder/sealed`, all on record, and a change to generation 2 that has begun. */
export async function makeSealedHost(folder: string, files: number): Promise<string[]> {
  const sealed = join(folder, 'sealed');
  mkdirSync(sealed, { recursive: true });
  const ledger = ledgerIn(folder);
  ledger.adopt({ number: 1, createdAt: new Date() });
  const sealer = messageSealer(masterKeyring(1, testKeyOf));
  const paths: string[] = [];
  for (let number = 0; number < files; number += 1) {
    const path = join(sealed, `${String(number).padStart(5, '0')}.sealed`);
    writeFileSync(path, await sealer.seal(Buffer.from(contentOf(number)), contextOf(number), never), {
      mode: 0o600,
    });
    paths.push(path);
  }
  ledger.moved(() => new Map(paths.map((path) => [path, 1])));
  ledger.begin({ number: 2, createdAt: new Date() });
  ledger.close();
  return paths;
}

export function contextOf(number: number) {
  return {
    'gatehouse:name': `secret-${number}`,
    'gatehouse:purpose': 'sealed-file',
    'gatehouse:version': '1',
  };
}

/** Opens the file of this number and returns the generation that opened it. Throws when it does not hold what it should. */
export async function generationAt(path: string, number: number): Promise<number> {
  const sealed = readFileSync(path);
  const unwrapper = masterKeyUnwrapper(testKeyOf);
  const { bytes, openedBy } = await openBytes(sealed, parseHeader(sealed).context, unwrapper, never);
  if (bytes.toString() !== contentOf(number)) throw new Error(`${path} holds something else`);
  return 'generation' in openedBy ? openedBy.generation : 0;
}

/** Names in the folder of the sealed files that are no sealed file. */
export function leftovers(folder: string): string[] {
  return readdirSync(join(folder, 'sealed')).filter((name) => !name.endsWith('.sealed'));
}
