import { expect, test } from 'vitest';
import { dropsIn } from './udp-drops.ts';

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 1234: 0100007F:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 10001 2 0000000000000000 17
 1235: 00000000:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 10002 2 0000000000000000 5
 1236: 0100007F:1202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 10003 2 0000000000000000 99
`;

test('the drops of all sockets at a port are counted, and of no other', () => {
  expect(dropsIn(table, 514)).toBe(22);
  expect(dropsIn(table, 515)).toBe(0);
  expect(dropsIn('', 514)).toBe(0);
});
