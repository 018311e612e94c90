import { agentError } from '../agent/errors.ts';
import type { CreatedKey } from '../agent/kms/create-key.ts';
import type { ImportedMaterial, ImportRequest, MaterialPlace } from '../agent/kms/import-key-material.ts';
import type { KeyStatus } from '../agent/kms/key-status.ts';
import type { Renewal, RenewalStep } from '../agent/kms/renew.ts';
import { exitCode } from '../base/exit-code.ts';
import { type WrappingAlgorithm, wrappingAlgorithms } from '../keys/kms-admin.ts';
import { stopSignal } from '../system/signals.ts';
import { command } from './command.ts';
import { inputBytes } from './input.ts';
import { operatorLaunchOf } from './launch.ts';
import { passwordsOf } from './password.ts';
import { rowsText } from './rows.ts';

const policyBytesMax = 32 * 1024;

const keyId = {
  type: 'string',
  describe: 'KMS key: id, ARN or alias; without it keys.bindingKey of the gateway config',
  requiresArg: true,
} as const;

const newMaterial = {
  material: {
    type: 'string',
    describe: 'File with the material: 32 bytes, as openssl rand 32 writes; of an RSA key, as openssl genrsa',
    requiresArg: true,
  },
  generate: {
    type: 'boolean',
    default: false,
    describe: 'Make the material here and keep no copy: what expires or is deleted then is gone',
  },
  expires: {
    type: 'string',
    describe: 'When it expires: an ISO 8601 time, or in how long (90d, 12h); never without it',
    requiresArg: true,
  },
  wrapping: {
    choices: wrappingAlgorithms,
    describe: 'How it is wrapped on its way; by the kind of the key, with SHA-256, without it',
    requiresArg: true,
  },
} as const;

const createKeyCommand = command({
  usage: 'create-key',
  summary: 'Make a KMS key whose policy separates those who look after it from those who use it',
  options: {
    symmetric: { type: 'boolean', default: false, describe: 'A symmetric key, as without --rsa' },
    rsa: {
      type: 'number',
      choices: [2048, 3072, 4096] as const,
      describe: 'An RSA key of so many bits instead of a symmetric one; one for each host',
      requiresArg: true,
    },
    external: { type: 'boolean', default: false, describe: 'Its material is imported, not made by KMS' },
    'accept-durability': {
      type: 'boolean',
      default: false,
      describe: 'With --external: I keep the material, for AWS cannot bring it back',
    },
    'custom-key-store-id': {
      type: 'string',
      describe: 'CloudHSM key store to make it in',
      requiresArg: true,
    },
    alias: { type: 'string', describe: 'alias/NAME that stands for it', requiresArg: true },
    description: {
      type: 'string',
      default: 'Gatehouse binding key',
      describe: 'What it is for',
      requiresArg: true,
    },
    tag: { type: 'array', string: true, describe: 'NAME=VALUE; may be repeated', requiresArg: true },
    admin: {
      type: 'array',
      string: true,
      describe: 'ARN of who looks after it; the account where there is none; may be repeated',
      requiresArg: true,
    },
    user: {
      type: 'array',
      string: true,
      describe: 'ARN of who uses it; the account where there is none; may be repeated',
      requiresArg: true,
    },
    'via-service': {
      type: 'string',
      describe: 'Users use it by way of this service only, as s3.eu-west-1.amazonaws.com',
      requiresArg: true,
    },
    policy: { type: 'string', describe: 'File with a key policy of your own', requiresArg: true },
    'dry-run': { type: 'boolean', default: false, describe: 'Print the policy and make nothing' },
  },
  async run(args, invocation) {
    const { createKey } = await import('../agent/kms/create-key.ts');
    const policy =
      args.policy === undefined
        ? undefined
        : (await inputBytes(args.policy, policyBytesMax, invocation)).toString('utf8');
    const { alias, description, rsa } = args;
    if (args.symmetric && rsa !== undefined) {
      throw agentError('USAGE', { problem: 'A key is --symmetric or --rsa.' });
    }
    if (args['custom-key-store-id'] !== undefined && (rsa !== undefined || args.external)) {
      throw agentError('USAGE', {
        problem: 'A custom key store holds symmetric keys of its own material: neither --rsa nor --external.',
      });
    }
    const made = await createKey(
      operatorLaunchOf(args, invocation),
      {
        spec: rsa === undefined ? 'SYMMETRIC_DEFAULT' : (`RSA_${rsa}` as const),
        isExternal: args.external,
        isDurabilityAccepted: args['accept-durability'],
        customKeyStoreId: args['custom-key-store-id'],
        alias,
        description,
        tags: tagsOf(args.tag ?? []),
        admins: args.admin ?? [],
        users: args.user ?? [],
        viaService: args['via-service'],
        policy,
        isDryRun: args['dry-run'],
      },
      stopSignal(),
    );
    if (args.json) invocation.stdout.write(`${JSON.stringify(made)}\n`);
    else if (made.keyArn === undefined) invocation.stdout.write(`${made.policy}\n`);
    else {
      invocation.stdout.write(`${made.keyArn}\n`);
      invocation.stderr.write(createdText(made, args.external));
    }
    return exitCode.done;
  },
});

