import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { secretsManager } from './secrets-manager.ts';
import { AwsError, type JsonObject } from './service.ts';

const account = '111122223333';
const region = 'eu-west-1';
const dayMs = 24 * 60 * 60 * 1000;
const start = 1_795_348_800.25;

const notFound = "ResourceNotFoundException: Secrets Manager can't find the specified secret.";
const markedForDeletion =
  "InvalidRequestException: You can't perform this operation on the secret because it was marked for deletion.";

function setup() {
  const state = secretsManager.newState();
  let now = new Date(start * 1000);
  const callAs = (accountId: string, from: string, name: string, input: JsonObject = {}): JsonObject => {
    const caller = {
      accountId,
      arn: `arn:aws:iam::${accountId}:user/u`,
      userId: 'AIDA',
      accessKeyId: 'AKIA',
    };
    const operation = secretsManager.operations[name];
    if (operation === undefined) throw new TypeError(`no operation ${name}`);
    return operation(input, state, { caller, region: from, now, requestId: 'r' }) ?? {};
  };
  const call = (name: string, input: JsonObject = {}) => callAs(account, region, name, input);
  return {
    state,
    call,
    callAs,
    refusal: (name: string, input: JsonObject): string => refusalOf(() => call(name, input)),
    /** Creates a secret and returns its ARN. */
    create: (Name: string, SecretString = 'v1', more: JsonObject = {}) =>
      call('CreateSecret', { Name, SecretString, ClientRequestToken: randomUUID(), ...more })[
        'ARN'
      ] as string,
    /** Puts a value and returns the id of its version. */
    put: (SecretId: string, SecretString: string, more: JsonObject = {}) =>
      call('PutSecretValue', { SecretId, SecretString, ClientRequestToken: randomUUID(), ...more })[
        'VersionId'
      ] as string,
    get: (SecretId: string, more: JsonObject = {}) =>
      call('GetSecretValue', { SecretId, ...more })['SecretString'],
    stages: (SecretId: string) =>
      (call('DescribeSecret', { SecretId })['VersionIdsToStages'] ?? {}) as Record<string, string[]>,
    pass: (ms: number) => {
      now = new Date(now.getTime() + ms);
    },
  };
}

/** The names of the secrets that ListSecrets gave. */
const names = (reply: JsonObject) => (reply['SecretList'] as JsonObject[]).map((secret) => secret['Name']);

/** `Name: message` of what was thrown. */
function refusalOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof AwsError) return `${error.name}: ${error.message}`;
    throw error;
  }
  return 'nothing refused';
}

