import { agentError } from '../agent/errors.ts';
import type { ChangedMasterKey, ChangeRequest } from '../agent/master-key/change.ts';
import type { CreatedMasterKey, NewRsaKey } from '../agent/master-key/create.ts';
import type { MasterKeyStatus } from '../agent/master-key/status.ts';
import type { ErrorReport } from '../base/errors.ts';
import { stopSignal } from '../system/signals.ts';
import { command, type GlobalArguments, type Invocation } from './command.ts';
import { factOf } from './failure.ts';
import { operatorLaunchOf } from './launch.ts';
import { passwordsOf } from './password.ts';
import { progressOf } from './progress.ts';
import { rowsText } from './rows.ts';

const keyId = {
  type: 'string',
  describe: 'Binding key: id, ARN or alias; without it keys.bindingKey of the gateway config',
  requiresArg: true,
} as const;

const currentPassword = {
  'password-file': {
    type: 'string',
    describe: 'File with the password of the master key; without it, it is asked for',
    requiresArg: true,
  },
  'password-credential': {
    type: 'string',
    describe: 'The same from a systemd credential of this name',
    requiresArg: true,
  },
} as const;

const table = {
  type: 'string',
  describe: 'DynamoDB table of the registry; without it keys.registryTable of the gateway config',
  requiresArg: true,
} as const;

const lanesMax = 64;

const concurrency = {
  type: 'number',
  default: 16,
  describe: `Files under way at once, 1 to ${lanesMax}`,
  requiresArg: true,
} as const;

const createCommand = command({
  usage: 'create',
  summary: 'Make the master key of this host, wrapped by a KMS key',
  options: {
    'key-id': keyId,
    rsa: {
      type: 'number',
      choices: [2048, 3072, 4096] as const,
      describe: 'Make an RSA key of so many bits in KMS to be the binding key, for this host alone',
      requiresArg: true,
    },
    alias: { type: 'string', describe: 'With --rsa: alias/NAME that stands for it', requiresArg: true },
    admin: {
      type: 'array',
      string: true,
      describe: 'With --rsa: ARN of who looks after it; the account where there is none; may be repeated',
      requiresArg: true,
    },
    user: {
      type: 'array',
      string: true,
      describe:
        'With --rsa: ARN of who uses it, this host’s role; the account where there is none; may be repeated',
      requiresArg: true,
    },
    table,
    password: {
      type: 'boolean',
      default: false,
      describe: 'Ask for a password, twice, that is needed from then on to change the master key',
    },
    'password-file': { type: 'string', describe: 'File with that password', requiresArg: true },
    'password-credential': {
      type: 'string',
      describe: 'The same from a systemd credential of this name',
      requiresArg: true,
    },
  },
  async run(args, invocation) {
    const newKey = newKeyOf(args);
    const { createMasterKey } = await import('../agent/master-key/create.ts');
    const place = { file: args['password-file'], credential: args['password-credential'] };
    const isWanted = args.password || place.file !== undefined || place.credential !== undefined;
    const passwords = isWanted ? passwordsOf({ current: {}, next: place }, invocation) : undefined;
    const request = { keyId: args['key-id'], newKey, table: args.table, passwords };
    const made = await createMasterKey(operatorLaunchOf(args, invocation), request, stopSignal());
    if (args.json) invocation.stdout.write(`${JSON.stringify(made)}\n`);
    else {
      if (made.absentConfig !== undefined) {
        invocation.stderr.write(
          `there is no secret ${made.absentConfig} yet, so no registry has a copy: gatehouse master-key bind makes one\n`,
        );
      }
      invocation.stderr.write(
        `master key ${made.generation} (${made.fingerprint}) is wrapped by ${made.bindingKeyArn} in ${made.file}\n` +
          (made.table === undefined
            ? 'keep a copy of that file elsewhere: without it, or with its KMS key gone, nothing sealed here opens again\n'
            : `table ${made.table} has a copy of it, for gatehouse master-key recover\n`) +
          (newKey === undefined ? '' : newKeyText(made, newKey)),
      );
    }
    return 0;
  },
});

