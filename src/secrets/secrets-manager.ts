import type { GetSecretValueCommandOutput, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { awsErrorCode, requestIdOf } from '../base/aws-error.ts';
import { GatehouseError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { valueKey } from './config.ts';
import { secretsError } from './errors.ts';
import { jsonField } from './json-field.ts';
import type { SecretSource } from './secret-source.ts';

/** Which value of which secret; AWSCURRENT where neither stage nor id is given. */
export interface SecretValueReference {
  /** Name, ARN or partial ARN. */
  readonly secretId: string;
  readonly versionStage?: string | undefined;
  readonly versionId?: string | undefined;
}

export interface SecretsManagerReference extends SecretValueReference {
  /** Takes this field of a JSON SecretString; a key of the outermost object. */
  readonly jsonField?: string | undefined;
  /** The role that reads it, where that is not the host's own. */
  readonly roleArn?: string | undefined;
  readonly externalId?: string | undefined;
  readonly sessionName?: string | undefined;
}

/** A secret's value as Secrets Manager gives it: `text` of a SecretString, or `bytes` of a SecretBinary. */
export interface SecretValue {
  readonly text?: string;
  readonly bytes?: Buffer;
  readonly versionId: string;
  readonly arn: string;
  readonly name: string;
  readonly awsRequestId?: string;
}

type Client = Pick<SecretsManagerClient, 'send'>;
type SecretCode = Parameters<typeof secretsError>[0];

/** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html#API_GetSecretValue_Errors */
const codes: Readonly<Record<string, SecretCode>> = {
  ResourceNotFoundException: 'SECRET_NOT_FOUND',
  AccessDeniedException: 'SECRET_DENIED',
  DecryptionFailure: 'SECRET_KEY_UNUSABLE',
  DecryptionFailureException: 'SECRET_KEY_UNUSABLE',
  ThrottlingException: 'SECRET_THROTTLED',
  LimitExceededException: 'SECRET_THROTTLED',
  InternalServiceError: 'SECRET_UNREACHABLE',
  InternalServiceErrorException: 'SECRET_UNREACHABLE',
  InternalFailure: 'SECRET_UNREACHABLE',
  ServiceUnavailable: 'SECRET_UNREACHABLE',
  UnrecognizedClientException: 'SECRET_CREDENTIALS_REFUSED',
  ExpiredTokenException: 'SECRET_CREDENTIALS_REFUSED',
  InvalidClientTokenId: 'SECRET_CREDENTIALS_REFUSED',
  InvalidSignatureException: 'SECRET_CREDENTIALS_REFUSED',
  IncompleteSignature: 'SECRET_CREDENTIALS_REFUSED',
  MissingAuthenticationTokenException: 'SECRET_CREDENTIALS_REFUSED',
};

type Connect = (reference: SecretsManagerReference) => Promise<Client>;

/**
 * Secrets in AWS Secrets Manager, for one round of reading: each value is asked for once, so that a user and a password
 * that are fields of one secret always come from one version of it. What was read is overwritten when the round is over.
 * `connect` gives the client for a reference, the same one for the same role.
 */
export function secretsManager(connect: Connect): SecretSource<SecretsManagerReference> & Disposable {
  const values = new Map<string, Promise<SecretValue>>();
  const valueAt = async (reference: SecretsManagerReference, signal: AbortSignal): Promise<SecretValue> =>
    getSecretValue(await connect(reference), reference, signal);

  return {
    async read(reference, signal) {
      const key = valueKey(reference);
      const reading = values.get(key) ?? valueAt(reference, signal);
      values.set(key, reading);
      const { text, bytes, versionId: version, awsRequestId } = await reading;
      const value = valueOf(reference, text, bytes);
      return { value, version, ...(awsRequestId === undefined ? {} : { awsRequestId }) };
    },

    [Symbol.dispose]() {
      for (const reading of values.values()) {
        reading.then(
          ({ bytes }) => bytes?.fill(0),
          () => undefined,
        );
      }
    },
  };
}

function valueOf(
  reference: SecretsManagerReference,
  text: string | undefined,
  bytes: Buffer | undefined,
): Secret {
  if (reference.jsonField !== undefined) {
    if (text === undefined) throw secretsError('SECRET_NOT_JSON', { secretId: reference.secretId });
    return jsonField(text, reference.jsonField, { secretId: reference.secretId });
  }
  return bytes === undefined ? Secret.ofText(text ?? '') : Secret.ofBytes(bytes);
}

/**
 * Reads one value from Secrets Manager.
 * @throws SECRET_NOT_FOUND, SECRET_VERSION_NOT_FOUND, SECRET_DELETED, SECRET_DENIED, SECRET_KEY_UNUSABLE,
 *   SECRET_CREDENTIALS_REFUSED, SECRET_THROTTLED, SECRET_UNREACHABLE, SECRET_REQUEST_REFUSED
 */
export async function getSecretValue(
  client: Client,
  { secretId, versionStage, versionId }: SecretValueReference,
  signal: AbortSignal,
): Promise<SecretValue> {
  signal.throwIfAborted();
  const { GetSecretValueCommand } = await import('@aws-sdk/client-secrets-manager');
  const details = { secretId, versionStage, versionId };
  let answer: GetSecretValueCommandOutput;
  try {
    const command = new GetSecretValueCommand({
      SecretId: secretId,
      ...(versionStage === undefined ? {} : { VersionStage: versionStage }),
      ...(versionId === undefined ? {} : { VersionId: versionId }),
    });
    answer = await client.send(command, { abortSignal: signal });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof GatehouseError) throw error;
    throw secretsError(codeOf(error), { ...details, ...requestIdOf(error) }, error);
  }
  const { SecretString: text, SecretBinary: bytes, VersionId, ARN = '', Name = '' } = answer;
  if (VersionId === undefined || (text === undefined && bytes === undefined)) {
    throw secretsError('SECRET_UNREACHABLE', details);
  }
  return {
    ...(text === undefined ? {} : { text }),
    ...(bytes === undefined ? {} : { bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) }),
    versionId: VersionId,
    arn: ARN,
    name: Name,
    ...requestIdOf(answer),
  };
}

function codeOf(error: unknown): SecretCode {
  // Secrets Manager has one name for a missing secret and a missing version, and none for a deleted secret: only the
  // text tells them apart.
  if (isNamed(error, 'ResourceNotFoundException') && /staging label|version ?id/iu.test(error.message)) {
    return 'SECRET_VERSION_NOT_FOUND';
  }
  if (
    isNamed(error, 'InvalidRequestException') &&
    /marked (?:for deletion|deleted)|scheduled for deletion/iu.test(error.message)
  ) {
    return 'SECRET_DELETED';
  }
  return awsErrorCode(error, codes, { unreachable: 'SECRET_UNREACHABLE', refused: 'SECRET_REQUEST_REFUSED' });
}

function isNamed(error: unknown, name: string): error is Error {
  return error instanceof Error && error.name === name;
}
