import { list, text } from '../constraints.ts';
import { AwsError } from '../service.ts';

/** Members that many KMS operations share. */
export const keyIdentifier = text({ min: 1, max: 2048 });
export const marker = text({ min: 1, max: 1024, pattern: /^[\u0020-\u00FF]*$/u });
export const grantTokens = list(text({ min: 1, max: 8192 }), { max: 10 });

export function invalidMarker(): AwsError {
  return new AwsError('InvalidMarkerException', 'The marker is not valid.');
}