const bindCommand = command({
  usage: 'bind',
  summary: 'Put the master key, wrapped, into a registry, and keep it there from now on',
  options: { table },
  async run(args, invocation) {
    const { bindTable } = await import('../agent/master-key/bind-table.ts');
    const request = { table: args.table };
    const bound = await bindTable(operatorLaunchOf(args, invocation), request, stopSignal());
    if (args.json) invocation.stdout.write(`${JSON.stringify(bound)}\n`);
    else {
      invocation.stderr.write(
        `table ${bound.table} has master key ${bound.generations.join(', ')} of this host\n`,
      );
    }
    return 0;
  },
});

const recoverCommand = command({
  usage: 'recover',
  summary: 'Get the master key back from the registry: for a host that lost its disk',
  options: { table },
  async run(args, invocation) {
    const { recoverMasterKey } = await import('../agent/master-key/recover.ts');
    const request = { table: args.table };
    const done = await recoverMasterKey(operatorLaunchOf(args, invocation), request, stopSignal());
    if (args.json) invocation.stdout.write(`${JSON.stringify(done)}\n`);
    else {
      invocation.stderr.write(
        `master key ${done.generations.join(', ')} is here again, from table ${done.table}\n` +
          `${done.fingerprint} seals; the audit of this host must say the same (master-key.opened)\n`,
      );
    }
    return 0;
  },
});

const statusCommand = command({
  usage: 'status',
  summary: 'Show the master key and whether it opens; exit code 0 it does, else that of the reason',
  options: {},
  async run(args, invocation) {
    const { masterKeyStatus } = await import('../agent/master-key/status.ts');
    const { status, code } = await masterKeyStatus(operatorLaunchOf(args, invocation), stopSignal());
    invocation.stdout.write(args.json ? `${JSON.stringify(status)}\n` : statusText(status));
    return code;
  },
});

const rewrapCommand = command({
  usage: 'rewrap',
  summary: 'Wrap the master key under another KMS key, files untouched: for a KMS key that is to be retired',
  options: { 'key-id': keyId, ...currentPassword },
  async run(args, invocation) {
    const { rewrapMasterKey } = await import('../agent/master-key/rewrap.ts');
    const place = { file: args['password-file'], credential: args['password-credential'] };
    const passwords = passwordsOf({ current: place, next: {} }, invocation);
    const request = { keyId: args['key-id'], passwords };
    const done = await rewrapMasterKey(operatorLaunchOf(args, invocation), request, stopSignal());
    if (args.json) invocation.stdout.write(`${JSON.stringify(done)}\n`);
    else {
      const { generations, bindingKeyArn } = done;
      invocation.stderr.write(`master key ${generations.join(', ')} is wrapped by ${bindingKeyArn} now\n`);
      if (args['key-id'] !== undefined) {
        invocation.stderr.write(
          'name it in keys.bindingKey or keys.trustedKeys of the gateway config: an agent that starts without opens nothing\n',
        );
      }
    }
    return 0;
  },
});

const reencryptCommand = command({
  usage: 'reencrypt',
  summary:
    'Make a new master key and re-encrypt every sealed file, or go on where that was interrupted: for a master key that may have leaked',
  options: {
    ...currentPassword,
    concurrency,
    also: {
      type: 'array',
      string: true,
      describe: 'File, or folder of files, sealed on this host and not on record; may be repeated',
      requiresArg: true,
    },
    forget: {
      type: 'array',
      string: true,
      describe: 'File to leave out for good, since nothing opens it; may be repeated',
      requiresArg: true,
    },
    abort: {
      type: 'boolean',
      default: false,
      describe: 'Give up the change that is under way: every file goes back to the master key before',
    },
  },
  async run(args, invocation) {
    const how = args.abort ? 'back' : 'keep-password';
    const current = { file: args['password-file'], credential: args['password-credential'] };
    const request = {
      how,
      passwords: passwordsOf({ current, next: {} }, invocation),
      also: args.also ?? [],
      forget: args.forget ?? [],
    } as const;
    return change(args, invocation, request);
  },
});

