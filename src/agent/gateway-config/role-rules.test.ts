import { expect, test } from 'vitest';
import { rolesArePermitted } from './role-rules.ts';

const arn = (name: string, account = '210987654321'): string => `arn:aws:iam::${account}:role/${name}`;

test.each([
  ['that is listed', arn('reader'), [arn('other'), arn('reader')], true],
  ['under a listed beginning', arn('gatehouse-reader'), [arn('gatehouse-*')], true],
  ['of another account', arn('gatehouse-reader', '123456789012'), [arn('gatehouse-*')], false],
  ['that only begins like a listed one', arn('reader2'), [arn('reader')], false],
  ['where none is listed', arn('reader'), [], false],
])('the gateway config may name a role %s or not', (_what, roleArn, permitted, isPermitted) => {
  const secrets = {
    'database-password': { secretsManager: { roleArn } },
    own: { secretsManager: {} },
    sealed: {},
  };

  const events = { roleArn, sources: { app: { roleArn }, agent: {} } };

  const problems = rolesArePermitted({ secrets, events }, permitted);

  const paths = ['secrets.database-password.secretsManager', 'events', 'events.sources.app'];
  expect(problems.map((problem) => problem.path)).toEqual(
    isPermitted ? [] : paths.map((path) => `${path}.roleArn`),
  );
});
