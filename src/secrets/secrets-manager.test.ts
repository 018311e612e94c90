import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { describe, expect, it } from 'vitest';
import { readingAnew } from '../../test/support/reading-anew.ts';
import { type ScriptedAnswer, scriptedAws } from '../../test/support/scripted-aws.ts';
import { reportOf } from '../base/errors.ts';
import { secretSourceContract } from './secret-source.contract.ts';
import { getSecretValue, type SecretsManagerReference, secretsManager } from './secrets-manager.ts';

const never = new AbortController().signal;
const arn = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/database-AbCdEf';

function setup(answer: (input: Readonly<Record<string, unknown>>) => ScriptedAnswer) {
  const { options, calls } = scriptedAws(({ input }) => answer(input));
  const client = new SecretsManagerClient(options);
  const source = readingAnew(async () => client);
  const failure = async (reference: SecretsManagerReference = { secretId: 'x' }) => {
    try {
      await source.read(reference, never);
      return undefined;
    } catch (error) {
      return reportOf(error);
    }
  };
  return { client, source, calls, failure };
}

const value = (members: Record<string, unknown>) => ({
  body: { ARN: arn, Name: 'prod/database', VersionId: 'v1', ...members },
});

secretSourceContract('secretsManager', () => {
  let members: Record<string, unknown> = {};
  let version = 0;
  const { source } = setup(({ SecretId }) =>
    SecretId === 'here' ? value(members) : { error: 'ResourceNotFoundException' },
  );
  return {
    source,
    reference: { secretId: 'here' },
    absent: { secretId: 'absent' },
    put(bytes) {
      version += 1;
      members = { VersionId: `v${version}`, SecretBinary: bytes.toString('base64') };
    },
  };
});

describe('a round of reading', () => {
  it('asks once for a value of which several fields are wanted, so that they are of one version', async () => {
    let version = 0;
    const { client, calls } = setup(() => {
      version += 1;
      const text = JSON.stringify({ user: `user-${version}`, password: `password-${version}` });
      return value({ VersionId: `v${version}`, SecretString: text });
    });
    using round = secretsManager(async () => client);
    const read = async (more: Partial<SecretsManagerReference>) => {
      const reading = await round.read({ secretId: 'prod/database', ...more }, never);
      return `${reading.version} ${reading.value.revealText()}`;
    };

    const fields = await Promise.all([
      read({ jsonField: 'user' }),
      read({ jsonField: 'password', versionStage: 'AWSCURRENT' }),
    ]);
    const other = await read({ jsonField: 'user', versionStage: 'AWSPREVIOUS' });

    expect(fields).toEqual(['v1 user-1', 'v1 password-1']);
    expect(other).toBe('v2 user-2');
    expect(calls).toHaveLength(2);
  });

  it('gives each reader bytes of its own, and overwrites what it read', async () => {
    const { client } = setup(() => value({ SecretBinary: Buffer.from('binary').toString('base64') }));
    const round = secretsManager(async () => client);
    const [one, other] = await Promise.all([
      round.read({ secretId: 'x' }, never),
      round.read({ secretId: 'x' }, never),
    ]);

    one.value.dispose();
    round[Symbol.dispose]();
    await Promise.resolve();

    expect(other.value.revealText()).toBe('binary');
  });
});

