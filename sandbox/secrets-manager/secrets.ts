import { epochSeconds, flag, integer, list, read, required, text } from '../constraints.ts';
import { page } from '../page.ts';
import { AwsError, type CallContext, type JsonObject, type Operation } from '../service.ts';
import { addTags } from '../tags.ts';
import { filterList, matching } from './filters.ts';
import {
  description,
  invalidNextToken,
  kmsKeyId,
  newValue,
  nextToken,
  secretId,
  tagKey,
  tagList,
  valueOf,
} from './members.ts';
import { addVersion, followsKey } from './staging.ts';
import {
  activeSecret,
  assertName,
  findSecret,
  invalidParameter,
  invalidRequest,
  newSecretArn,
  ownSecrets,
  type SecretRecord,
  type SecretsManagerState,
  secretNamed,
} from './state.ts';
import { accessDay, repeated, tokenInUse } from './values.ts';

const dayMs = 24 * 60 * 60 * 1000;
const recoveryWindowDays = { min: 7, max: 30, default: 30 };

const onlySecretId = { SecretId: secretId };

export const secretOperations = {
  CreateSecret(input, state, context) {
    const request = read(
      {
        Name: required(text({ min: 1, max: 512 })),
        Description: description,
        KmsKeyId: kmsKeyId,
        ...newValue,
        Tags: tagList,
        AddReplicaRegions: list(text()),
        ForceOverwriteReplicaSecret: flag(),
        Type: text({ max: 256 }),
      },
      input,
    );
    assertName(request.Name, /^[A-Za-z0-9/_+=.@-]+$/u);
    assertPlainSecret(request.AddReplicaRegions, request.Type);
    const brought = valueOf(request);
    const sameName = secretNamed(request.Name, state, context);
    if (sameName !== undefined) {
      const version = brought === undefined ? undefined : repeated(sameName, brought.token, brought.value);
      return createdBefore(sameName, version?.id);
    }

    const now = context.now.getTime();
    const secret: SecretRecord = {
      arn: newSecretArn(request.Name, context),
      name: request.Name,
      createdAt: now,
      changedAt: now,
      tags: tagged(new Map(), request.Tags ?? []),
      versions: [],
    };
    describe(secret, request.Description, request.KmsKeyId);
    if (brought !== undefined) addVersion(secret, brought.token, brought.value, [], context.now);
    state.secrets.set(secret.arn, secret);
    return { ARN: secret.arn, Name: secret.name, ...(brought && { VersionId: brought.token }) };
  },

  UpdateSecret(input, state, context) {
    const request = read(
      {
        ...onlySecretId,
        Description: description,
        KmsKeyId: kmsKeyId,
        ...newValue,
        Type: text({ max: 256 }),
      },
      input,
    );
    assertPlainSecret(undefined, request.Type);
    const brought = valueOf(request);
    const secret = activeSecret(request.SecretId, state, context);
    // Unlike PutSecretValue, not idempotent: "the operation results in an error".
    if (brought !== undefined && secret.versions.some(({ id }) => id === brought.token)) {
      throw tokenInUse(secret, brought.token);
    }
    if (brought !== undefined) {
      addVersion(secret, brought.token, brought.value, ['AWSCURRENT'], context.now);
    }
    describe(secret, request.Description, request.KmsKeyId);
    secret.changedAt = context.now.getTime();
    return { ARN: secret.arn, Name: secret.name, ...(brought && { VersionId: brought.token }) };
  },

  DescribeSecret(input, state, context) {
    const secret = findSecret(read(onlySecretId, input).SecretId, state, context);
    const stages = stagesOf(secret);
    return {
      ...details(secret),
      // Here the day it falls due, in ListSecrets the day it was asked for: so says the API reference of each.
      ...(secret.deletion && { DeletedDate: epochSeconds(new Date(secret.deletion.dueAt)) }),
      ...(secret.versions.length > 0 && { VersionIdsToStages: stages }),
    };
  },

  ListSecrets(input, state, context) {
    const request = read(
      {
        IncludePlannedDeletion: flag(),
        MaxResults: integer({ min: 1, max: 100 }),
        NextToken: nextToken,
        Filters: filterList,
        SortOrder: text({ oneOf: ['asc', 'desc'] }),
        SortBy: text({ oneOf: ['created-date', 'last-accessed-date', 'last-changed-date', 'name'] }),
      },
      input,
    );
    const shown = ownSecrets(state, context).filter(
      (secret) =>
        (request.IncludePlannedDeletion === true || secret.deletion === undefined) &&
        matching(secret, request.Filters ?? []),
    );
    const sorted = shown.toSorted(order(request.SortBy ?? 'created-date'));
    if (request.SortOrder === 'desc') sorted.reverse();
    const limit = request.MaxResults ?? 100;
    const { items, next } = page(sorted, (secret) => secret.arn, limit, request.NextToken, invalidNextToken);
    return { SecretList: items.map(listEntry), NextToken: next };
  },

  DeleteSecret(input, state, context) {
    const { SecretId, RecoveryWindowInDays, ForceDeleteWithoutRecovery } = read(
      { ...onlySecretId, RecoveryWindowInDays: integer(), ForceDeleteWithoutRecovery: flag() },
      input,
    );
    if (ForceDeleteWithoutRecovery === true) {
      if (RecoveryWindowInDays !== undefined) {
        throw invalidParameter(
          "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
        );
      }
      return forceDelete(SecretId, state, context);
    }
    const days = RecoveryWindowInDays ?? recoveryWindowDays.default;
    if (days < recoveryWindowDays.min || days > recoveryWindowDays.max) {
      throw invalidParameter(
        `The RecoveryWindowInDays value must be between ${recoveryWindowDays.min} and ` +
          `${recoveryWindowDays.max} days (inclusive).`,
      );
    }
    const secret = activeSecret(SecretId, state, context);
    const requestedAt = context.now.getTime();
    secret.deletion = { requestedAt, dueAt: requestedAt + days * dayMs };
    return {
      ARN: secret.arn,
      Name: secret.name,
      DeletionDate: epochSeconds(new Date(secret.deletion.dueAt)),
    };
  },

  RestoreSecret(input, state, context) {
    const secret = findSecret(read(onlySecretId, input).SecretId, state, context);
    delete secret.deletion;
    return { ARN: secret.arn, Name: secret.name };
  },

  TagResource(input, state, context) {
    const { SecretId, Tags } = read({ ...onlySecretId, Tags: required(tagList) }, input);
    const secret = activeSecret(SecretId, state, context);
    tagged(secret.tags, Tags);
    secret.changedAt = context.now.getTime();
    return undefined;
  },

  UntagResource(input, state, context) {
    const { SecretId, TagKeys } = read({ ...onlySecretId, TagKeys: required(list(tagKey)) }, input);
    const secret = activeSecret(SecretId, state, context);
    for (const key of TagKeys) secret.tags.delete(key);
    secret.changedAt = context.now.getTime();
    return undefined;
  },
} as const satisfies Record<string, Operation<SecretsManagerState>>;

