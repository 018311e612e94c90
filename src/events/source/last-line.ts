const newline = 0x0a;

/** The last line of what comes in pieces that is not blank, or its beginning where it is longer than `bytesMax`. */
export interface LastLine {
  readonly push: (bytes: Buffer) => void;
  line(): Buffer;
}

export function lastLine(bytesMax: number): LastLine {
  let last = Buffer.alloc(0);
  let open = Buffer.alloc(0);

  function add(bytes: Buffer): void {
    open = Buffer.concat([open, bytes.subarray(0, bytesMax - open.length)]);
  }

  return {
    push(bytes) {
      let from = 0;
      for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, from)) {
        add(bytes.subarray(from, end));
        if (!isBlank(open)) last = open;
        open = Buffer.alloc(0);
        from = end + 1;
      }
      add(bytes.subarray(from));
    },
    line: () => (isBlank(open) ? last : open),
  };
}

function isBlank(line: Buffer): boolean {
  return line.toString('latin1').trim() === '';
}
