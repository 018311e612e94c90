import type { Chain } from '../identity/chain.ts';

/** A credential source that was asked before the one that answered. */
export interface NotApplied {
  readonly source: string;
  readonly why: string;
}

/** As status and whoami say it. */
export function notApplied({ passedOver }: Pick<Chain, 'passedOver'>): readonly NotApplied[] {
  return passedOver.map(({ name, reason }) => ({ source: name, why: reason }));
}
