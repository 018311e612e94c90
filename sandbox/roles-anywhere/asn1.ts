import { createRequire } from 'node:module';
import type * as Schema from '@peculiar/asn1-schema';
import type * as X509 from '@peculiar/asn1-x509';

interface Asn1 {
  readonly schema: typeof Schema;
  readonly x509: typeof X509;
}

let loaded: Asn1 | undefined;

/** ASN.1 of certificates, loaded at the first certificate: it takes 40 ms, and most sandboxes never see one. */
export function asn1(): Asn1 {
  const load = createRequire(import.meta.url);
  loaded ??= { schema: load('@peculiar/asn1-schema'), x509: load('@peculiar/asn1-x509') };
  return loaded;
}
