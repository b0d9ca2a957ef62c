import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { describeObjectStoreContract } from '../../support/object-store-contract.js';

describeObjectStoreContract('memory', async () => new MemoryObjectStore());