const importCommand = command({
  usage: 'import-key-material',
  summary: 'Import key material into a KMS key that was made with --external, at once or in three steps',
  options: {
    'key-id': keyId,
    ...newMaterial,
    download: {
      type: 'string',
      describe:
        'Step 1: write WrappingPublicKey.bin and ImportToken.bin into this folder, which is made if need be',
      requiresArg: true,
    },
    'wrap-only': {
      type: 'string',
      describe:
        'Step 2, without AWS: wrap the material with the key in this folder, as step 1 or the console wrote it',
      requiresArg: true,
    },
    out: { type: 'string', describe: 'With --wrap-only: file to write', requiresArg: true },
    'encrypted-material': {
      type: 'string',
      describe: 'Step 3: file with the wrapped material',
      requiresArg: true,
    },
    'import-token': { type: 'string', describe: 'Step 3: file with the token of step 1', requiresArg: true },
  },
  async run(args, invocation) {
    const actions = await import('../agent/kms/import-key-material.ts');
    const launch = operatorLaunchOf(args, invocation);
    const { stdout, stderr } = invocation;
    const { wrapping } = args;

    if (args.download !== undefined) {
      const request = { keyId: args['key-id'], wrapping, folder: args.download };
      const done = await actions.downloadImportParameters(launch, request, stopSignal());
      if (args.json) stdout.write(`${JSON.stringify(done)}\n`);
      else stderr.write(`wrote ${done.files.join(' and ')}; valid until ${done.validUntil}\n`);
      return exitCode.done;
    }
    if (args['wrap-only'] !== undefined) {
      const material = materialOf(args);
      if (material === undefined || args.out === undefined) {
        throw agentError('USAGE', { problem: '--wrap-only needs --material or --generate, and --out.' });
      }
      await actions.wrapOffline({ folder: args['wrap-only'], material, wrapping, out: args.out });
      stderr.write(`wrapped into ${args.out}\n`);
      if (material !== 'made here') stderr.write(clearFileText(material.file));
      return exitCode.done;
    }
    const from = importedFrom(args, wrapping);
    const expiresAt = args.expires === undefined ? undefined : timeOf(args.expires, launch.clock.now());
    const request = { keyId: args['key-id'], from, expiresAt };
    const done = await actions.importKeyMaterial(launch, request, stopSignal());
    if (args.json) stdout.write(`${JSON.stringify(done)}\n`);
    else stderr.write(importedText(done));
    return exitCode.done;
  },
});

