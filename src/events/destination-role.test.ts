import { expect, test } from 'vitest';
import { eventsConfig } from './config.ts';
import { destinationRole } from './destination-role.ts';

const arn = (name: string): string => `arn:aws:iam::210987654321:role/${name}`;

const config = eventsConfig.parse({
  roleArn: arn('all'),
  sources: {
    app: { files: ['/var/log/app.log'], roleArn: arn('app'), externalId: 'x-1', sessionName: 'app' },
    other: { files: ['/var/log/other.log'] },
  },
});

test('a source has its own role before that of events', () => {
  expect(destinationRole(config, 'app')).toEqual({
    roleArn: arn('app'),
    externalId: 'x-1',
    sessionName: 'app',
  });
});

test.each([undefined, 'other', 'gone'])('%s goes under the role of events', (roleOf) => {
  expect(destinationRole(config, roleOf)).toMatchObject({ roleArn: arn('all') });
});

test('without any role it is the host', () => {
  expect(destinationRole(eventsConfig.parse({}), undefined)).toBeUndefined();
});

test.each([{ externalId: 'x-1' }, { sources: { app: { stdin: true, sessionName: 'app' } } }])(
  'what is for a role needs one: %j',
  (value) => {
    const { error } = eventsConfig.safeParse(value);
    expect(error?.issues).toMatchObject([{ message: 'is missing: externalId and sessionName are for it' }]);
  },
);
