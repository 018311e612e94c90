import { flag, integer, required, text, textMap, type Values } from './constraints.ts';
import {
  constraintFailed,
  groupMember,
  groupName,
  groupOf,
  identifiedGroup,
  identifiedGroupMembers,
  invalidParameter,
  noGroup,
  ownValue,
  readInput,
  streamMembers,
  streamName,
  streamOf,
  textList,
} from './logs/input.ts';
import { putLogEvents } from './logs/put.ts';
import { filterLogEvents, getLogEvents } from './logs/read.ts';
import type { LogGroup, LogGroupClass, LogStream, LogsState } from './logs/state.ts';
import { type Page, page } from './page.ts';
import { AwsError, type CallContext, type JsonObject, type JsonService } from './service.ts';

export type { LogsState } from './logs/state.ts';

const groupClasses: readonly LogGroupClass[] = ['STANDARD', 'INFREQUENT_ACCESS', 'ESSENTIALS', 'DELIVERY'];
const retentionDays: ReadonlySet<number> = new Set([
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
]);
const keyArn = /^arn:aws[\w-]*:kms:[\w-]+:\d{12}:key\/[\w-]+$/u;
const describedMax = 50;
const tagsMax = 50;
const pageMembers = { nextToken: text({ min: 1 }), limit: integer({ min: 1, max: describedMax }) };
const taggedMember = { resourceArn: required(text({ min: 1, max: 1011 })) };
const logGroupClass = text({ oneOf: groupClasses });

/** CloudWatch Logs, as strict as AWS documents it. Events are taken and read as the service's own clock says. */
export const logs: JsonService<LogsState> = {
  signingName: 'logs',
  targetPrefix: 'Logs_20140328',
  newState: () => ({ groups: {} }),
  resourceOf,
  operations: {
    CreateLogGroup: createLogGroup,
    DeleteLogGroup: deleteLogGroup,
    DescribeLogGroups: describeLogGroups,
    PutLogGroupDeletionProtection: putLogGroupDeletionProtection,
    PutRetentionPolicy: putRetentionPolicy,
    DeleteRetentionPolicy: deleteRetentionPolicy,
    CreateLogStream: createLogStream,
    DeleteLogStream: deleteLogStream,
    DescribeLogStreams: describeLogStreams,
    PutLogEvents: putLogEvents,
    GetLogEvents: getLogEvents,
    FilterLogEvents: filterLogEvents,
    TagResource: tagResource,
    UntagResource: untagResource,
    ListTagsForResource: listTagsForResource,
  },
};

const onStreams = new Set(['CreateLogStream', 'DeleteLogStream', 'PutLogEvents', 'GetLogEvents']);

/** "Resource types defined by Amazon CloudWatch Logs". */
function resourceOf(
  operation: string,
  input: JsonObject,
  _state: LogsState,
  { region, caller }: CallContext,
): string | undefined {
  const { logGroupName: name, logGroupIdentifier: identifier = name, logStreamName: stream = '' } = input;
  const { resourceArn = identifier } = input;
  if (typeof resourceArn !== 'string') return undefined;
  const group = resourceArn.startsWith('arn:')
    ? resourceArn.replace(/:\*$/u, '')
    : `arn:aws:logs:${region}:${caller.accountId}:log-group:${resourceArn}`;
  return onStreams.has(operation) && typeof stream === 'string' ? `${group}:log-stream:${stream}` : group;
}

function createLogGroup(input: JsonObject, state: LogsState, context: CallContext): undefined {
  const asked = readInput(
    {
      ...groupMember,
      kmsKeyId: text({ max: 256 }),
      tags: textMap(),
      logGroupClass,
      deletionProtectionEnabled: flag(),
    },
    input,
  );
  const { logGroupName: name, kmsKeyId, deletionProtectionEnabled = false } = asked;
  const tags = Object.fromEntries(asked.tags ?? []);
  if (name.startsWith('aws/')) throw invalidParameter('Log groups starting with aws/ are reserved for AWS.');
  if (kmsKeyId !== undefined && !keyArn.test(kmsKeyId)) {
    throw invalidParameter('The specified KMS key does not exist or is not allowed to be used.');
  }
  requireTagCount(tags);
  if (ownValue(state.groups, name) !== undefined) {
    throw new AwsError('ResourceAlreadyExistsException', 'The specified log group already exists');
  }
  state.groups[name] = {
    name,
    arn: `arn:aws:logs:${context.region}:${context.caller.accountId}:log-group:${name}`,
    createdAt: context.now.getTime(),
    logGroupClass: groupClasses.find((known) => known === asked.logGroupClass) ?? 'STANDARD',
    kmsKeyId,
    retentionInDays: undefined,
    deletionProtectionEnabled,
    eventCount: 0,
    storedBytes: 0,
    tags,
    streams: {},
  };
}

