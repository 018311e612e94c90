import { awsKms } from '../../keys/aws-kms.ts';
import type { KmsFor } from '../../keys/kms.ts';
import type { Host } from '../host.ts';

/** KMS of any region, with the host's credentials. */
export function kmsOf({ aws }: Pick<Host, 'aws'>): KmsFor {
  return (region) => awsKms(() => aws.kms(region));
}
