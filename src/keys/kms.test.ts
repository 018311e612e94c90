import { memoryKms } from '../../test/support/memory-kms.ts';
import { kmsContract } from './kms.contract.ts';

kmsContract('memoryKms', () => {
  const kms = memoryKms();
  return {
    kms,
    addKey: async (options) => kms.addKey(options),
    putInto: async (state, keyArn) => kms.setState(keyArn, state),
  };
});