function deleteLogGroup(input: JsonObject, state: LogsState): undefined {
  const group = groupOf(state, readInput(groupMember, input).logGroupName);
  if (group.deletionProtectionEnabled) {
    throw new AwsError(
      'ValidationException',
      'The specified log group has deletion protection enabled and cannot be deleted.',
    );
  }
  delete state.groups[group.name];
}

function putLogGroupDeletionProtection(input: JsonObject, state: LogsState): undefined {
  const asked = readInput({ ...identifiedGroupMembers, deletionProtectionEnabled: required(flag()) }, input);
  identifiedGroup(state, asked).deletionProtectionEnabled = asked.deletionProtectionEnabled;
}

function describeLogGroups(input: JsonObject, state: LogsState): JsonObject {
  const {
    logGroupNamePrefix: prefix,
    logGroupNamePattern: pattern,
    logGroupIdentifiers: identifiers,
    logGroupClass: wantedClass,
    ...paging
  } = readInput(
    {
      logGroupNamePrefix: groupName,
      logGroupNamePattern: groupName,
      logGroupIdentifiers: textList,
      logGroupClass,
      ...pageMembers,
    },
    input,
  );
  if (prefix !== undefined && pattern !== undefined) {
    throw invalidParameter(
      'LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.',
    );
  }
  const found = Object.values(state.groups)
    .filter(({ name }) => name.startsWith(prefix ?? '') && name.includes(pattern ?? ''))
    .filter((group) => wantedClass === undefined || group.logGroupClass === wantedClass)
    .filter(({ name, arn }) => identifiers?.some((id) => id === name || id === arn) ?? true)
    .toSorted((left, right) => byText(left.name, right.name));
  const { items, next } = described(found, paging);
  return { logGroups: items.map(describedGroup), nextToken: next };
}

function describedGroup(group: LogGroup): JsonObject {
  return {
    logGroupName: group.name,
    creationTime: group.createdAt,
    ...(group.retentionInDays === undefined ? {} : { retentionInDays: group.retentionInDays }),
    metricFilterCount: 0,
    arn: `${group.arn}:*`,
    logGroupArn: group.arn,
    storedBytes: group.storedBytes,
    ...(group.kmsKeyId === undefined ? {} : { kmsKeyId: group.kmsKeyId }),
    logGroupClass: group.logGroupClass,
    deletionProtectionEnabled: group.deletionProtectionEnabled,
  };
}

function putRetentionPolicy(input: JsonObject, state: LogsState): undefined {
  const { logGroupName, retentionInDays } = readInput(
    { ...groupMember, retentionInDays: required(integer()) },
    input,
  );
  if (!retentionDays.has(retentionInDays)) {
    const constraint = `Member must satisfy enum value set: [${[...retentionDays].join(', ')}]`;
    throw constraintFailed('retentionInDays', `'${retentionInDays}'`, constraint);
  }
  groupOf(state, logGroupName).retentionInDays = retentionInDays;
}

function deleteRetentionPolicy(input: JsonObject, state: LogsState): undefined {
  groupOf(state, readInput(groupMember, input).logGroupName).retentionInDays = undefined;
}

function createLogStream(input: JsonObject, state: LogsState, { now }: CallContext): undefined {
  const { logGroupName, logStreamName: name } = readInput(streamMembers, input);
  const group = groupOf(state, logGroupName);
  if (ownValue(group.streams, name) !== undefined) {
    throw new AwsError('ResourceAlreadyExistsException', 'The specified log stream already exists');
  }
  group.streams[name] = {
    name,
    arn: `${group.arn}:log-stream:${name}`,
    createdAt: now.getTime(),
    eventCount: 0,
    firstEventAt: undefined,
    lastEventAt: undefined,
    lastIngestionAt: undefined,
    inOrder: true,
    batches: [],
  };
}