describe('creating', () => {
  it('a secret gets an ARN with six random characters and a current version', () => {
    const { call } = setup();
    const ClientRequestToken = randomUUID();

    const created = call('CreateSecret', {
      Name: 'prod/db',
      Description: 'the database',
      KmsKeyId: 'alias/mine',
      SecretString: 'v1',
      ClientRequestToken,
      Tags: [{ Key: 'team', Value: 'core' }],
    });

    expect(created['ARN']).toMatch(
      /^arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod\/db-[A-Za-z0-9]{6}$/u,
    );
    expect(created).toEqual({ ARN: created['ARN'], Name: 'prod/db', VersionId: ClientRequestToken });
    expect(call('GetSecretValue', { SecretId: 'prod/db' })).toEqual({
      ARN: created['ARN'],
      Name: 'prod/db',
      VersionId: ClientRequestToken,
      SecretString: 'v1',
      VersionStages: ['AWSCURRENT'],
      CreatedDate: start,
    });
    expect(call('DescribeSecret', { SecretId: 'prod/db' })).toEqual({
      ARN: created['ARN'],
      Name: 'prod/db',
      Description: 'the database',
      KmsKeyId: 'alias/mine',
      CreatedDate: start,
      LastChangedDate: start,
      LastAccessedDate: Math.floor(start / 86_400) * 86_400,
      Tags: [{ Key: 'team', Value: 'core' }],
      VersionIdsToStages: { [ClientRequestToken]: ['AWSCURRENT'] },
    });
  });

  it('a binary secret comes back in base64', () => {
    const { call } = setup();
    const SecretBinary = Buffer.from([0, 255, 1]).toString('base64');
    call('CreateSecret', { Name: 'b', SecretBinary, ClientRequestToken: randomUUID() });

    const value = call('GetSecretValue', { SecretId: 'b' });

    expect(value['SecretBinary']).toBe(SecretBinary);
    expect(value).not.toHaveProperty('SecretString');
  });

  it('a secret may begin without a value', () => {
    const { call, refusal, put, get } = setup();

    const created = call('CreateSecret', { Name: 'empty' });

    expect(created).not.toHaveProperty('VersionId');
    expect(call('DescribeSecret', { SecretId: 'empty' })).not.toHaveProperty('VersionIdsToStages');
    expect(refusal('GetSecretValue', { SecretId: 'empty' })).toBe(
      "ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
    );
    put('empty', 'first', { VersionStages: ['AWSPENDING'] });
    expect(get('empty')).toBe('first');
  });

  it('a value is one of text and bytes, of at most 65,536 bytes', () => {
    const { call, refusal, get } = setup();
    const creating = (input: JsonObject) =>
      refusal('CreateSecret', { Name: 'x', ClientRequestToken: randomUUID(), ...input });
    const tooLong =
      /^ValidationException: 1 validation error detected: Value at 'secret(?:String|Binary)' failed/u;

    expect(creating({ SecretString: 'a', SecretBinary: 'YQ==' })).toMatch(
      /^InvalidParameterException: You can't specify both/u,
    );
    expect(creating({ SecretString: 'x'.repeat(65_537) })).toMatch(tooLong);
    expect(creating({ SecretString: 'é'.repeat(32_769) })).toMatch(tooLong);
    expect(creating({ SecretBinary: Buffer.alloc(65_537).toString('base64') })).toMatch(tooLong);
    expect(creating({ SecretString: '' })).toMatch(tooLong);
    expect(refusal('CreateSecret', { Name: 'x', SecretString: 'a' })).toBe(
      'InvalidRequestException: You must provide a ClientRequestToken value. We recommend a UUID-type value.',
    );
    call('CreateSecret', {
      Name: 'x',
      SecretString: 'é'.repeat(32_768),
      ClientRequestToken: randomUUID(),
    });
    expect(get('x')).toHaveLength(32_768);
  });

  it('names hold only what AWS allows', () => {
    const { refusal, create, get } = setup();
    const invalid = /^ValidationException: Invalid name\. Must be a valid name/u;

    for (const Name of ['with space', 'a:b', 'ü', 'a!'])
      expect(refusal('CreateSecret', { Name })).toMatch(invalid);
    expect(refusal('CreateSecret', { Name: 'x'.repeat(513) })).toMatch(/^ValidationException: 1 validation/u);
    expect(refusal('CreateSecret', {})).toMatch(/^ValidationException/u);
    expect(refusal('GetSecretValue', { SecretId: 'with space' })).toMatch(invalid);
    create('A-z0/9_+=.@-');
    expect(get('A-z0/9_+=.@-')).toBe('v1');
  });

  it('the same request again is answered again, another one for the name refused', () => {
    const { call, refusal } = setup();
    const request = { Name: 'x', SecretString: 'v1', ClientRequestToken: randomUUID() };
    const first = call('CreateSecret', request) as { ARN: string };

    expect(call('CreateSecret', request)).toEqual(first);
    expect(refusal('CreateSecret', { ...request, SecretString: 'v2' })).toBe(
      `ResourceExistsException: You can't use ClientRequestToken ${request.ClientRequestToken} because that value ` +
        `is already in use for a version of secret ${first.ARN}.`,
    );
    expect(refusal('CreateSecret', { ...request, ClientRequestToken: randomUUID() })).toBe(
      'ResourceExistsException: The operation failed because the secret x already exists.',
    );
  });
});

