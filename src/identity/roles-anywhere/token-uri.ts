/** What a `pkcs11:` URI may say here, of RFC 7512. */
export const uriAttributes: ReadonlySet<string> = new Set([
  'token',
  'serial',
  'manufacturer',
  'model',
  'object',
  'id',
  'type',
  'module-path',
]);

/** A URI as it may be written into a log: of what is not understood, such as a PIN, the name alone. */
export function shownUri(uri: string): string {
  return uri.replaceAll(/([^:;?&=]+)=[^;?&]*/gu, (pair, name: string) =>
    uriAttributes.has(name) ? pair : `${name}=[secret]`,
  );
}
