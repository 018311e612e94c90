import { randomBytes, randomUUID } from 'node:crypto';
import { equalInConstantTime } from './constant-time.ts';
import { type Endpoint, header } from './endpoint.ts';
import type { Identities } from './identities.ts';
import { AwsError, type RawRequest } from './service.ts';
import { splitTarget } from './signature.ts';
import { isoSeconds, type RoleCredentials, renewedEarly } from './temporary-credentials.ts';

/** The container this cloud pretends to run. */
export interface Container extends RoleCredentials {
  /** What `AWS_CONTAINER_CREDENTIALS_FULL_URI` ends with; needs the token. */
  readonly path: string;
  /** What `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` holds; its identifier is the proof. */
  readonly relativePath: string;
  /** What must come as `Authorization`. Change it as an orchestrator does when it rotates the token file. */
  authorizationToken: string;
  readonly taskId: string;
}

const prefix = '/v2/credentials/';

export function newContainer(role: string): Container {
  const taskId = randomBytes(16).toString('hex');
  return {
    role,
    credentialSeconds: 21_600,
    frozen: false,
    path: '/v1/credentials',
    relativePath: `${prefix}${randomUUID()}`,
    authorizationToken: randomBytes(32).toString('base64url'),
    taskId,
  };
}

/**
 * The credential endpoint of ECS and EKS Pod Identity.
 * Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 */
export function containerCredentials(
  container: Container,
  accountId: string,
  identities: Identities,
): Endpoint {
  const credentialsOf = renewedEarly(identities, container, container.taskId);

  return {
    service: 'container-credentials',
    operationOf: () => 'GetCredentials',
    throttled: new AwsError('ThrottlingException', 'Rate exceeded', 429),
    refusal: (_reason, message) => new AwsError('AccessDenied', message, 403),

    answer(request, { now }) {
      if (request.method !== 'GET') throw new AwsError('MethodNotAllowed', 'Only GET is allowed.', 405);
      authorize(request, container);
      if (container.role === undefined) {
        throw new AwsError('ResourceNotFound', 'This container has no role.', 404);
      }
      const { credentials } = credentialsOf(container.role, now);
      const document = {
        RoleArn: identities.find(credentials.accessKeyId)?.roleArn,
        AccessKeyId: credentials.accessKeyId,
        SecretAccessKey: credentials.secretAccessKey,
        Token: credentials.sessionToken,
        Expiration: isoSeconds(credentials.expiration),
        AccountId: accountId,
      };
      return {
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(JSON.stringify(document)),
      };
    },

    failure: (error) => ({
      status: error.status,
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify({ code: error.name, message: error.message })),
    }),
  };
}

/** Whether a request is one for container credentials. */
export function isContainerPath(target: string, container: Container): boolean {
  const { path } = splitTarget(target);
  return path === container.path || path.startsWith(prefix);
}

function authorize(request: RawRequest, container: Container): void {
  const { path } = splitTarget(request.target);
  const token = header(request, 'authorization');
  if (path.startsWith(prefix)) {
    if (!equalInConstantTime(path, container.relativePath)) {
      throw new AwsError('InvalidIdInRequest', 'CredentialsV2Request: Credentials not found', 400);
    }
    if (token === undefined) return;
  }
  if (token === undefined) {
    throw new AwsError('AccessDenied', 'The request has no authorization token.', 401);
  }
  if (!equalInConstantTime(token, container.authorizationToken)) {
    throw new AwsError('AccessDenied', 'The authorization token is not valid.', 403);
  }
}
