import {
  array,
  assert,
  asyncProperty,
  constant,
  constantFrom,
  integer,
  json,
  jsonValue,
  oneof,
  option,
  property,
  record,
  string,
  uint8Array,
} from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { rolesAnywhereHost } from '../../test/support/roles-anywhere.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { systemClock } from '../base/clock.ts';
import { asGatehouseError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { container } from './container.ts';
import { credentialProcess } from './credential-process.ts';
import { everythingOf } from './credential-source.contract.ts';
import type { CredentialSource } from './credential-source.ts';
import { scriptedEndpoint } from './endpoint.contract.ts';
import { identityErrors } from './errors.ts';
import { instanceRole } from './instance-role.ts';
import { processOutput } from './process-output.ts';
import type { Post } from './roles-anywhere/create-session.ts';
import { rolesAnywhere } from './roles-anywhere/roles-anywhere.ts';
import { rolesAnywhereHelper } from './roles-anywhere-helper.ts';

const signal = new AbortController().signal;
const canary = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const inAnHour = new Date(Date.now() + 3_600_000).toISOString();

/** Values that a field may have, from right to anything. */
const field = oneof(constantFrom<unknown>(canary, '', inAnHour, 'Success', '1', 1, 'soon'), jsonValue());

/** Documents that look like what is expected, with anything in their fields; any JSON; any text. */
const document = oneof(
  record(
    {
      Version: field,
      Code: field,
      AccessKeyId: field,
      SecretAccessKey: field,
      SessionToken: field,
      Token: field,
      Expiration: field,
      AccountId: field,
    },
    { requiredKeys: [] },
  ).map((fields) => JSON.stringify(fields)),
  json(),
  string().map((text) => text + canary),
);

/** The credentials, or an error of ours that repeats nothing of what was answered. */
async function outcomeOf(source: CredentialSource): Promise<void> {
  const found = await source.load(signal).catch(asGatehouseError);
  if (found === undefined || 'accessKeyId' in found) return;
  if (!Object.hasOwn(identityErrors, found.code)) throw found;
  const said = everythingOf(found);
  if (said.includes(canary)) throw new Error(`the answer is repeated: ${found.code}`);
}

describe('whatever is answered', () => {
  test('by a credential process is credentials or a fault that names fields only', () => {
    assert(
      property(
        oneof(
          document.map((text) => Buffer.from(text)),
          uint8Array().map((bytes) => Buffer.from(bytes)),
        ),
        (stdout) => {
          const output = processOutput(stdout);

          const told =
            'credentials' in output
              ? JSON.stringify(output.credentials.secretAccessKey)
              : JSON.stringify(output);
          expect(told).not.toContain(canary);
        },
      ),
    );
  });

  test('by a program of a profile, with any exit code, is a typed error', async () => {
    await assert(
      asyncProperty(document, integer({ min: 0, max: 255 }), async (text, exitCode) => {
        const runCommand = async () => ({
          stdout: Buffer.from(text),
          stderr: Secret.ofText(text),
          exitCode: exitCode % 3,
        });
        const load = async () => ({
          ...(await credentialProcess({ profile: 'p', line: '/p' }, { env: {}, runCommand }, signal)),
          source: 'profile',
        });

        await outcomeOf({ name: 'profile', absence: 'never', load });
      }),
    );
  });

  test('by the signing helper is a typed error', async () => {
    const config = {
      trustAnchorArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/a',
      profileArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:profile/b',
      roleArn: 'arn:aws:iam::123456789012:role/GatehouseHost',
      certificate: '/c.pem',
      privateKey: '/k.pem',
      sessionDurationSeconds: 3600,
      helper: '/helper',
    };

    await assert(
      asyncProperty(document, integer({ min: 0, max: 2 }), async (text, exitCode) => {
        const run = async () => ({ stdout: Buffer.from(text), stderr: Secret.ofText(text), exitCode });

        await outcomeOf(rolesAnywhereHelper(config, run, {}, systemClock));
      }),
    );
  });

  test('by IAM Roles Anywhere, with any status and headers, is a typed error', async () => {
    const { identity } = await rolesAnywhereHost(createSandbox(), temporaryDirectory());
    // What is tried again is tried at once.
    const clock = { ...systemClock, sleep: async () => undefined };
    const endpoint = { endpoint: 'https://127.0.0.1', useFips: false, useDualstack: false };
    const set = oneof(
      field,
      array(record({ credentials: field, assumedRoleUser: field }, { requiredKeys: [] })),
    );
    // Right as a rule, so that one wrong member is met alone.
    const member = (right: string) => oneof({ weight: 6, arbitrary: constant<unknown>(right) }, field);
    const session = record(
      {
        accessKeyId: member('ASIAEXAMPLE'),
        secretAccessKey: member(canary),
        sessionToken: member('token'),
        expiration: member(inAnHour),
      },
      { requiredKeys: ['accessKeyId', 'sessionToken', 'expiration'] },
    );
    const body = oneof(
      document,
      set.map((credentialSet) => JSON.stringify({ credentialSet })),
      session.map((credentials) => JSON.stringify({ credentialSet: [{ credentials }] })),
      field.map((message) => JSON.stringify({ __type: message, message })),
    );
    const header = option(oneof(constantFrom('AccessDeniedException:', new Date().toUTCString()), string()));

    await assert(
      asyncProperty(
        body,
        constantFrom(200, 201, 201, 204, 301, 400, 403, 404, 429, 500),
        header,
        async (text, status, named) => {
          const post: Post = async () => ({ status, header: () => named ?? undefined, body: text });

          await outcomeOf(rolesAnywhere(identity, { env: {}, clock, endpoint, post }));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('by the metadata service and the container endpoint, with any status, is a typed error', async () => {
    const answers = { status: 200, body: '' };
    const metadata = await scriptedEndpoint((request, response) => {
      if (request.method === 'PUT') response.end('token');
      else if (request.url?.endsWith('/security-credentials/')) response.end('Role');
      else response.writeHead(answers.status).end(answers.body);
    });
    const tasks = await scriptedEndpoint((_request, response) => {
      response.writeHead(answers.status).end(answers.body);
    });
    const instance = instanceRole({ AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url }, systemClock, {
      required: true,
    });
    const task = container({ AWS_CONTAINER_CREDENTIALS_FULL_URI: tasks.url }, systemClock);

    await assert(
      asyncProperty(document, constantFrom(200, 200, 200, 301, 400, 404, 429, 500), async (body, status) => {
        Object.assign(answers, { status, body });

        await outcomeOf(instance);
        await outcomeOf(task);
      }),
      { numRuns: 60 },
    );
  });
});
