import { describe, expect, it } from 'vitest';
import {
  eventsAt,
  groupMissing,
  logsFixture,
  place,
  start,
  streamMissing,
  structures,
} from '../test/support/logs-fixture.ts';

describe('groups and streams', () => {
  it.each(['a b', 'a:b', 'ü', 'x'.repeat(513), 'aws/lambda', ''])(
    'a group may not be called %j',
    (logGroupName) => {
      const { call } = logsFixture();

      expect(() => call('CreateLogGroup', { logGroupName })).toThrow(
        expect.objectContaining({ name: 'InvalidParameterException' }),
      );
    },
  );

  it.each(['a:b', 'a*b', 'x'.repeat(513), ''])('a stream may not be called %j', (logStreamName) => {
    const { call } = logsFixture();

    expect(() => call('CreateLogStream', { logGroupName: 'group', logStreamName })).toThrow(
      expect.objectContaining({ name: 'InvalidParameterException' }),
    );
  });

  it('a name is taken once', () => {
    const { call } = logsFixture();

    const name = 'ResourceAlreadyExistsException';
    expect(() => call('CreateLogGroup', { logGroupName: 'group' })).toThrow(
      expect.objectContaining({ name }),
    );
    expect(() => call('CreateLogStream', place)).toThrow(expect.objectContaining({ name }));
  });

  it('a name that every object inherits is a name like others', () => {
    const { call } = logsFixture();

    expect(() => call('CreateLogStream', { logGroupName: 'constructor', logStreamName: 'a' })).toThrow(
      groupMissing,
    );
    call('CreateLogStream', { logGroupName: 'group', logStreamName: 'constructor' });
  });

  it.each([0, 2, 31, 10_000])('a retention of %d days is refused', (retentionInDays) => {
    const { call } = logsFixture();

    expect(() => call('PutRetentionPolicy', { logGroupName: 'group', retentionInDays })).toThrow(
      expect.objectContaining({ name: 'InvalidParameterException' }),
    );
  });

  it('a description says retention, class, key and both forms of the ARN', () => {
    const { call } = logsFixture();
    const kmsKeyId = 'arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555';
    call('CreateLogGroup', { logGroupName: '/a', kmsKeyId, logGroupClass: 'INFREQUENT_ACCESS' });
    call('PutRetentionPolicy', { logGroupName: '/a', retentionInDays: 30 });

    const reply = call('DescribeLogGroups', { logGroupNamePrefix: '/' });

    const arn = 'arn:aws:logs:eu-west-1:123456789012:log-group:/a';
    expect(reply).toEqual({
      logGroups: [
        expect.objectContaining({
          logGroupName: '/a',
          retentionInDays: 30,
          arn: `${arn}:*`,
          logGroupArn: arn,
          kmsKeyId,
          logGroupClass: 'INFREQUENT_ACCESS',
        }),
      ],
    });
  });

  it('descriptions are paged', () => {
    const { call } = logsFixture();
    call('CreateLogGroup', { logGroupName: 'second' });

    const first = call('DescribeLogGroups', { limit: 1 });
    const second = call('DescribeLogGroups', { limit: 1, nextToken: first['nextToken'] });

    expect(structures(first['logGroups'])).toMatchObject([{ logGroupName: 'group' }]);
    expect(structures(second['logGroups'])).toMatchObject([{ logGroupName: 'second' }]);
    expect(second['nextToken']).toBeUndefined();
  });

  it('streams are described by name or by last event', () => {
    const { call, put } = logsFixture();
    call('CreateLogStream', { logGroupName: 'group', logStreamName: 'another' });
    put(eventsAt(0));

    const named = call('DescribeLogStreams', { logGroupName: 'group' });
    const timed = call('DescribeLogStreams', {
      logGroupName: 'group',
      orderBy: 'LastEventTime',
      descending: true,
    });

    expect(structures(named['logStreams']).map((stream) => stream['logStreamName'])).toEqual([
      'another',
      'stream',
    ]);
    expect(structures(timed['logStreams'])[0]).toMatchObject({
      logStreamName: 'stream',
      firstEventTimestamp: start.getTime(),
      lastEventTimestamp: start.getTime(),
    });
  });

  it('a protected group is not deleted until it is protected no more', () => {
    const { call } = logsFixture();
    call('CreateLogGroup', { logGroupName: 'kept', deletionProtectionEnabled: true });

    expect(() => call('DeleteLogGroup', { logGroupName: 'kept' })).toThrow(/deletion protection/u);
    call('PutLogGroupDeletionProtection', { logGroupIdentifier: 'kept', deletionProtectionEnabled: false });
    call('DeleteLogGroup', { logGroupName: 'kept' });

    expect(() => call('DeleteLogGroup', { logGroupName: 'kept' })).toThrow(groupMissing);
  });

  it('a deleted stream is gone with its events', () => {
    const { call, put, get } = logsFixture();
    put(eventsAt(0));

    call('DeleteLogStream', place);

    expect(() => get()).toThrow(streamMissing);
  });

  it('tags are set, listed and removed by the ARN', () => {
    const { call } = logsFixture();
    const resourceArn = 'arn:aws:logs:eu-west-1:123456789012:log-group:group';

    call('TagResource', { resourceArn, tags: { a: '1', b: '2' } });
    call('UntagResource', { resourceArn, tagKeys: ['a'] });

    expect(call('ListTagsForResource', { resourceArn })).toEqual({ tags: { b: '2' } });
  });

  it('the state survives JSON', () => {
    const { state, put } = logsFixture();
    put(eventsAt(0, 1));

    const copy: unknown = JSON.parse(JSON.stringify(state));

    expect(JSON.stringify(copy)).toBe(JSON.stringify(state));
  });
});
