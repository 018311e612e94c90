import { sinkContract } from '../sink.contract.ts';
import { memorySink } from './memory.ts';

sinkContract('memorySink', async () => {
  const sink = memorySink();
  return { sink, messages: () => sink.messages() };
});
