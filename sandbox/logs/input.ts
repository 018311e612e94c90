import { list, type Member, read, required, text, type Values } from '../constraints.ts';
import { AwsError, type JsonObject } from '../service.ts';
import type { LogGroup, LogStream, LogsState } from './state.ts';

/** The members that most operations have. */
export const groupName = text({ min: 1, max: 512, pattern: /^[.\-_/#A-Za-z0-9]+$/u });
export const streamName = text({ min: 1, max: 512, pattern: /^[^:*]*$/u });
export const groupMember = { logGroupName: required(groupName) };
export const streamMembers = { ...groupMember, logStreamName: required(streamName) };
/** A group by its name, or else by its name or ARN. */
export const identifiedGroupMembers = {
  logGroupName: groupName,
  logGroupIdentifier: text({ min: 1, max: 2048, pattern: /^[\w#+=/:,.@-]*$/u }),
};
export const textList = list(text());

/** Reads an operation's input: what others call a ValidationException, CloudWatch Logs calls by a name of its own. */
export function readInput<S extends Readonly<Record<string, Member<unknown>>>>(
  shape: S,
  input: JsonObject,
): Values<S> {
  try {
    return read(shape, input);
  } catch (error) {
    if (error instanceof AwsError && error.name === 'ValidationException') {
      throw invalidParameter(error.message);
    }
    throw error;
  }
}

export function invalidParameter(message: string): AwsError {
  return new AwsError('InvalidParameterException', message);
}

/** A constraint that does not hold, in the words AWS has for it; `shown` is the value as AWS would show it. */
export function constraintFailed(member: string, shown: string, constraint: string): AwsError {
  return invalidParameter(
    `1 validation error detected: Value ${shown} at '${member}' failed to satisfy constraint: ${constraint}`,
  );
}

export function groupOf(state: LogsState, name: string): LogGroup {
  const group = ownValue(state.groups, name);
  if (group === undefined) throw noGroup();
  return group;
}

export function identifiedGroup(
  state: LogsState,
  { logGroupName, logGroupIdentifier }: Values<typeof identifiedGroupMembers>,
): LogGroup {
  if ((logGroupName === undefined) === (logGroupIdentifier === undefined)) {
    throw invalidParameter('Specify either the name or the identifier of the log group, and not both.');
  }
  return (
    Object.values(state.groups).find(({ arn }) => arn === logGroupIdentifier) ??
    groupOf(state, logGroupName ?? logGroupIdentifier ?? '')
  );
}

export function streamOf(group: LogGroup, name: string): LogStream {
  const stream = ownValue(group.streams, name);
  if (stream === undefined) {
    throw new AwsError('ResourceNotFoundException', 'The specified log stream does not exist.');
  }
  return stream;
}

export function noGroup(): AwsError {
  return new AwsError('ResourceNotFoundException', 'The specified log group does not exist.');
}

/** A record's own value: a name may be that of a member every object inherits. */
export function ownValue<Value>(record: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