describe('finding', () => {
  it('a secret is found by name, ARN, and ARN without the six characters', () => {
    const { create, get } = setup();
    const arn = create('prod/db');

    expect([get('prod/db'), get(arn), get(arn.slice(0, -7))]).toEqual(['v1', 'v1', 'v1']);
  });

  it('an ARN that ends like a whole one is taken for a whole one', () => {
    const { create, get, refusal } = setup();
    const arn = create('db-AbCdEf');

    expect(get(arn)).toBe('v1');
    expect(refusal('GetSecretValue', { SecretId: arn.slice(0, -7) })).toBe(notFound);
  });

  it("another secret's ending, region or account finds nothing", () => {
    const { create, refusal, callAs } = setup();
    const arn = create('db');

    expect(refusal('GetSecretValue', { SecretId: `${arn.slice(0, -6)}000000` })).toBe(notFound);
    expect(refusal('GetSecretValue', { SecretId: 'DB' })).toBe(notFound);
    expect(refusal('GetSecretValue', { SecretId: arn.replace(region, 'us-east-1') })).toBe(notFound);
    for (const SecretId of ['db', arn]) {
      expect(refusalOf(() => callAs('999988887777', region, 'GetSecretValue', { SecretId }))).toBe(notFound);
      expect(refusalOf(() => callAs(account, 'us-east-1', 'GetSecretValue', { SecretId }))).toBe(notFound);
    }
  });

  it('a version is found by id and by label, and both must agree', () => {
    const { create, put, get, call, refusal } = setup();
    create('db');
    const VersionId = put('db', 'v2');
    const none = randomUUID();

    expect(get('db')).toBe('v2');
    expect(get('db', { VersionId })).toBe('v2');
    expect(get('db', { VersionStage: 'AWSPREVIOUS' })).toBe('v1');
    expect(get('db', { VersionId, VersionStage: 'AWSCURRENT' })).toBe('v2');
    expect(refusal('GetSecretValue', { SecretId: 'db', VersionId, VersionStage: 'AWSPREVIOUS' })).toBe(
      'InvalidRequestException: You provided a VersionStage that is not associated to the provided VersionId.',
    );
    expect(refusal('GetSecretValue', { SecretId: 'db', VersionId: none })).toBe(
      `ResourceNotFoundException: Secrets Manager can't find the specified secret value for VersionId: ${none}`,
    );
    expect(refusal('GetSecretValue', { SecretId: 'db', VersionStage: 'X' })).toBe(
      "ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging label: X",
    );
    expect(refusal('GetSecretValue', { SecretId: 'db', VersionId: 'short' })).toBe(
      "ValidationException: 1 validation error detected: Value 'short' at 'versionId' failed to satisfy " +
        'constraint: Member must have length greater than or equal to 32',
    );
    expect(call('GetSecretValue', { SecretId: 'db' })['VersionStages']).toEqual(['AWSCURRENT']);
  });

  it('several secrets are read at once, each with its own failure', () => {
    const { create, call, refusal } = setup();
    create('a');
    create('b');

    const reply = call('BatchGetSecretValue', { SecretIdList: ['a', 'none', 'b'] });

    expect((reply['SecretValues'] as JsonObject[]).map((value) => value['Name'])).toEqual(['a', 'b']);
    expect(reply['Errors']).toEqual([
      {
        SecretId: 'none',
        ErrorCode: 'ResourceNotFoundException',
        Message: "Secrets Manager can't find the specified secret.",
      },
    ]);
    const filtered = call('BatchGetSecretValue', { Filters: [{ Key: 'name', Values: ['b'] }] });
    expect(filtered['SecretValues']).toMatchObject([{ Name: 'b' }]);
    expect(refusal('BatchGetSecretValue', {})).toMatch(/^InvalidParameterException/u);
  });
});

