const newline = 0x0a;

/** Where an event of so many lines ends that begins at `from`: behind its newline, or at the end of all. */
export function eventEnd(bytes: Buffer, from: number, lines = 1): number {
  let end = from;
  for (let line = 0; line < lines && end < bytes.length; line += 1) {
    const newlineAt = bytes.indexOf(newline, end);
    end = newlineAt < 0 ? bytes.length : newlineAt + 1;
  }
  return end;
}