const renewCommand = command({
  usage: 'renew',
  summary:
    'Give an alias a new key with new imported material and rewrap the master key of this host, or go on where that stopped',
  options: {
    alias: {
      type: 'string',
      describe: 'alias/NAME of the key; without it keys.bindingKey of the gateway config',
      requiresArg: true,
    },
    ...newMaterial,
    'accept-durability': {
      type: 'boolean',
      default: false,
      describe: 'I keep the material, for AWS cannot bring it back',
    },
    'dry-run': { type: 'boolean', default: false, describe: 'Show what is done and what is to be done' },
    'password-file': {
      type: 'string',
      describe: 'File with the password of the master key; without it, it is asked for where there is one',
      requiresArg: true,
    },
    'password-credential': {
      type: 'string',
      describe: 'The same from a systemd credential of this name',
      requiresArg: true,
    },
  },
  async run(args, invocation) {
    const { renewKey } = await import('../agent/kms/renew.ts');
    const launch = operatorLaunchOf(args, invocation);
    const current = { file: args['password-file'], credential: args['password-credential'] };
    const request = {
      alias: args.alias,
      material: materialOf(args),
      wrapping: args.wrapping,
      expiresAt: args.expires === undefined ? undefined : timeOf(args.expires, launch.clock.now()),
      isDurabilityAccepted: args['accept-durability'],
      isDryRun: args['dry-run'],
      passwords: passwordsOf({ current, next: {} }, invocation),
    };
    const done = await renewKey(launch, request, stopSignal());
    if (args.json) invocation.stdout.write(`${JSON.stringify(done)}\n`);
    else if (args['dry-run']) invocation.stdout.write(renewalPlan(done));
    else invocation.stderr.write(renewedText(done));
    return exitCode.done;
  },
});

const statusCommand = command({
  usage: 'status',
  summary:
    'Show a KMS key: state, origin, expiry, rotation; exit code 0 it can be used, else that of the reason',
  options: { 'key-id': keyId },
  async run(args, invocation) {
    const { keyStatus } = await import('../agent/kms/key-status.ts');
    const launch = operatorLaunchOf(args, invocation);
    const { status, code } = await keyStatus(launch, args['key-id'], stopSignal());
    invocation.stdout.write(args.json ? `${JSON.stringify(status)}\n` : statusText(status));
    return code;
  },
});

/** `gatehouse kms`: the KMS keys that wrap what is sealed. */
export const kmsCommand = command({
  usage: 'kms',
  summary: 'Make and look after the KMS keys that wrap what is sealed',
  options: {},
  subcommands: [createKeyCommand, importCommand, renewCommand, statusCommand],
  run: () => Promise.resolve(exitCode.done),
});

function tagsOf(tags: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    tags.map((tag) => {
      const [, name, value] = /^([^=]+)=(.*)$/su.exec(tag) ?? [];
      if (name === undefined || value === undefined) {
        throw agentError('USAGE', { problem: '--tag wants NAME=VALUE.' });
      }
      return [name, value];
    }),
  );
}

function materialOf(args: { material?: string | undefined; generate: boolean }): MaterialPlace | undefined {
  if (args.material !== undefined && args.generate) {
    throw agentError('USAGE', { problem: '--generate takes the place of --material.' });
  }
  if (args.material !== undefined) return { file: args.material };
  return args.generate ? 'made here' : undefined;
}

function importedFrom(
  args: {
    material?: string | undefined;
    generate: boolean;
    'encrypted-material'?: string | undefined;
    'import-token'?: string | undefined;
  },
  wrapping: WrappingAlgorithm | undefined,
): ImportRequest['from'] {
  const material = materialOf(args);
  const { 'encrypted-material': encryptedFile, 'import-token': tokenFile } = args;
  if (material !== undefined) return { material, wrapping };
  if (encryptedFile !== undefined && tokenFile !== undefined) return { encryptedFile, tokenFile };
  throw agentError('USAGE', {
    problem: 'Name --material, --generate, or --encrypted-material with --import-token.',
  });
}

const unitMs = { d: 24 * 60 * 60 * 1000, h: 60 * 60 * 1000 };