describe('versions', () => {
  it('a new value is current and the one before it previous', () => {
    const { create, put, stages } = setup();
    create('db', 'v1', { ClientRequestToken: 'version-1-'.padEnd(32, '0') });

    const second = put('db', 'v2');
    const third = put('db', 'v3');

    expect(stages('db')).toEqual({ [second]: ['AWSPREVIOUS'], [third]: ['AWSCURRENT'] });
  });

  it('putting is idempotent by its token', () => {
    const { create, put, call, refusal, stages } = setup();
    const arn = create('db');
    const ClientRequestToken = randomUUID();
    put('db', 'v2', { ClientRequestToken });
    put('db', 'v3');
    const before = stages('db');

    const again = call('PutSecretValue', { SecretId: 'db', SecretString: 'v2', ClientRequestToken });

    expect(again).toMatchObject({ VersionId: ClientRequestToken, VersionStages: ['AWSPREVIOUS'] });
    expect(stages('db')).toEqual(before);
    const other = { SecretId: 'db', SecretString: 'x', ClientRequestToken };
    const inUse =
      `ResourceExistsException: You can't use ClientRequestToken ${ClientRequestToken} because that value is ` +
      `already in use for a version of secret ${arn}.`;
    expect(refusal('PutSecretValue', other)).toBe(inUse);
    expect(refusal('UpdateSecret', { ...other, SecretString: 'v2' })).toBe(inUse);
    expect(refusal('PutSecretValue', { SecretId: 'db', ClientRequestToken })).toMatch(
      /^InvalidRequestException/u,
    );
    expect(refusal('PutSecretValue', { ...other, SecretId: 'none' })).toBe(notFound);
  });

  it('a pending version becomes current when its label moves, and can be rolled back', () => {
    const { create, put, get, call, stages } = setup();
    const first = randomUUID();
    create('db', 'v1', { ClientRequestToken: first });
    const second = put('db', 'v2', { VersionStages: ['AWSPENDING', 'MINE'] });
    expect(get('db')).toBe('v1');
    const move = (RemoveFromVersionId: string, MoveToVersionId: string) =>
      call('UpdateSecretVersionStage', {
        SecretId: 'db',
        VersionStage: 'AWSCURRENT',
        RemoveFromVersionId,
        MoveToVersionId,
      });

    move(first, second);
    expect(get('db')).toBe('v2');
    expect(stages('db')).toEqual({
      [first]: ['AWSPREVIOUS'],
      [second]: ['AWSCURRENT', 'AWSPENDING', 'MINE'],
    });

    move(second, first);
    expect(get('db')).toBe('v1');
    expect(stages('db')).toEqual({ [first]: ['AWSCURRENT'], [second]: ['AWSPREVIOUS', 'MINE'] });
  });

  it('a label only moves from the version that it is said to be on', () => {
    const { create, put, call, refusal, stages } = setup();
    const first = randomUUID();
    create('db', 'v1', { ClientRequestToken: first });
    const second = put('db', 'v2', { VersionStages: ['MINE'] });
    const moving = (input: JsonObject) =>
      refusal('UpdateSecretVersionStage', { SecretId: 'db', VersionStage: 'AWSCURRENT', ...input });

    expect(moving({ MoveToVersionId: second })).toBe(
      "InvalidParameterException: The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is " +
        `currently attached to version ${first}, so you must explicitly reference that version in ` +
        'RemoveFromVersionId.',
    );
    expect(moving({ RemoveFromVersionId: second, MoveToVersionId: second })).toMatch(
      /^InvalidParameterException/u,
    );
    expect(moving({ RemoveFromVersionId: first })).toMatch(/^InvalidParameterException: You can only move/u);
    expect(moving({ RemoveFromVersionId: first, MoveToVersionId: randomUUID() })).toMatch(
      /^ResourceNotFoundException/u,
    );
    expect(moving({})).toMatch(/^InvalidParameterException/u);
    call('UpdateSecretVersionStage', { SecretId: 'db', VersionStage: 'MINE', RemoveFromVersionId: second });
    expect(stages('db')).toEqual({ [first]: ['AWSCURRENT'] });
  });

  it('versions without a label are listed only when asked for', () => {
    const { create, put, call } = setup();
    const first = randomUUID();
    create('db', 'v1', { ClientRequestToken: first });
    const second = put('db', 'v2');
    const third = put('db', 'v3');
    const ids = (input: JsonObject) =>
      (call('ListSecretVersionIds', { SecretId: 'db', ...input })['Versions'] as JsonObject[]).map(
        (version) => version['VersionId'],
      );

    expect(ids({})).toEqual([second, third]);
    expect(ids({ IncludeDeprecated: true })).toEqual([first, second, third]);
    const page = call('ListSecretVersionIds', { SecretId: 'db', MaxResults: 1 });
    expect(page['Versions']).toEqual([
      {
        VersionId: second,
        VersionStages: ['AWSPREVIOUS'],
        CreatedDate: start,
        KmsKeyIds: ['DefaultEncryptionKey'],
      },
    ]);
    expect(ids({ MaxResults: 1, NextToken: page['NextToken'] })).toEqual([third]);
  });

  it('a hundred versions are kept, and those of today are never thrown away', () => {
    const { create, put, call, refusal, pass } = setup();
    create('db');
    for (let n = 2; n <= 100; n += 1) put('db', `v${n}`);
    const another = { SecretId: 'db', SecretString: 'more', ClientRequestToken: randomUUID() };

    expect(refusal('PutSecretValue', another)).toMatch(/^LimitExceededException/u);
    pass(dayMs);
    call('PutSecretValue', another);

    const { Versions } = call('ListSecretVersionIds', { SecretId: 'db', IncludeDeprecated: true });
    expect(Versions).toHaveLength(100);
  });

  it('a secret has at most 20 labels', () => {
    const { create, put, refusal } = setup();
    create('db');
    put('db', 'v2', { VersionStages: Array.from({ length: 19 }, (_, n) => `label-${n}`) });

    expect(
      refusal('PutSecretValue', {
        SecretId: 'db',
        SecretString: 'v3',
        ClientRequestToken: randomUUID(),
        VersionStages: ['one-more'],
      }),
    ).toMatch(/^LimitExceededException/u);
  });

  const labels = fc.constantFrom('AWSCURRENT', 'AWSPENDING', 'AWSPREVIOUS', 'MINE');
  const step = fc.oneof(
    fc.record({ put: fc.option(fc.uniqueArray(labels, { minLength: 1 }), { nil: undefined }) }),
    fc.record({ label: labels, from: fc.option(fc.nat({ max: 5 })), to: fc.option(fc.nat({ max: 5 })) }),
  );

  it('whatever is put and moved: one version is current, and no label is on two', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const { create, put, get, refusal, stages } = setup();
        const ids: string[] = [randomUUID()];
        create('db', ids[0], { ClientRequestToken: ids[0] });
        let current = ids[0];

        for (const each of steps) {
          if ('put' in each) {
            const id = randomUUID();
            ids.push(put('db', id, { ClientRequestToken: id, VersionStages: each.put }));
            if (each.put === undefined || each.put.includes('AWSCURRENT')) current = id;
          } else {
            const from = each.from === null ? undefined : ids[each.from % ids.length];
            const to = each.to === null ? undefined : ids[each.to % ids.length];
            const outcome = refusal('UpdateSecretVersionStage', {
              SecretId: 'db',
              VersionStage: each.label,
              RemoveFromVersionId: from,
              MoveToVersionId: to,
            });
            if (outcome === 'nothing refused' && each.label === 'AWSCURRENT' && to) current = to;
          }
          const held = Object.values(stages('db')).flat();
          expect(held.filter((label) => label === 'AWSCURRENT')).toHaveLength(1);
          expect(new Set(held).size).toBe(held.length);
          expect(get('db')).toBe(current);
        }
      }),
    );
  });
});