const changePasswordCommand = command({
  usage: 'change-password',
  summary: 'Set another password; every sealed file is re-encrypted under a new master key',
  options: {
    ...currentPassword,
    'new-password-file': {
      type: 'string',
      describe: 'File with the new password; without it, it is asked for, twice',
      requiresArg: true,
    },
    'new-password-credential': {
      type: 'string',
      describe: 'The same from a systemd credential of this name',
      requiresArg: true,
    },
    concurrency,
  },
  async run(args, invocation) {
    const current = { file: args['password-file'], credential: args['password-credential'] };
    const next = {
      file: args['new-password-file'],
      credential: args['new-password-credential'],
      absent: 'NEW_PASSWORD_MISSING',
    } as const;
    const passwords = passwordsOf({ current, next }, invocation);
    return change(args, invocation, { how: 'new-password', passwords, also: [], forget: [] });
  },
});

const allowOlderCommand = command({
  usage: 'allow-older',
  summary: 'Let an older version of a sealed file be put back; the agent audits when it meets it',
  options: {
    name: { type: 'string', demandOption: true, describe: 'The secret’s name', requiresArg: true },
    ...currentPassword,
  },
  async run(args, invocation) {
    const { allowOlder } = await import('../agent/master-key/allow-older.ts');
    const place = { file: args['password-file'], credential: args['password-credential'] };
    const passwords = passwordsOf({ current: place, next: {} }, invocation);
    const request = { name: args.name, passwords };
    const allowed = await allowOlder(operatorLaunchOf(args, invocation), request, stopSignal());
    if (args.json) invocation.stdout.write(`${JSON.stringify(allowed)}\n`);
    else invocation.stderr.write(`any version of ${args.name} is accepted next; seen was ${allowed.seen}\n`);
    return 0;
  },
});

/** `gatehouse master-key`: the key that seals the secrets of this host. */
export const masterKeyCommand = command({
  usage: 'master-key',
  summary: 'Make, look after and change the key that seals the secrets of this host',
  options: {},
  subcommands: [
    createCommand,
    bindCommand,
    statusCommand,
    rewrapCommand,
    reencryptCommand,
    changePasswordCommand,
    recoverCommand,
    allowOlderCommand,
  ],
  run: () => Promise.resolve(0),
});

function newKeyOf(args: {
  readonly rsa?: NewRsaKey['bits'] | undefined;
  readonly 'key-id'?: string | undefined;
  readonly alias?: string | undefined;
  readonly admin?: readonly string[] | undefined;
  readonly user?: readonly string[] | undefined;
}): NewRsaKey | undefined {
  const { rsa: bits, alias, admin: admins = [], user: users = [] } = args;
  if (bits === undefined) {
    if (alias === undefined && admins.length === 0 && users.length === 0) return undefined;
    throw agentError('USAGE', { problem: '--alias, --admin and --user go with --rsa.' });
  }
  if (args['key-id'] === undefined) return { bits, alias, admins, users };
  throw agentError('USAGE', { problem: '--rsa makes a key; --key-id names one that is there.' });
}

function newKeyText({ bindingKeyArn }: CreatedMasterKey, { alias, users }: NewRsaKey): string {
  const lines = [`in the gateway config of this host: "keys": { "bindingKey": "${alias ?? bindingKeyArn}" }`];
  if (users.length === 0) {
    lines.push(
      'IAM policies of the account decide who may use the key: --user names the role of the host alone',
    );
  }
  return lines.map((line) => `${line}\n`).join('');
}

