import { expect, it } from 'vitest';
import { masterKeyring, masterKeyUnwrapper } from '../../src/keys/master-keyring.ts';
import { sealMessage } from '../../src/keys/message-cipher.ts';
import { openVerified } from '../../src/keys/message-sealer.ts';
import { dice, tell } from '../support/dice.ts';
import { contextOf, testKeyOf } from '../support/sealed-host.ts';
import { sized } from './sized.ts';

const never = new AbortController().signal;
const minuteMs = 60_000;
const plainBytes = 100_000_000;
const context = contextOf(1);

/** A message of 100 MB: its header, then a buffer for each frame. */
async function sealed(): Promise<Buffer[]> {
  const dataKey = await masterKeyring(1, testKeyOf).wrap(context, never);
  const pieces: Buffer[] = [];
  for await (const piece of sealMessage(zeros(), context, dataKey)) pieces.push(piece);
  return pieces;
}

function* zeros(): Generator<Buffer> {
  const piece = Buffer.alloc(1_000_000);
  for (let made = 0; made < plainBytes; made += piece.length) yield piece;
}

/** Bytes that a reader was given of this message before it was refused; undefined where it was not refused. */
async function emittedOf(pieces: readonly Buffer[]): Promise<number | undefined> {
  let emitted = 0;
  try {
    const opening = await openVerified(
      () => pieces,
      () => undefined,
      masterKeyUnwrapper(testKeyOf),
      never,
    );
    for await (const piece of opening.pieces) emitted += piece.length;
    return undefined;
  } catch {
    return emitted;
  }
}

it('a sealed file of 100 MB that was cut, changed or rearranged gives out not one byte', {
  timeout: 30 * minuteMs,
}, async () => {
  const { between } = dice('large sealed file');
  const some = (count: number, below: number): number[] =>
    Array.from({ length: count }, () => between(0, below));
  const [pieces, others] = [await sealed(), await sealed()];
  const frames = pieces.length;
  expect(await emittedOf(pieces)).toBeUndefined();
  const refused = async (what: string, changed: readonly Buffer[]) =>
    expect({ what, emitted: await emittedOf(changed) }).toEqual({ what, emitted: 0 });

  const stride = sized(1, 50);
  const boundaries = Array.from({ length: frames }, (_each, at) => at).filter(
    (at) => at % stride === 0 || at === frames - 1,
  );
  for (const at of boundaries) await refused(`cut before frame ${at}`, pieces.slice(0, at));

  const flips = [0, 1, frames - 1, ...some(sized(200, 20), frames)];
  for (const at of flips) {
    const frame = Buffer.from(pieces[at] ?? '');
    const bit = between(0, frame.length * 8);
    frame.writeUInt8(frame.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    await refused(`bit ${bit} of frame ${at}`, pieces.with(at, frame));
  }

  // Two frames of one message in each other's place; one of another message in its own place; one twice; one left out.
  for (const at of [1, frames - 2, ...some(sized(50, 10), frames - 2).map((each) => each + 1)]) {
    const [one, next] = [pieces[at] ?? Buffer.alloc(0), pieces[at + 1] ?? Buffer.alloc(0)];
    await refused(`frames ${at} and ${at + 1} swapped`, pieces.with(at, next).with(at + 1, one));
    await refused(`frame ${at} of another file`, pieces.with(at, others[at] ?? Buffer.alloc(0)));
    await refused(`frame ${at} twice`, pieces.toSpliced(at, 0, one));
    await refused(`frame ${at} left out`, pieces.toSpliced(at, 1));
  }
  tell(
    `a sealed file of 100 MB, ${frames - 1} frames: ${boundaries.length} cuts, ${flips.length} flipped bits, nothing given out`,
  );
});
