import type { QueryOperation, QueryResult, QueryService } from './query-protocol.ts';
import { assumeRole } from './sts/assume-role.ts';
import { assumeRoleWithWebIdentity } from './sts/assume-role-with-web-identity.ts';

const getCallerIdentity: QueryOperation = (_parameters, { caller }): QueryResult => ({
  Arn: caller.arn,
  UserId: caller.userId,
  Account: caller.accountId,
});

export const sts: QueryService = {
  signingName: 'sts',
  version: '2011-06-15',
  xmlNamespace: 'https://sts.amazonaws.com/doc/2011-06-15/',
  operations: { GetCallerIdentity: getCallerIdentity, AssumeRole: assumeRole },
  unsigned: { AssumeRoleWithWebIdentity: assumeRoleWithWebIdentity },
};