async function change(
  args: GlobalArguments & { readonly concurrency: number },
  invocation: Invocation,
  request: Omit<ChangeRequest, 'progress' | 'concurrency'>,
): Promise<number> {
  const lanes = lanesOf(args.concurrency);
  const { changeMasterKey } = await import('../agent/master-key/change.ts');
  const launch = operatorLaunchOf(args, invocation);
  const shown = progressOf(launch.clock, invocation.stderr, args.json);
  const wanted: ChangeRequest = { ...request, concurrency: lanes, progress: shown.progress };
  const stop = stopSignal();
  let done: ChangedMasterKey;
  try {
    done = await changeMasterKey(launch, wanted, stop);
  } catch (error) {
    shown.end();
    if (stop.aborted && shown.hasBegun() && !args.json) invocation.stderr.write(interruptedText);
    throw error;
  }
  shown.end();
  if (args.json) invocation.stdout.write(`${JSON.stringify(done)}\n`);
  else invocation.stderr.write(changedText(done));
  return 0;
}

function lanesOf(count: number): number {
  if (Number.isInteger(count) && count >= 1 && count <= lanesMax) return count;
  throw agentError('USAGE', { problem: `--concurrency must be a whole number from 1 to ${lanesMax}` });
}

function changedText({ generation, fingerprint, isBack, files, gone }: ChangedMasterKey): string {
  const what = isBack ? 'the change was given up: ' : '';
  const lines = [`${what}${files} sealed files are under master key ${generation} (${fingerprint})`];
  for (const path of gone) lines.push(`no longer there: ${path}`);
  return `${lines.join('\n')}\n`;
}

/** Files are sealed under two keys by now, which is safe, and not how a host is to be left. */
const interruptedText = `stopped on the way; every file opens, under the old key or the new one
gatehouse master-key reencrypt goes on, with --abort it goes back
`;

function statusText(status: MasterKeyStatus): string {
  const { bindingKey, sealedFiles, change: underWay, failing } = status;
  return rowsText([
    ['reachable', failing === undefined ? 'yes' : `no: ${failureFact(failing)}`],
    ...(failing === undefined ? [] : [['hint', failing.remedy] as [string, string]]),
    ['host', status.name],
    ['binding key', bindingKey.arn],
    ['its kind', bindingKey.kind === 'rsa' ? 'RSA, which knows no encryption context' : 'symmetric'],
    ['its state', bindingKey.state ?? unknownStateText(bindingKey.stateFailing)],
    ['master key', `generation ${status.generation}, made ${status.createdAt}`],
    ['fingerprint', status.fingerprint ?? 'not known: it was never opened here'],
    ['password', passwordText(status.hasPassword)],
    ['last opened', status.openedAt ?? 'never'],
    ['registry', registryText(status.registry)],
    ['sealed files', `${sealedFiles.current} of ${sealedFiles.all} at this generation`],
    ...status.generations
      .filter(({ number }) => number !== status.generation)
      .map(({ number, state }): [string, string] => ['older', `generation ${number}, ${state}`]),
    ['rollback guard', rollbackGuardText(status.registry)],
    ...(underWay === undefined
      ? []
      : [
          [
            'change',
            `from ${underWay.from} to ${underWay.to}${underWay.isBack ? ', being given up' : ''}, since ${underWay.since}`,
          ] as [string, string],
        ]),
  ]);
}

function failureFact(failing: ErrorReport): string {
  return `${factOf(failing)} (${failing.code})`;
}

function unknownStateText(failing: ErrorReport | undefined): string {
  return failing === undefined ? 'not known' : `not known: ${failureFact(failing)}`;
}

function registryText(registry: MasterKeyStatus['registry']): string {
  if (registry === undefined)
    return 'none: if the state directory is lost, only your own copy brings the key back';
  const { table: name, state, failing } = registry;
  return `table ${name}, ${state}${failing === undefined ? '' : `: ${failureFact(failing)}`}`;
}

function rollbackGuardText(registry: MasterKeyStatus['registry']): string {
  const known = registry?.secretsSeen;
  return known === undefined
    ? 'weak: what it knows lies on this host'
    : `the registry knows the versions of ${known} ${known === 1 ? 'secret' : 'secrets'}`;
}

function passwordText(hasPassword: boolean | undefined): string {
  if (hasPassword === undefined) return 'not known';
  return hasPassword ? 'needed for changes' : 'none';
}
