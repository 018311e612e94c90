import type { Reference } from './reference.ts';

/** A rule that a reference breaks, in words. */
export interface Violation {
  readonly reference: Reference;
  readonly rule: string;
}

export const rooms = [
  'config',
  'identity',
  'keys',
  'secrets',
  'delivery',
  'events',
  'api',
  'system',
] as const;

/** Highest first: who stands higher may import from who stands lower, never the other way. */
const floors = ['main', 'cli', 'agent', 'room', 'base'] as const;
type Floor = (typeof floors)[number];

/**
 * The adapters: the files that speak to AWS through its SDK. Beside them only agent/, which makes the clients.
 * A new one is added here, by name, so that it is seen.
 */
export const adapters: readonly string[] = [
  'src/identity/assumed-role.ts',
  'src/identity/caller.ts',
  'src/identity/profile-files.ts',
  'src/identity/single-sign-on.ts',
  'src/identity/sts-access.ts',
  'src/identity/web-identity.ts',
  'src/keys/aws-kms-admin.ts',
  'src/keys/aws-kms.ts',
  'src/keys/dynamodb-registry.ts',
  'src/secrets/secrets-manager.ts',
  'src/events/audit/cloudwatch-events.ts',
  'src/events/sink/cloudwatch-logs.ts',
];

const environmentReaders = ['src/main.ts'];
/** Of helpers, with a scrubbed environment; and of the one workload that the program was started for. */
const processStarters = ['src/system/command.ts', 'src/system/workload.ts'];
const sandboxStarters = ['src/cli/sandbox.ts', 'src/cli/demo.ts'];

type Rule = (reference: Reference) => string | undefined;

const rules: readonly Rule[] = [
  direction,
  roomsApart,
  testsStayTests,
  sandboxAlone,
  sandboxReached,
  awsInAdapters,
  oneHome('yargs', ['src/cli/']),
  oneHome('node:child_process', processStarters),
  environmentAtTheDoor,
  nothingComputed,
];

/** Every rule of docs/architecture.md, "Direction", that one of these references breaks. Tests may import anything. */
export function violationsOf(references: readonly Reference[]): Violation[] {
  return references.flatMap((reference) => {
    if (isTest(reference.file)) return [];
    return rules.flatMap((rule) => {
      const broken = rule(reference);
      return broken === undefined ? [] : [{ reference, rule: broken }];
    });
  });
}

/**
 * What rules.ts permits and none of `files` makes use of, in words. A permission that outlives its reason is a hole that
 * nobody sees.
 */
export function unusedPermissions(files: readonly string[], references: readonly Reference[]): string[] {
  const unused = (places: readonly string[], does: string, isUse: (reference: Reference) => boolean) =>
    places
      .filter(
        (place) => !references.some((reference) => isUnder(reference.file, [place]) && isUse(reference)),
      )
      .map((place) => `${place} may ${does}, and does not: take it off the list in scripts/layers/rules.ts`);
  return [
    ...rooms
      .filter((room) => !files.some((file) => roomOf(file) === room))
      .map((room) => `${room} is a room of scripts/layers/rules.ts, and nothing lives in src/${room}/`),
    ...unused(adapters, 'import the AWS SDK', ({ target }) => isAwsSdk(target)),
    ...unused(processStarters, 'start processes', ({ target }) => target === 'node:child_process'),
    ...unused(sandboxStarters, 'reach sandbox/', ({ target }) => target.startsWith('sandbox/')),
    ...unused(environmentReaders, 'read process.env', ({ kind }) => kind === 'env'),
  ];
}

/** Contract suites are imported by tests only, so they are tests. */
export function isTest(file: string): boolean {
  return file.startsWith('test/') || /\.(test|contract)\.ts$/u.test(file) || file === 'vitest.config.ts';
}

function direction({ file, target }: Reference): string | undefined {
  const from = floorOf(file);
  if (from === undefined) return undefined;
  const to = floorOf(target);
  if (to !== undefined && floors.indexOf(to) < floors.indexOf(from))
    return `${from} may not import from ${to}`;
  if (/^(scripts|dist)\//u.test(target)) return 'src/ may not import from scripts/ or dist/';
  return undefined;
}

function roomsApart({ file, target }: Reference): string | undefined {
  const [from, to] = [roomOf(file), roomOf(target)];
  if (from === undefined || to === undefined || from === to) return undefined;
  return `rooms never import one another (${from}, ${to}): declare what is needed as a parameter and let agent/ hand it in`;
}

function testsStayTests({ target }: Reference): string | undefined {
  return isTest(target) ? 'only tests may import from tests' : undefined;
}

function sandboxAlone({ file, target }: Reference): string | undefined {
  if (!file.startsWith('sandbox/')) return undefined;
  return /^(src|scripts)\//u.test(target) ? 'sandbox/ imports nothing from the program it tests' : undefined;
}

function sandboxReached({ file, kind, target }: Reference): string | undefined {
  if (!file.startsWith('src/') || !target.startsWith('sandbox/')) return undefined;
  if (!isUnder(file, sandboxStarters)) return 'only cli/sandbox.ts and cli/demo.ts may reach sandbox/';
  return kind === 'static'
    ? 'sandbox/ may only be imported dynamically: it is not in the package'
    : undefined;
}

function awsInAdapters({ file, target }: Reference): string | undefined {
  if (!file.startsWith('src/') || !isAwsSdk(target)) return undefined;
  if (isUnder(file, adapters) || file.startsWith('src/agent/')) return undefined;
  return 'the AWS SDK is for the adapters listed in scripts/layers/rules.ts and for agent/';
}

function isAwsSdk(target: string): boolean {
  return /^@(aws-sdk|smithy|aws-crypto)\//u.test(target);
}

function oneHome(target: string, home: readonly string[]): Rule {
  return (reference) => {
    if (!reference.file.startsWith('src/') || isUnder(reference.file, home)) return undefined;
    const isTarget = reference.target === target || reference.target.startsWith(`${target}/`);
    return isTarget || `node:${reference.target}` === target
      ? `${target} is for ${home.join(' and ')} only`
      : undefined;
  };
}

function environmentAtTheDoor({ file, kind }: Reference): string | undefined {
  if (kind !== 'env' || !file.startsWith('src/') || isUnder(file, environmentReaders)) return undefined;
  return 'process.env is read in main.ts, which hands it on; take an env record';
}

function nothingComputed({ file, kind }: Reference): string | undefined {
  if (kind !== 'computed' || !file.startsWith('src/')) return undefined;
  return 'an import whose target is computed cannot be checked; name it literally';
}

function floorOf(path: string): Floor | undefined {
  if (path === 'src/main.ts') return 'main';
  const [top, folder] = path.split('/');
  if (top !== 'src') return undefined;
  if (folder === 'cli' || folder === 'agent' || folder === 'base') return folder;
  return 'room';
}

function roomOf(path: string): string | undefined {
  return floorOf(path) === 'room' ? path.split('/')[1] : undefined;
}

/** A place ends in `/` (a folder), or is a file with or without its ending. */
function isUnder(file: string, places: readonly string[]): boolean {
  return places.some((place) => (place.endsWith('.ts') ? file === place : file.startsWith(place)));
}
