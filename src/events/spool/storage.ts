/**
 * The folder of a record log, and the only way by which the log reaches a disk: so that tests can pull the plug between
 * any two calls. Errors are Node's own, with their errno.
 */
export interface Storage {
  /** For messages. */
  readonly path: string;
  /** The names in it. */
  list(): Promise<readonly string[]>;
  /** A new file, readable by this user alone. Its name is durable after `sync`. */
  create(name: string): Promise<StorageFile>;
  open(name: string): Promise<StorageFile>;
  remove(name: string): Promise<void>;
  /** Makes the names durable. */
  sync(): Promise<void>;
}

export interface StorageFile {
  size(): Promise<number>;
  /** Up to `length` bytes from `at`; fewer at the end of the file. */
  read(at: number, length: number): Promise<Buffer>;
  /** All of `bytes`. Survives the process; a power loss only after `sync`. */
  write(bytes: Uint8Array, at: number): Promise<void>;
  /** As `write`, and durable, it alone. Where it fails, nobody knows what of it is on the disk. */
  writeDurably(bytes: Uint8Array, at: number): Promise<void>;
  /** Makes what was written durable, in full. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}
