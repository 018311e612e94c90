import { validationException } from '../constraints.ts';
import { AwsError, type CallContext } from '../service.ts';
import { type AttributeValue, type Item, scalarText } from './attribute-value.ts';

/** An attribute that is part of a table's key. */
export interface KeyAttribute {
  readonly name: string;
  readonly type: 'S' | 'N' | 'B';
}

export interface TableKey {
  readonly partition: KeyAttribute;
  readonly sort: KeyAttribute | undefined;
}

/** A table with its items. Plain data: dates are epoch milliseconds. */
export interface TableRecord {
  readonly arn: string;
  readonly id: string;
  readonly name: string;
  readonly key: TableKey;
  readonly createdAt: number;
  /** Tables are made and deleted behind the answer to the call, as on AWS: see `settle`. */
  state: 'CREATING' | 'ACTIVE' | 'DELETING';
  /** When the state was asked for. */
  changedAt: number;
  billing:
    | { readonly mode: 'PAY_PER_REQUEST' }
    | { readonly mode: 'PROVISIONED'; readonly read: number; readonly write: number };
  isProtected: boolean;
  readonly tags: Map<string, string>;
  timeToLive?: { readonly attribute: string; readonly isEnabled: boolean };
  pointInTimeRecovery?: { readonly since: number; readonly days: number };
  policy?: { readonly document: string; readonly revision: string };
  /** By the text of the partition key, then of the sort key. */
  readonly partitions: Map<string, Map<string, Item>>;
}

/** A transaction that was done under a token, for as long as the token is remembered. */
export interface DoneTransaction {
  readonly request: string;
  readonly doneAt: number;
}

/** Tables of all accounts and regions, by ARN; transactions by account and token. */
export interface DynamoDbState {
  readonly tables: Map<string, TableRecord>;
  readonly transactions: Map<string, DoneTransaction>;
}

export function newDynamoDbState(): DynamoDbState {
  return { tables: new Map(), transactions: new Map() };
}

/**
 * How long a table takes to be made or to go, for those who do not ask after it: longer than on AWS, so that a program
 * that forgets to wait fails on a slow machine as it does on a quick one.
 */
const settlingMs = 60_000;
/** "A client request token is valid for 10 minutes." */
const tokenMs = 10 * 60 * 1000;

/** Lets time pass: tables come and go, tokens are forgotten. */
export function passTime(state: DynamoDbState, now: Date): void {
  for (const table of state.tables.values()) {
    if (now.getTime() - table.changedAt >= settlingMs) settle(table, state);
  }
  for (const [token, { doneAt }] of state.transactions) {
    if (now.getTime() - doneAt > tokenMs) state.transactions.delete(token);
  }
}

/**
 * A table is not there right after CreateTable, and still there right after DeleteTable. Whoever waits as AWS says,
 * by DescribeTable, sees that once; nobody has to sleep.
 */
export function settle(table: TableRecord, state: DynamoDbState): void {
  if (table.state === 'CREATING') table.state = 'ACTIVE';
  if (table.state === 'DELETING') state.tables.delete(table.arn);
}

export const tableNamePattern = /^[a-zA-Z0-9_.-]+$/u;

/** The ARN of the table that a name or an ARN names. */
export function tableArn(nameOrArn: string, { region, caller }: CallContext): string {
  if (nameOrArn.startsWith('arn:')) return nameOrArn;
  return `arn:aws:dynamodb:${region}:${caller.accountId}:table/${nameOrArn}`;
}

/** The table whose items are asked for. @throws AwsError ResourceNotFoundException */
export function activeTable(arn: string, state: DynamoDbState): TableRecord {
  const table = state.tables.get(arn);
  if (table?.state !== 'ACTIVE') throw notFound('Requested resource not found');
  return table;
}

export function notFound(message: string): AwsError {
  return new AwsError('ResourceNotFoundException', message);
}

export function invalidParameter(message: string): AwsError {
  return validationException(`One or more parameter values were invalid: ${message}`);
}

export function keyAttributes({ partition, sort }: TableKey): readonly KeyAttribute[] {
  return sort === undefined ? [partition] : [partition, sort];
}

/** The item of a key; undefined where there is none. */
export function itemAt(table: TableRecord, key: Item): Item | undefined {
  const [partition, sort] = places(table, key);
  return table.partitions.get(partition)?.get(sort);
}

/** Puts an item in its place, or takes away what is there. */
export function replaceItem(table: TableRecord, key: Item, item: Item | undefined): void {
  const [partition, sort] = places(table, key);
  const items = table.partitions.get(partition) ?? new Map<string, Item>();
  if (item === undefined) items.delete(sort);
  else items.set(sort, item);
  if (items.size === 0) table.partitions.delete(partition);
  else table.partitions.set(partition, items);
}

/** One text for one item of a table. */
export function placeOf(table: TableRecord, key: Item): string {
  return JSON.stringify([table.arn, ...places(table, key)]);
}

export function itemsOf(table: TableRecord, partition: AttributeValue): readonly Item[] {
  return [...(table.partitions.get(scalarText(partition))?.values() ?? [])];
}

function places({ key: { partition, sort } }: TableRecord, key: Item): [partition: string, sort: string] {
  const text = (name: string | undefined): string => (name === undefined ? '' : scalarText(key.get(name)));
  return [text(partition.name), text(sort?.name)];
}
