import { AwsError } from '../service.ts';
import { invalidParameter, type SecretRecord, type SecretValue, type VersionRecord } from './state.ts';

/** Staging labels in use over all versions of a secret, and versions of a secret (Secrets Manager quotas). */
const stagesMax = 20;
const versionsMax = 100;
const dayMs = 24 * 60 * 60 * 1000;

const current = 'AWSCURRENT';
const previous = 'AWSPREVIOUS';
const pending = 'AWSPENDING';

/**
 * Adds a version with `stages`. The first version is current whatever they say. @throws AwsError
 * LimitExceededException: then nothing has changed
 */
export function addVersion(
  secret: SecretRecord,
  id: string,
  value: SecretValue,
  stages: readonly string[],
  now: Date,
): VersionRecord {
  const labels = new Set(secret.versions.some(isCurrent) ? stages : [...stages, current]);
  assertRoomForLabels(secret, labels);
  const kept = withRoom(secret.versions, now);
  const version: VersionRecord = {
    id,
    value,
    stages: [],
    createdAt: now.getTime(),
    ...(secret.kmsKeyId !== undefined && { kmsKeyId: secret.kmsKeyId }),
  };
  secret.versions = [...kept, version];
  attach(secret, version, labels);
  secret.changedAt = now.getTime();
  return version;
}

/** Moves labels to a version; where AWSCURRENT moves, AWSPREVIOUS follows to where it was. */
export function attach(secret: SecretRecord, target: VersionRecord, labels: ReadonlySet<string>): void {
  const before = secret.versions.find(isCurrent);
  for (const version of secret.versions) {
    version.stages = version.stages.filter((label) => !labels.has(label));
  }
  target.stages = [...target.stages, ...labels].toSorted();
  if (!labels.has(current) || before === undefined || before === target) return;
  for (const version of secret.versions) {
    version.stages = version.stages.filter((label) => label !== previous);
  }
  // What was current is pending no longer: seen on AWS, though not documented.
  before.stages = [...before.stages.filter((label) => label !== pending), previous].toSorted();
}

/** What UpdateSecretVersionStage does. @throws AwsError InvalidParameterException, ResourceNotFoundException */
export function moveStage(
  secret: SecretRecord,
  label: string,
  fromId: string | undefined,
  toId: string | undefined,
): void {
  const holder = secret.versions.find((version) => version.stages.includes(label));
  const target = toId === undefined ? undefined : versionById(secret, toId);
  if (fromId !== undefined) versionById(secret, fromId);

  if (holder !== undefined && holder !== target && fromId === undefined) {
    throw invalidParameter(
      `The parameter RemoveFromVersionId can't be empty. Staging label ${label} is currently attached to ` +
        `version ${holder.id}, so you must explicitly reference that version in RemoveFromVersionId.`,
    );
  }
  if (fromId !== undefined && holder?.id !== fromId) {
    throw invalidParameter(`Staging label ${label} is not attached to version ${fromId}.`);
  }
  if (fromId === undefined && target === undefined) {
    throw invalidParameter('You must specify RemoveFromVersionId, MoveToVersionId or both.');
  }
  if (target !== undefined) {
    assertRoomForLabels(secret, new Set([label]));
    attach(secret, target, new Set([label]));
  } else if (label === current) {
    throw invalidParameter(
      `You can only move staging label ${current} to a different secret version. It can't be completely removed.`,
    );
  } else if (holder !== undefined) {
    holder.stages = holder.stages.filter((other) => other !== label);
  }
}

/**
 * The version that GetSecretValue means: by id, by label, by both if they agree, else the current one.
 * @throws AwsError ResourceNotFoundException or InvalidRequestException
 */
export function versionOf(secret: SecretRecord, id: string | undefined, label: string | undefined) {
  if (id !== undefined) {
    const version = versionById(secret, id);
    if (label !== undefined && !version.stages.includes(label)) {
      throw new AwsError(
        'InvalidRequestException',
        'You provided a VersionStage that is not associated to the provided VersionId.',
      );
    }
    return version;
  }
  const wanted = label ?? current;
  const version = secret.versions.find(({ stages }) => stages.includes(wanted));
  if (version === undefined) throw valueNotFound(`staging label: ${wanted}`);
  return version;
}

export function versionById(secret: SecretRecord, id: string): VersionRecord {
  const version = secret.versions.find((candidate) => candidate.id === id);
  if (version === undefined) throw valueNotFound(`VersionId: ${id}`);
  return version;
}

function valueNotFound(what: string): AwsError {
  return new AwsError(
    'ResourceNotFoundException',
    `Secrets Manager can't find the specified secret value for ${what}`,
  );
}

/** Makes room for one more: the oldest versions without a label go, once they are a day old. */
function withRoom(versions: readonly VersionRecord[], now: Date): VersionRecord[] {
  const kept = [...versions];
  while (kept.length >= versionsMax) {
    const oldest = kept.findIndex(
      (version) => version.stages.length === 0 && version.createdAt <= now.getTime() - dayMs,
    );
    if (oldest === -1) {
      throw new AwsError('LimitExceededException', `A secret has at most ${versionsMax} versions.`);
    }
    kept.splice(oldest, 1);
  }
  return kept;
}

function assertRoomForLabels(secret: SecretRecord, labels: ReadonlySet<string>): void {
  const inUse = new Set([...secret.versions.flatMap((version) => version.stages), ...labels]);
  if (labels.has(current) && secret.versions.some(isCurrent)) inUse.add(previous);
  if (inUse.size > stagesMax) {
    throw new AwsError('LimitExceededException', `A secret has at most ${stagesMax} staging labels.`);
  }
}

function isCurrent(version: VersionRecord): boolean {
  return version.stages.includes(current);
}

/** Whether a key change re-encrypts this version ("UpdateSecret", `KmsKeyId`). */
export function followsKey(version: VersionRecord): boolean {
  return version.stages.some((label) => [current, pending, previous].includes(label));
}
