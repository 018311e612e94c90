/** How the bytes of a file are text; `auto`: as its byte order mark says, else UTF-8. */
export const encodings = ['auto', 'utf-8', 'utf-16le', 'utf-16be', 'latin1'] as const;
export type Encoding = (typeof encodings)[number];
