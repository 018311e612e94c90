import { isDeepStrictEqual } from 'node:util';
import { epochSeconds, flag, integer, list, read, required, text } from '../constraints.ts';
import { page } from '../page.ts';
import { AwsError, type CallContext, type JsonObject, type Operation } from '../service.ts';
import { filterList, matching } from './filters.ts';
import { invalidNextToken, newValue, nextToken, secretId, stage, valueOf, versionId } from './members.ts';
import { addVersion, moveStage, versionOf } from './staging.ts';
import {
  activeSecret,
  findSecret,
  invalidParameter,
  invalidRequest,
  ownSecrets,
  type SecretRecord,
  type SecretsManagerState,
  type SecretValue,
  type VersionRecord,
} from './state.ts';

export const valueOperations = {
  PutSecretValue(input, state, context) {
    const request = read(
      {
        SecretId: secretId,
        ...newValue,
        VersionStages: list(stage, { min: 1, max: 20 }),
        RotationToken: text({ min: 36, max: 256, pattern: /^[a-zA-Z0-9-]+$/u, sensitive: true }),
      },
      input,
    );
    const brought = valueOf(request);
    if (brought === undefined) throw invalidRequest('You must provide either SecretString or SecretBinary.');
    const secret = activeSecret(request.SecretId, state, context);
    const version =
      repeated(secret, brought.token, brought.value) ??
      addVersion(secret, brought.token, brought.value, request.VersionStages ?? ['AWSCURRENT'], context.now);
    return { ARN: secret.arn, Name: secret.name, VersionId: version.id, VersionStages: version.stages };
  },

  GetSecretValue(input, state, context) {
    const request = read({ SecretId: secretId, VersionId: versionId, VersionStage: stage }, input);
    const secret = activeSecret(request.SecretId, state, context);
    return accessed(secret, versionOf(secret, request.VersionId, request.VersionStage), context);
  },

  BatchGetSecretValue(input, state, context) {
    const { SecretIdList, Filters, MaxResults, NextToken } = read(
      {
        SecretIdList: list(secretId, { min: 1, max: 20 }),
        Filters: filterList,
        MaxResults: integer({ min: 1, max: 20 }),
        NextToken: nextToken,
      },
      input,
    );
    if ((SecretIdList === undefined) === (Filters === undefined)) {
      throw invalidParameter("Either 'SecretIdList' or 'Filters' must be provided, but not both.");
    }
    if (Filters === undefined && MaxResults !== undefined) {
      throw invalidParameter(
        "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.",
      );
    }
    const found = ownSecrets(state, context).filter(
      (secret) => secret.deletion === undefined && matching(secret, Filters ?? []),
    );
    const ids = SecretIdList ?? found.map((secret) => secret.arn);
    const { items, next } = page(ids, (id) => id, MaxResults ?? 20, NextToken, invalidNextToken);
    return { ...eachValue(items, state, context), NextToken: next };
  },

  ListSecretVersionIds(input, state, context) {
    const request = read(
      {
        SecretId: secretId,
        MaxResults: integer({ min: 1, max: 100 }),
        NextToken: nextToken,
        IncludeDeprecated: flag(),
      },
      input,
    );
    const secret = findSecret(request.SecretId, state, context);
    const shown = secret.versions.filter(
      (version) => request.IncludeDeprecated === true || version.stages.length > 0,
    );
    const limit = request.MaxResults ?? 100;
    const { items, next } = page(shown, (version) => version.id, limit, request.NextToken, invalidNextToken);
    return { ARN: secret.arn, Name: secret.name, Versions: items.map(versionEntry), NextToken: next };
  },

  UpdateSecretVersionStage(input, state, context) {
    const request = read(
      {
        SecretId: secretId,
        VersionStage: required(stage),
        RemoveFromVersionId: versionId,
        MoveToVersionId: versionId,
      },
      input,
    );
    const secret = activeSecret(request.SecretId, state, context);
    moveStage(secret, request.VersionStage, request.RemoveFromVersionId, request.MoveToVersionId);
    secret.changedAt = context.now.getTime();
    return { ARN: secret.arn, Name: secret.name };
  },
} as const satisfies Record<string, Operation<SecretsManagerState>>;

/**
 * The version that a request made before, when it is repeated with its token.
 * @throws AwsError ResourceExistsException when it now brings another value
 */
export function repeated(secret: SecretRecord, token: string, value: SecretValue): VersionRecord | undefined {
  const version = secret.versions.find(({ id }) => id === token);
  if (version !== undefined && !isDeepStrictEqual(version.value, value)) throw tokenInUse(secret, token);
  return version;
}

export function tokenInUse(secret: SecretRecord, token: string): AwsError {
  return new AwsError(
    'ResourceExistsException',
    `You can't use ClientRequestToken ${token} because that value is already in use for a version of secret ` +
      `${secret.arn}.`,
  );
}

/** Dates of access have the resolution of a day. */
export function accessDay(at: number): number {
  return epochSeconds(new Date(new Date(at).setUTCHours(0, 0, 0, 0)));
}

function accessed(secret: SecretRecord, version: VersionRecord, context: CallContext): JsonObject {
  secret.accessedAt = context.now.getTime();
  version.accessedAt = context.now.getTime();
  const { text: SecretString, binary: SecretBinary } = version.value;
  return {
    ARN: secret.arn,
    Name: secret.name,
    VersionId: version.id,
    ...(SecretBinary !== undefined && { SecretBinary }),
    ...(SecretString !== undefined && { SecretString }),
    VersionStages: version.stages,
    CreatedDate: epochSeconds(new Date(version.createdAt)),
  };
}

/** The current value of each secret, or why there is none. */
function eachValue(ids: readonly string[], state: SecretsManagerState, context: CallContext): JsonObject {
  const SecretValues: JsonObject[] = [];
  const Errors: JsonObject[] = [];
  for (const id of ids) {
    try {
      const secret = activeSecret(id, state, context);
      SecretValues.push(accessed(secret, versionOf(secret, undefined, undefined), context));
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      Errors.push({ SecretId: id, ErrorCode: error.name, Message: error.message });
    }
  }
  return { SecretValues, Errors };
}

function versionEntry(version: VersionRecord): JsonObject {
  return {
    VersionId: version.id,
    ...(version.stages.length > 0 && { VersionStages: version.stages }),
    ...(version.accessedAt !== undefined && { LastAccessedDate: accessDay(version.accessedAt) }),
    CreatedDate: epochSeconds(new Date(version.createdAt)),
    KmsKeyIds: [version.kmsKeyId ?? 'DefaultEncryptionKey'],
  };
}
