import { z } from 'zod';
import { externalIdPattern, roleArnPattern, roleSessionNamePattern } from './role.ts';

/** ARN of an IAM role. */
export const awsRoleArn = z.string().regex(roleArnPattern, 'must look like arn:aws:iam::ACCOUNT:role/NAME');

export const stsExternalId = z
  .string()
  .regex(externalIdPattern, 'must be 2 to 1224 letters, digits and "+=,.@:/_-"');

export const stsSessionName = z
  .string()
  .regex(roleSessionNamePattern, 'must be 2 to 64 letters, digits and "+=,.@_-"');

/** What a section says of a role under which its work is done. */
interface RoleKeys {
  readonly roleArn?: string | undefined;
  readonly externalId?: string | undefined;
  readonly sessionName?: string | undefined;
}

/**
 * The keys of a section that may name a role, which the host assumes with its own: `what` it does, `forWhat` that is good,
 * and the ARN of an example.
 */
export function roleKeys({
  what,
  forWhat,
  example,
  applies,
}: {
  readonly what: string;
  readonly forWhat: string;
  readonly example: string;
  readonly applies: 'live' | 'restart';
}) {
  return {
    roleArn: awsRoleArn.optional().meta({
      description: `A role that ${what}, assumed with the host's own: for ${forWhat}. allow.assumeRoles of the bootstrap config must permit it.`,
      applies,
      examples: [example],
    }),
    externalId: stsExternalId
      .optional()
      .meta({ description: "What the role's trust policy asks for as external id.", applies }),
    sessionName: stsSessionName.optional().meta({
      description: "The session's name in CloudTrail. Default: gatehouse- and the host's name.",
      applies,
    }),
  };
}

/** Whether what goes with a role has one. */
export function isWholeRole({ roleArn, externalId, sessionName }: RoleKeys): boolean {
  return roleArn !== undefined || (externalId ?? sessionName) === undefined;
}

/** The problem of keys that are no whole role. */
export const roleMissing = {
  path: ['roleArn'],
  message: 'is missing: externalId and sessionName are for it',
};
