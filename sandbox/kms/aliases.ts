import { epochSeconds, integer, read, required, text, validationException } from '../constraints.ts';
import { authorize } from '../iam/authorize.ts';
import { page } from '../page.ts';
import { AwsError, type CallContext, type Operation } from '../service.ts';
import { authorizeKey } from './access.ts';
import { invalidMarker, keyIdentifier, marker } from './members.ts';
import {
  type AliasRecord,
  arnOf,
  assertNotPendingDeletion,
  type KeyRecord,
  type KmsState,
  keyById,
  notFound,
} from './state.ts';

/** Aliases per KMS key (KMS quotas). */
const aliasesPerKeyMax = 50;

const aliasName = required(text({ min: 1, max: 256, pattern: /^[a-zA-Z0-9:/_-]+$/u }));
const aliasAndTarget = { AliasName: aliasName, TargetKeyId: required(keyIdentifier) };

export const aliasOperations = {
  CreateAlias(input, state, context) {
    const { AliasName, TargetKeyId } = read(aliasAndTarget, input);
    assertCustomerAlias(AliasName);
    const arn = arnOf(AliasName, context);
    const target = targetOf('CreateAlias', TargetKeyId, arn, state, context);
    if (state.aliases.has(arn)) {
      throw new AwsError('AlreadyExistsException', `An alias with the name ${arn} already exists`);
    }
    assertRoomForAlias(target, state);
    const now = context.now.getTime();
    state.aliases.set(arn, {
      arn,
      name: AliasName,
      targetKeyArn: target.arn,
      createdAt: now,
      updatedAt: now,
    });
    return undefined;
  },

  UpdateAlias(input, state, context) {
    const { AliasName, TargetKeyId } = read(aliasAndTarget, input);
    const alias = existing(AliasName, state, context);
    const target = targetOf('UpdateAlias', TargetKeyId, alias.arn, state, context);
    authorizeKey('UpdateAlias', keyById(alias.targetKeyArn, state, context), state, context);
    if (target.spec !== keyById(alias.targetKeyArn, state, context).spec) {
      throw validationException('Alias cannot be updated to a KMS key of another type.');
    }
    if (alias.targetKeyArn !== target.arn) assertRoomForAlias(target, state);
    alias.targetKeyArn = target.arn;
    alias.updatedAt = context.now.getTime();
    return undefined;
  },

  DeleteAlias(input, state, context) {
    const alias = existing(read({ AliasName: aliasName }, input).AliasName, state, context);
    authorize(context, { action: 'kms:DeleteAlias', resource: alias.arn });
    authorizeKey('DeleteAlias', keyById(alias.targetKeyArn, state, context), state, context);
    state.aliases.delete(alias.arn);
    return undefined;
  },

  ListAliases(input, state, context) {
    const { KeyId, Limit, Marker } = read(
      { KeyId: keyIdentifier, Limit: integer({ min: 1, max: 100 }), Marker: marker },
      input,
    );
    authorize(context, { action: 'kms:ListAliases', resource: '*' });
    const target = KeyId === undefined ? undefined : keyById(KeyId, state, context);
    const shown = [...state.aliases.values()].filter(
      (alias) =>
        alias.arn === arnOf(alias.name, context) &&
        (target === undefined || alias.targetKeyArn === target.arn),
    );
    const sorted = shown.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const { items, next } = page(sorted, (alias) => alias.name, Limit ?? 50, Marker, invalidMarker);
    return {
      Aliases: items.map((alias) => ({
        AliasName: alias.name,
        AliasArn: alias.arn,
        TargetKeyId: alias.targetKeyArn.slice(alias.targetKeyArn.indexOf('/') + 1),
        CreationDate: epochSeconds(new Date(alias.createdAt)),
        LastUpdatedDate: epochSeconds(new Date(alias.updatedAt)),
      })),
      Truncated: next !== undefined,
      NextMarker: next,
    };
  },
} as const satisfies Record<string, Operation<KmsState>>;

/** "The AliasName must begin with alias/ … cannot begin with alias/aws/." */
function assertCustomerAlias(name: string): void {
  if (!/^alias\/[a-zA-Z0-9/_-]+$/u.test(name)) {
    throw new AwsError('InvalidAliasNameException', `Alias must start with the prefix "alias/": ${name}`);
  }
  if (name.startsWith('alias/aws/')) {
    throw new AwsError(
      'InvalidAliasNameException',
      'The prefix alias/aws/ is reserved for AWS managed keys.',
    );
  }
}

/** The key of an alias, which policies must allow on the alias and on the key. */
function targetOf(
  operation: string,
  identifier: string,
  alias: string,
  state: KmsState,
  context: CallContext,
): KeyRecord {
  if (/^(?:arn:.*:)?alias\//u.test(identifier)) {
    throw validationException('Aliases must refer to keys. Not aliases');
  }
  const target = keyById(identifier, state, context);
  authorize(context, { action: `kms:${operation}`, resource: alias });
  authorizeKey(operation, target, state, context);
  assertNotPendingDeletion(target);
  return target;
}

function assertRoomForAlias(target: KeyRecord, state: KmsState): void {
  const count = [...state.aliases.values()].filter((alias) => alias.targetKeyArn === target.arn).length;
  if (count >= aliasesPerKeyMax) {
    throw new AwsError('LimitExceededException', `A key has at most ${aliasesPerKeyMax} aliases.`);
  }
}

function existing(name: string, state: KmsState, context: CallContext): AliasRecord {
  if (!name.startsWith('alias/')) throw validationException('Invalid identifier');
  const alias = state.aliases.get(arnOf(name, context));
  if (alias === undefined) throw notFound(`Alias ${arnOf(name, context)} is not found.`);
  return alias;
}