interface Tag {
  readonly Key: string;
  readonly Value: string;
}

function tagged(tags: Map<string, string>, added: readonly Tag[]): Map<string, string> {
  const pairs = added.map(({ Key, Value }) => [Key, Value] as const);
  return addTags(tags, pairs, (_what, message) => invalidParameter(message));
}

/** A CreateSecret for a name that is taken: the same answer again if it is the same request, else a refusal. */
function createdBefore(secret: SecretRecord, sameVersionId: string | undefined): JsonObject {
  if (secret.deletion !== undefined) {
    throw invalidRequest(
      "You can't create this secret because a secret with this name is already scheduled for deletion.",
    );
  }
  if (sameVersionId === undefined) {
    throw new AwsError(
      'ResourceExistsException',
      `The operation failed because the secret ${secret.name} already exists.`,
    );
  }
  return { ARN: secret.arn, Name: secret.name, VersionId: sameVersionId };
}

function describe(secret: SecretRecord, told: string | undefined, keyId: string | undefined): void {
  if (told !== undefined) secret.description = told;
  if (keyId === undefined) return;
  for (const target of [secret, ...secret.versions.filter(followsKey)]) {
    // An empty key id means the account's default key.
    if (keyId === '') delete target.kmsKeyId;
    else target.kmsKeyId = keyId;
  }
}

function forceDelete(id: string, state: SecretsManagerState, context: CallContext): JsonObject {
  const DeletionDate = epochSeconds(context.now);
  try {
    const secret = findSecret(id, state, context);
    state.secrets.delete(secret.arn);
    return { ARN: secret.arn, Name: secret.name, DeletionDate };
  } catch (error) {
    // "If you forcibly delete an already deleted or nonexistent secret, the operation does not return
    // ResourceNotFoundException."
    if (!(error instanceof AwsError) || error.name !== 'ResourceNotFoundException') throw error;
    return { ARN: id.startsWith('arn:') ? id : newSecretArn(id, context), Name: id, DeletionDate };
  }
}

function details(secret: SecretRecord): JsonObject {
  return {
    ARN: secret.arn,
    Name: secret.name,
    ...(secret.description !== undefined && { Description: secret.description }),
    ...(secret.kmsKeyId !== undefined && { KmsKeyId: secret.kmsKeyId }),
    LastChangedDate: epochSeconds(new Date(secret.changedAt)),
    ...(secret.accessedAt !== undefined && { LastAccessedDate: accessDay(secret.accessedAt) }),
    ...(secret.tags.size > 0 && { Tags: [...secret.tags].map(([Key, Value]) => ({ Key, Value })) }),
    CreatedDate: epochSeconds(new Date(secret.createdAt)),
  };
}

function listEntry(secret: SecretRecord): JsonObject {
  return {
    ...details(secret),
    ...(secret.deletion && { DeletedDate: epochSeconds(new Date(secret.deletion.requestedAt)) }),
    ...(secret.versions.length > 0 && { SecretVersionsToStages: stagesOf(secret) }),
  };
}

/** The labels of each version that has any. */
function stagesOf(secret: SecretRecord): JsonObject {
  const labelled = secret.versions.filter((version) => version.stages.length > 0);
  return Object.fromEntries(labelled.map((version) => [version.id, version.stages]));
}

function order(by: string): (a: SecretRecord, b: SecretRecord) => number {
  switch (by) {
    case 'name':
      return (a, b) => (a.name < b.name ? -1 : 1);
    case 'last-accessed-date':
      return (a, b) => (a.accessedAt ?? 0) - (b.accessedAt ?? 0);
    case 'last-changed-date':
      return (a, b) => a.changedAt - b.changedAt;
    default:
      return (a, b) => a.createdAt - b.createdAt;
  }
}

function assertPlainSecret(replicas: readonly string[] | undefined, type: string | undefined): void {
  if (replicas !== undefined || type !== undefined) {
    throw invalidRequest('The sandbox neither replicates secrets nor keeps those of a partner.');
  }
}