describe('changing', () => {
  it('an update changes description and key, and the value if it brings one', () => {
    const { create, call, get } = setup();
    create('db', 'v1', { KmsKeyId: 'alias/old' });

    expect(
      call('UpdateSecret', { SecretId: 'db', Description: 'new', KmsKeyId: 'alias/new' }),
    ).not.toHaveProperty('VersionId');
    const VersionId = randomUUID();
    call('UpdateSecret', { SecretId: 'db', SecretString: 'v2', ClientRequestToken: VersionId });

    expect(get('db', { VersionId })).toBe('v2');
    expect(call('DescribeSecret', { SecretId: 'db' })).toMatchObject({
      Description: 'new',
      KmsKeyId: 'alias/new',
    });
    expect(call('ListSecretVersionIds', { SecretId: 'db' })['Versions']).toMatchObject([
      { KmsKeyIds: ['alias/new'] },
      { KmsKeyIds: ['alias/new'] },
    ]);
    call('UpdateSecret', { SecretId: 'db', KmsKeyId: '' });
    expect(call('DescribeSecret', { SecretId: 'db' })).not.toHaveProperty('KmsKeyId');
  });

  it('tags are set, replaced and removed, within their rules', () => {
    const { create, call, refusal } = setup();
    create('db');
    const tagging = (...keys: string[]) =>
      refusal('TagResource', { SecretId: 'db', Tags: keys.map((Key) => ({ Key, Value: 'v' })) });

    expect(tagging('a', 'b')).toBe('nothing refused');
    call('UntagResource', { SecretId: 'db', TagKeys: ['a'] });

    expect(call('DescribeSecret', { SecretId: 'db' })['Tags']).toEqual([{ Key: 'b', Value: 'v' }]);
    expect(tagging('aws:a')).toMatch(/^InvalidParameterException/u);
    expect(tagging('c', 'c')).toMatch(/^InvalidParameterException/u);
    expect(tagging(...Array.from({ length: 50 }, (_, n) => `t${n}`))).toMatch(/^InvalidParameterException/u);
    expect(tagging('x'.repeat(129))).toMatch(/^ValidationException/u);
  });

  it('a resource policy is stored as given, if it is one', () => {
    const { create, call, refusal } = setup();
    const arn = create('db');
    const open = JSON.stringify({ Statement: { Effect: 'Allow', Principal: { AWS: '*' }, Action: '*' } });
    const putting = (ResourcePolicy: string, BlockPublicPolicy = true) =>
      refusal('PutResourcePolicy', { SecretId: 'db', ResourcePolicy, BlockPublicPolicy });

    expect(call('GetResourcePolicy', { SecretId: 'db' })).toEqual({ ARN: arn, Name: 'db' });
    for (const broken of ['{', '[]', '{}', '{"Statement":[1]}']) {
      expect(putting(broken)).toBe(
        'MalformedPolicyDocumentException: This resource policy contains a syntax error.',
      );
    }
    expect(putting(open)).toMatch(/^PublicPolicyException/u);
    expect(putting(open, false)).toBe('nothing refused');
    expect(call('GetResourcePolicy', { SecretId: 'db' })['ResourcePolicy']).toBe(open);
    call('DeleteResourcePolicy', { SecretId: 'db' });
    expect(call('GetResourcePolicy', { SecretId: 'db' })).not.toHaveProperty('ResourcePolicy');
  });
});

