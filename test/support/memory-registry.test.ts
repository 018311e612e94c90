import { registryContract } from '../../src/keys/registry.contract.ts';
import { memoryRegistry } from './memory-registry.ts';

registryContract('the registry in memory', () => memoryRegistry());