function deleteLogStream(input: JsonObject, state: LogsState): undefined {
  const { logGroupName, logStreamName } = readInput(streamMembers, input);
  const group = groupOf(state, logGroupName);
  delete group.streams[streamOf(group, logStreamName).name];
}

function describeLogStreams(input: JsonObject, state: LogsState): JsonObject {
  const asked = readInput(
    {
      ...identifiedGroupMembers,
      logStreamNamePrefix: streamName,
      orderBy: text({ oneOf: ['LogStreamName', 'LastEventTime'] }),
      descending: flag(),
      ...pageMembers,
    },
    input,
  );
  const { logStreamNamePrefix: prefix, orderBy, descending = false, ...paging } = asked;
  const group = identifiedGroup(state, asked);
  if (orderBy === 'LastEventTime' && prefix !== undefined) {
    throw invalidParameter('Cannot order by LastEventTime with a logStreamNamePrefix.');
  }
  const ascending = Object.values(group.streams)
    .filter(({ name }) => name.startsWith(prefix ?? ''))
    .toSorted((left, right) => {
      const byTime = (left.lastEventAt ?? 0) - (right.lastEventAt ?? 0);
      return (orderBy === 'LastEventTime' ? byTime : 0) || byText(left.name, right.name);
    });
  const { items, next } = described(descending ? ascending.toReversed() : ascending, paging);
  return { logStreams: items.map(describedStream), nextToken: next };
}

function describedStream(stream: LogStream): JsonObject {
  return {
    logStreamName: stream.name,
    creationTime: stream.createdAt,
    ...(stream.firstEventAt === undefined ? {} : { firstEventTimestamp: stream.firstEventAt }),
    ...(stream.lastEventAt === undefined ? {} : { lastEventTimestamp: stream.lastEventAt }),
    ...(stream.lastIngestionAt === undefined ? {} : { lastIngestionTime: stream.lastIngestionAt }),
    uploadSequenceToken: String(stream.eventCount).padStart(56, '0'),
    arn: stream.arn,
    // AWS reports zero for every stream since June 2019.
    storedBytes: 0,
  };
}

function tagResource(input: JsonObject, state: LogsState): undefined {
  const { resourceArn, tags } = readInput({ ...taggedMember, tags: required(textMap()) }, input);
  const group = groupWithArn(state, resourceArn);
  const all = { ...group.tags, ...Object.fromEntries(tags) };
  requireTagCount(all);
  group.tags = all;
}

function untagResource(input: JsonObject, state: LogsState): undefined {
  const { resourceArn, tagKeys } = readInput({ ...taggedMember, tagKeys: required(textList) }, input);
  const group = groupWithArn(state, resourceArn);
  group.tags = Object.fromEntries(Object.entries(group.tags).filter(([key]) => !tagKeys.includes(key)));
}

function listTagsForResource(input: JsonObject, state: LogsState): JsonObject {
  return { tags: groupWithArn(state, readInput(taggedMember, input).resourceArn).tags };
}

function groupWithArn(state: LogsState, resourceArn: string): LogGroup {
  const group = Object.values(state.groups).find(({ arn }) => arn === resourceArn);
  if (group === undefined) throw noGroup();
  return group;
}

function requireTagCount(tags: Readonly<Record<string, string>>): void {
  if (Object.keys(tags).length <= tagsMax) return;
  throw constraintFailed(
    'tags',
    `of ${Object.keys(tags).length} tags`,
    `Member must have length less than or equal to ${tagsMax}`,
  );
}

/** The page of a describe operation, as its `limit` and `nextToken` ask for it. */
function described<Item extends { readonly name: string }>(
  items: readonly Item[],
  { limit = describedMax, nextToken }: Values<typeof pageMembers>,
): Page<Item> {
  return page(
    items,
    ({ name }) => name,
    limit,
    nextToken,
    () => invalidParameter('The specified nextToken is invalid.'),
  );
}

function byText(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}