describe('listing', () => {
  it('secrets are listed by the page, in the order they were made', () => {
    const { create, call, refusal, pass } = setup();
    for (const name of ['c', 'a', 'b']) {
      create(name);
      pass(1);
    }

    const first = call('ListSecrets', { MaxResults: 2 });

    expect(names(first)).toEqual(['c', 'a']);
    expect(names(call('ListSecrets', { MaxResults: 2, NextToken: first['NextToken'] }))).toEqual(['b']);
    expect(names(call('ListSecrets', { SortBy: 'name', SortOrder: 'desc' }))).toEqual(['c', 'b', 'a']);
    expect(refusal('ListSecrets', { NextToken: 'nonsense' })).toMatch(/^InvalidNextTokenException/u);
    expect(refusal('ListSecrets', { MaxResults: 101 })).toMatch(/^ValidationException/u);
  });

  it('filters are prefixes; values are alternatives, filters all apply, and ! negates', () => {
    const { create, call } = setup();
    create('prod/db', 'v', { Description: 'Main database', Tags: [{ Key: 'team', Value: 'core' }] });
    create('prod/api', 'v', { Tags: [{ Key: 'team', Value: 'web' }] });
    create('test/db');
    const listed = (...Filters: [Key: string, ...Values: string[]][]) =>
      names(call('ListSecrets', { Filters: Filters.map(([Key, ...Values]) => ({ Key, Values })) }));

    expect(listed(['name', 'prod/'])).toEqual(['prod/db', 'prod/api']);
    expect(listed(['name', 'prod/d', 'test'])).toEqual(['prod/db', 'test/db']);
    expect(listed(['name', 'PROD'])).toEqual([]);
    expect(listed(['name', '!prod/'])).toEqual(['test/db']);
    expect(listed(['description', 'main'])).toEqual(['prod/db']);
    expect(listed(['name', 'prod/'], ['tag-value', 'web'])).toEqual(['prod/api']);
    expect(listed(['tag-key', 'te'])).toEqual(['prod/db', 'prod/api']);
    expect(listed(['all', 'CORE'])).toEqual(['prod/db']);
  });
});

