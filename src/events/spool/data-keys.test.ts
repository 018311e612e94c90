import { fakeClock } from '../../../test/support/fake-clock.ts';
import { memoryKeeper } from '../../../test/support/spool-fixture.ts';
import { keyKeeperContract } from './key-keeper.contract.ts';

keyKeeperContract('memoryKeeper', () => {
  const clock = fakeClock();
  const keeper = memoryKeeper(clock);
  return { keeper: () => keeper, pass: () => clock.advance(1000) };
});
