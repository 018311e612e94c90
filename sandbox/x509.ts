import type * as X509 from '@peculiar/x509';

/**
 * @peculiar/x509 builds on tsyringe, which wants the decorator metadata functions on Reflect when it is loaded.
 * These three are all that it calls.
 */
export async function loadX509(): Promise<typeof X509> {
  const metadata = new WeakMap<object, Map<unknown, unknown>>();
  const own = (key: unknown, target: object): unknown => metadata.get(target)?.get(key);
  const additions = {
    getOwnMetadata: own,
    getMetadata(key: unknown, target: object): unknown {
      for (let object: object | null = target; object !== null; object = Reflect.getPrototypeOf(object)) {
        const value = own(key, object);
        if (value !== undefined) return value;
      }
      return undefined;
    },
    defineMetadata(key: unknown, value: unknown, target: object): void {
      const values = metadata.get(target) ?? new Map<unknown, unknown>();
      metadata.set(target, values.set(key, value));
    },
  };
  if (!('getMetadata' in Reflect)) Object.assign(Reflect, additions);
  return import('@peculiar/x509');
}
