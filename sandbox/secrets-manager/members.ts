import { blob, list, required, structure, text } from '../constraints.ts';
import { AwsError } from '../service.ts';
import { invalidParameter, invalidRequest, type SecretValue } from './state.ts';

/** "Secret value size" (Secrets Manager quotas). */
const valueBytesMax = 65_536;

/** Members that many Secrets Manager operations share. */
export const secretId = required(text({ min: 1, max: 2048 }));
export const versionId = text({ min: 32, max: 64 });
export const stage = text({ min: 1, max: 256 });
export const nextToken = text({ min: 1, max: 4096 });
export const description = text({ max: 2048 });
export const kmsKeyId = text({ min: 0, max: 2048 });
export const tagKey = text({ min: 1, max: 128 });
export const tagList = list(
  structure({ Key: required(tagKey), Value: required(text({ min: 0, max: 256 })) }),
);

export const newValue = {
  ClientRequestToken: versionId,
  SecretString: text({ min: 1, max: valueBytesMax, inBytes: true, sensitive: true }),
  SecretBinary: blob({ min: 1, max: valueBytesMax }),
};

interface NewValue {
  readonly ClientRequestToken: string | undefined;
  readonly SecretString: string | undefined;
  readonly SecretBinary: Buffer | undefined;
}

/** The value that a request brings and the id of its version; `undefined` where it brings none. */
export function valueOf(request: NewValue): { token: string; value: SecretValue } | undefined {
  const { ClientRequestToken: token, SecretString, SecretBinary } = request;
  if (SecretString !== undefined && SecretBinary !== undefined) {
    throw invalidParameter(
      "You can't specify both a binary secret value and a string secret value in the same secret.",
    );
  }
  if (SecretString === undefined && SecretBinary === undefined) return undefined;
  if (token === undefined) {
    throw invalidRequest('You must provide a ClientRequestToken value. We recommend a UUID-type value.');
  }
  const value =
    SecretString === undefined ? { binary: SecretBinary?.toString('base64') ?? '' } : { text: SecretString };
  return { token, value };
}

export function invalidNextToken(): AwsError {
  return new AwsError('InvalidNextTokenException', 'The NextToken value is invalid.');
}
