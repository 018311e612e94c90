import { spoolContract } from '../spool.contract.ts';
import { memorySpool } from './memory.ts';

spoolContract('memorySpool', async (making) => memorySpool(making));