/** A time of its own, or from now on. */
function timeOf(text: string, now: Date): Date {
  const [, count, unit] = /^(\d{1,5})([dh])$/u.exec(text) ?? [];
  const time =
    count === undefined
      ? new Date(text)
      : new Date(now.getTime() + Number(count) * (unit === 'd' ? unitMs.d : unitMs.h));
  if (Number.isNaN(time.getTime()) || time.getTime() <= now.getTime()) {
    throw agentError('USAGE', {
      problem: '--expires wants a time to come: 2027-01-31T00:00:00Z, 90d or 12h.',
    });
  }
  return time;
}

/** Of keys that somebody has to have deleted. */
function spareText(spare: readonly string[] = []): string {
  return spare
    .map(
      (keyArn) =>
        `${keyArn} was made as well and is not needed: aws kms schedule-key-deletion --key-id ${keyArn}\n`,
    )
    .join('');
}

function createdText({ alias, isRotating, spare }: CreatedKey, isExternal: boolean): string {
  const lines = [
    ...(alias === undefined ? [] : [`${alias} stands for it`]),
    isRotating ? 'KMS rotates it every year, which breaks nothing that is sealed' : 'KMS does not rotate it',
    ...(isExternal ? ['it has no material yet: gatehouse kms import-key-material'] : []),
  ];
  return lines.map((line) => `${line}\n`).join('') + spareText(spare);
}

function importedText({ keyArn, materialExpiresAt, clearFile, isUntried }: ImportedMaterial): string {
  const until = materialExpiresAt === undefined ? 'and does not expire' : `until ${materialExpiresAt}`;
  const works = isUntried === true ? 'was not tried, since its use is not allowed,' : 'works,';
  return `${keyArn} has its material, and ${works} ${until}\n${clearFile === undefined ? '' : clearFileText(clearFile)}`;
}

function clearFileText(file: string): string {
  return `${file} holds the material in clear: put it where it is safe, and shred this copy\n`;
}

const stepTexts: Readonly<Record<RenewalStep, string>> = {
  create: 'make a key for new material, with the policy of the old one',
  import: 'import the material, and try it',
  'move alias': 'let the alias stand for the new key',
  rewrap: 'wrap the master key of this host under it',
};

function renewalPlan({ alias, oldKeyArn, newKeyArn, before, now }: Renewal): string {
  return rowsText([
    ['alias', alias],
    ['old key', oldKeyArn],
    ['new key', newKeyArn ?? 'not made yet'],
    ...before.map((step): [string, string] => ['done', stepTexts[step]]),
    ...now.map((step): [string, string] => ['to do', stepTexts[step]]),
  ]);
}

function renewedText({ alias, oldKeyArn, newKeyArn, now, clearFile, spare }: Renewal): string {
  const done = now.length === 0 ? 'was renewed already: it stands' : 'stands now';
  return [
    `${alias} ${done} for ${newKeyArn}\n`,
    clearFile === undefined ? '' : clearFileText(clearFile),
    `on every other host: gatehouse master-key rewrap, then systemctl restart gatehouse\n`,
    `keep ${oldKeyArn} and its material until nothing is under it: disable it first, and delete it later\n`,
    spareText(spare),
  ].join('');
}

function statusText(status: KeyStatus): string {
  const { failing, customKeyStore: store } = status;
  const rows: (readonly [string, string | undefined])[] = [
    ['usable', failing === undefined ? 'yes' : `no: ${failing.summary} (${failing.code})`],
    ['hint', failing?.remedy],
    ['key', status.keyArn],
    ['state', status.state],
    ['kind', status.spec],
    ['origin', status.origin],
    ['key store', store === undefined ? undefined : `${store.id}, ${store.connection}`],
    ['next rotation', status.nextRotation ?? 'none'],
    [
      'material expires',
      status.materialExpiresAt === undefined
        ? undefined
        : `${status.materialExpiresAt}, in ${status.materialExpiresInDays} days`,
    ],
    ['deleted', status.deletedAt],
  ];
  return rowsText(rows.flatMap(([label, value]) => (value === undefined ? [] : [[label, value] as const])));
}
