import { epochSeconds, integer, read, required, text, validationException } from '../constraints.ts';
import { authorize } from '../iam/authorize.ts';
import { page } from '../page.ts';
import { AwsError, type JsonObject, type Operation } from '../service.ts';
import { invalidMarker, marker } from './members.ts';
import type { CustomKeyStore, KmsState } from './state.ts';

export const storeIdentifier = text({ min: 1, max: 64 });

export const customKeyStoreOperations = {
  DescribeCustomKeyStores(input, state, context) {
    const request = read(
      {
        CustomKeyStoreId: storeIdentifier,
        CustomKeyStoreName: text({ min: 1, max: 256 }),
        Limit: integer({ min: 1, max: 1000 }),
        Marker: marker,
      },
      input,
    );
    const { CustomKeyStoreId, CustomKeyStoreName } = request;
    if (CustomKeyStoreId !== undefined && CustomKeyStoreName !== undefined) {
      throw validationException('Please specify either a custom key store ID or a name.');
    }
    authorize(context, { action: 'kms:DescribeCustomKeyStores', resource: '*' });
    const found = [...state.customKeyStores.values()].filter(
      ({ id, name }) => (CustomKeyStoreId ?? id) === id && (CustomKeyStoreName ?? name) === name,
    );
    if (found.length === 0 && (CustomKeyStoreId ?? CustomKeyStoreName) !== undefined) {
      throw notFound(CustomKeyStoreId ?? CustomKeyStoreName ?? '');
    }
    const { items, next } = page(found, ({ id }) => id, request.Limit ?? 100, request.Marker, invalidMarker);
    return { CustomKeyStores: items.map(shown), Truncated: next !== undefined, NextMarker: next };
  },

  ConnectCustomKeyStore(input, state, context) {
    const { CustomKeyStoreId } = read({ CustomKeyStoreId: required(storeIdentifier) }, input);
    authorize(context, { action: 'kms:ConnectCustomKeyStore', resource: '*' });
    const store = storeOf(CustomKeyStoreId, state);
    if (store.connection !== 'DISCONNECTED') throw invalidStoreState(store);
    store.connection = 'CONNECTED';
    return {};
  },

  DisconnectCustomKeyStore(input, state, context) {
    const { CustomKeyStoreId } = read({ CustomKeyStoreId: required(storeIdentifier) }, input);
    authorize(context, { action: 'kms:DisconnectCustomKeyStore', resource: '*' });
    const store = storeOf(CustomKeyStoreId, state);
    if (store.connection === 'DISCONNECTED' || store.connection === 'DISCONNECTING') {
      throw invalidStoreState(store);
    }
    store.connection = 'DISCONNECTED';
    store.error = undefined;
    return {};
  },
} as const satisfies Record<string, Operation<KmsState>>;

/** @throws AwsError CustomKeyStoreNotFoundException or CustomKeyStoreInvalidStateException */
export function connectedStore(id: string, state: KmsState): CustomKeyStore {
  const store = storeOf(id, state);
  if (store.connection !== 'CONNECTED') throw invalidStoreState(store);
  return store;
}

function storeOf(id: string, state: KmsState): CustomKeyStore {
  const store = state.customKeyStores.get(id);
  if (store === undefined) throw notFound(id);
  return store;
}

function notFound(id: string): AwsError {
  return new AwsError('CustomKeyStoreNotFoundException', `The custom key store ${id} is not found.`);
}

function invalidStoreState({ id, connection }: CustomKeyStore): AwsError {
  return new AwsError(
    'CustomKeyStoreInvalidStateException',
    `The custom key store ${id} is ${connection}, which is not valid for this operation.`,
  );
}

function shown(store: CustomKeyStore): JsonObject {
  return {
    CustomKeyStoreId: store.id,
    CustomKeyStoreName: store.name,
    CloudHsmClusterId: store.clusterId,
    CustomKeyStoreType: 'AWS_CLOUDHSM',
    ConnectionState: store.connection,
    ...(store.error !== undefined && { ConnectionErrorCode: store.error }),
    CreationDate: epochSeconds(new Date(store.createdAt)),
  };
}