describe('deleting', () => {
  it('a deleted secret can be described, not read, and be restored', () => {
    const { create, call, refusal, get } = setup();
    const arn = create('db');

    const deleted = call('DeleteSecret', { SecretId: 'db', RecoveryWindowInDays: 7 });

    expect(deleted).toEqual({ ARN: arn, Name: 'db', DeletionDate: start + 7 * 86_400 });
    for (const name of ['GetSecretValue', 'DeleteSecret', 'UpdateSecret', 'GetResourcePolicy']) {
      expect(refusal(name, { SecretId: 'db' })).toBe(markedForDeletion);
    }
    expect(call('DescribeSecret', { SecretId: 'db' })).toMatchObject({ DeletedDate: start + 7 * 86_400 });
    expect(call('ListSecrets')['SecretList']).toEqual([]);
    expect(call('ListSecrets', { IncludePlannedDeletion: true })['SecretList']).toMatchObject([
      { DeletedDate: start },
    ]);
    expect(refusal('CreateSecret', { Name: 'db' })).toBe(
      "InvalidRequestException: You can't create this secret because a secret with this name is already scheduled " +
        'for deletion.',
    );

    call('RestoreSecret', { SecretId: 'db' });
    expect(get('db')).toBe('v1');
  });

  it('a deleted secret is gone when its recovery window is over', () => {
    const { create, call, refusal, pass } = setup();
    create('db');
    call('DeleteSecret', { SecretId: 'db' });

    pass(30 * dayMs - 1);
    expect(refusal('GetSecretValue', { SecretId: 'db' })).toBe(markedForDeletion);
    pass(1);

    expect(refusal('GetSecretValue', { SecretId: 'db' })).toBe(notFound);
    expect(refusal('RestoreSecret', { SecretId: 'db' })).toBe(notFound);
  });

  it('the recovery window is 7 to 30 days, or none at all', () => {
    const { create, call, refusal } = setup();
    const arn = create('db');
    const deleting = (input: JsonObject) => refusal('DeleteSecret', { SecretId: 'db', ...input });

    for (const RecoveryWindowInDays of [0, 6, 31]) {
      expect(deleting({ RecoveryWindowInDays })).toBe(
        'InvalidParameterException: The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).',
      );
    }
    expect(deleting({ RecoveryWindowInDays: 7, ForceDeleteWithoutRecovery: true })).toBe(
      "InvalidParameterException: You can't use ForceDeleteWithoutRecovery in conjunction with " +
        'RecoveryWindowInDays.',
    );
    expect(call('DeleteSecret', { SecretId: 'db', ForceDeleteWithoutRecovery: true })).toEqual({
      ARN: arn,
      Name: 'db',
      DeletionDate: start,
    });
    expect(refusal('DescribeSecret', { SecretId: 'db' })).toBe(notFound);
    expect(deleting({ ForceDeleteWithoutRecovery: true })).toBe('nothing refused');
    expect(deleting({})).toBe(notFound);
    expect(create('db')).not.toBe(arn);
  });
});
