import { randomInt } from 'node:crypto';
import { validationException } from '../constraints.ts';
import { AwsError, type CallContext } from '../service.ts';

/** One version of a secret's value. Plain data: dates are epoch milliseconds, bytes are base64. */
export interface VersionRecord {
  readonly id: string;
  readonly value: SecretValue;
  /** Staging labels, sorted; none makes the version deprecated. */
  stages: readonly string[];
  readonly createdAt: number;
  accessedAt?: number;
  kmsKeyId?: string;
}

/** Exactly one of the two. */
export interface SecretValue {
  readonly text?: string;
  readonly binary?: string;
}

export interface SecretRecord {
  readonly arn: string;
  readonly name: string;
  readonly createdAt: number;
  changedAt: number;
  accessedAt?: number;
  description?: string;
  kmsKeyId?: string;
  policy?: string;
  readonly tags: Map<string, string>;
  /** Set while the secret is marked for deletion. */
  deletion?: { readonly requestedAt: number; readonly dueAt: number };
  /** In the order they were made. */
  versions: VersionRecord[];
}

/** The secrets of all accounts and regions, by ARN. */
export interface SecretsManagerState {
  readonly secrets: Map<string, SecretRecord>;
}

export function newSecretsManagerState(): SecretsManagerState {
  return { secrets: new Map() };
}

/** Deletes the secrets whose recovery window is over. */
export function deleteDueSecrets(state: SecretsManagerState, now: Date): void {
  for (const secret of state.secrets.values()) {
    if (secret.deletion !== undefined && secret.deletion.dueAt <= now.getTime()) {
      state.secrets.delete(secret.arn);
    }
  }
}

/** The caller's own secrets in this region. */
export function ownSecrets(state: SecretsManagerState, context: CallContext): SecretRecord[] {
  const prefix = arnPrefix(context);
  return [...state.secrets.values()].filter((secret) => secret.arn.startsWith(prefix));
}

const suffixAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** An ARN for a new secret: its name, a hyphen and six random characters. */
export function newSecretArn(name: string, context: CallContext): string {
  const suffix = Array.from({ length: 6 }, () => suffixAlphabet.charAt(randomInt(suffixAlphabet.length)));
  return `${arnPrefix(context)}${name}-${suffix.join('')}`;
}

function arnPrefix({ region, caller }: CallContext): string {
  return `arn:aws:secretsmanager:${region}:${caller.accountId}:secret:`;
}

export function secretNamed(
  name: string,
  state: SecretsManagerState,
  context: CallContext,
): SecretRecord | undefined {
  return ownSecrets(state, context).find((secret) => secret.name === name);
}

/**
 * The secret that a name, an ARN or an ARN without the six characters names, marked for deletion or not.
 * @throws AwsError ResourceNotFoundException; ValidationException for what can be no name
 */
export function findSecret(id: string, state: SecretsManagerState, context: CallContext): SecretRecord {
  const found = id.startsWith('arn:') ? secretOfArn(id, state, context) : secretNamed(id, state, context);
  if (found !== undefined) return found;
  if (!id.startsWith('arn:')) assertName(id, /^[A-Za-z0-9/_+=.@!-]+$/u);
  throw new AwsError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
}

/** As `findSecret`, but refuses a secret that is marked for deletion. @throws AwsError InvalidRequestException */
export function activeSecret(id: string, state: SecretsManagerState, context: CallContext): SecretRecord {
  const secret = findSecret(id, state, context);
  if (secret.deletion !== undefined) {
    throw new AwsError(
      'InvalidRequestException',
      "You can't perform this operation on the secret because it was marked for deletion.",
    );
  }
  return secret;
}

function secretOfArn(
  arn: string,
  state: SecretsManagerState,
  context: CallContext,
): SecretRecord | undefined {
  const prefix = arnPrefix(context);
  if (!arn.startsWith(prefix)) return undefined;
  const complete = state.secrets.get(arn);
  // A hyphen and six characters at the end always count as the random part ("Finding a secret from a partial ARN").
  const isComplete = /-[A-Za-z0-9]{6}$/u.test(arn);
  return isComplete ? complete : secretNamed(arn.slice(prefix.length), state, context);
}

/** @throws AwsError ValidationException */
export function assertName(name: string, allowed: RegExp): void {
  if (allowed.test(name)) return;
  throw validationException(
    'Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!',
  );
}

export function invalidParameter(message: string): AwsError {
  return new AwsError('InvalidParameterException', message);
}

export function invalidRequest(message: string): AwsError {
  return new AwsError('InvalidRequestException', message);
}