describe('getSecretValue', () => {
  it('asks for the stage and gives text, version, ARN and name', async () => {
    const { client, calls } = setup(() => value({ SecretString: '{}' }));

    const got = await getSecretValue(
      client,
      { secretId: 'prod/database', versionStage: 'AWSPENDING' },
      never,
    );

    expect(got).toEqual({ text: '{}', versionId: 'v1', arn, name: 'prod/database' });
    expect(calls[0]?.input).toEqual({ SecretId: 'prod/database', VersionStage: 'AWSPENDING' });
  });

  it('gives the bytes of a binary secret', async () => {
    const { client } = setup(() => value({ SecretBinary: Buffer.from([0, 255]).toString('base64') }));

    expect((await getSecretValue(client, { secretId: 'x' }, never)).bytes).toEqual(Buffer.from([0, 255]));
  });

  it.each([
    [
      'ResourceNotFoundException',
      "Secrets Manager can't find the specified secret.",
      'SECRET_NOT_FOUND',
      false,
    ],
    [
      'ResourceNotFoundException',
      "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
      'SECRET_VERSION_NOT_FOUND',
      false,
    ],
    [
      'InvalidRequestException',
      "You can't perform this operation on the secret because it was marked for deletion.",
      'SECRET_DELETED',
      false,
    ],
    ['InvalidRequestException', 'Something else.', 'SECRET_REQUEST_REFUSED', false],
    ['InvalidParameterException', 'Something else.', 'SECRET_REQUEST_REFUSED', false],
    ['AccessDeniedException', 'User is not authorized.', 'SECRET_DENIED', false],
    ['DecryptionFailure', 'Key is gone.', 'SECRET_KEY_UNUSABLE', false],
    ['ThrottlingException', 'Rate exceeded', 'SECRET_THROTTLED', true],
    ['InternalServiceError', 'Oops.', 'SECRET_UNREACHABLE', true],
    ['ExpiredTokenException', 'Token expired.', 'SECRET_CREDENTIALS_REFUSED', true],
  ])('translates %s, %s', async (error, message, code, retry) => {
    const { failure } = setup(() => ({ error, message }));

    const report = await failure();

    expect(report).toMatchObject({ code, retry, causes: [error] });
    expect(JSON.stringify(report)).not.toContain(message);
  });

  it.each([{ cut: 'ECONNRESET' }, { error: 'GatewayTimeout', status: 504 }])(
    'calls no answer of Secrets Manager itself unreachable: %o',
    async (answer) => {
      const { failure } = setup(() => answer);

      expect(await failure()).toMatchObject({ code: 'SECRET_UNREACHABLE', retry: true });
    },
  );
});

describe('a field of a JSON secret', () => {
  it.each([
    ['text', '{"password":"pä\\"ss"}', 'pä"ss'],
    ['an empty text', '{"password":""}', ''],
    ['a number in its own digits', '{"password":12345678901234567890}', '12345678901234567890'],
    ['a number as it is written', '{"password":1.50}', '1.50'],
    ['a boolean', '{"password":false}', 'false'],
  ])('is given as %s', async (_what, text, expected) => {
    const { source } = setup(() => value({ SecretString: text }));

    const reading = await source.read({ secretId: 'x', jsonField: 'password' }, never);

    expect(reading.value.revealText()).toBe(expected);
    expect(reading.version).toBe('v1');
  });

  it.each([
    ['no JSON', 'hunter2 hunter2', 'SECRET_NOT_JSON'],
    ['cut JSON', '{"password":"hunter2', 'SECRET_NOT_JSON'],
    ['an array', '["hunter2"]', 'SECRET_NOT_JSON'],
    ['a JSON text', '"hunter2"', 'SECRET_NOT_JSON'],
    ['a JSON number', '7', 'SECRET_NOT_JSON'],
    ['JSON null', 'null', 'SECRET_NOT_JSON'],
    ['no such field', '{"passwort":"hunter2"}', 'SECRET_FIELD_MISSING'],
    ['an inherited name only', '{}', 'SECRET_FIELD_MISSING', 'toString'],
    ['an object', '{"password":{"a":"hunter2"}}', 'SECRET_FIELD_TYPE'],
    ['a list', '{"password":["hunter2"]}', 'SECRET_FIELD_TYPE'],
    ['null', '{"password":null}', 'SECRET_FIELD_TYPE'],
  ])(
    'is refused where there is %s, without repeating any of it',
    async (_what, text, code, field = 'password') => {
      const { failure } = setup(() => value({ SecretString: text }));

      const report = await failure({ secretId: 'x', jsonField: field });

      expect(report).toMatchObject({ code, retry: false });
      expect(JSON.stringify(report)).not.toContain('hunter2');
    },
  );

  it('is refused of a binary secret', async () => {
    const { failure } = setup(() =>
      value({ SecretBinary: Buffer.from('{"password":"x"}').toString('base64') }),
    );

    expect(await failure({ secretId: 'x', jsonField: 'password' })).toMatchObject({
      code: 'SECRET_NOT_JSON',
    });
  });
});
