import { copyOnDisk } from '../../src/agent/gateway-config/copy-on-disk.ts';
import { question } from './config-copy.ts';

/** Writes the message of standard input as the copy in the folder of the argument; killed at some step of that. */
const message: Buffer[] = [];
for await (const piece of process.stdin) message.push(piece as Buffer);
await copyOnDisk(process.argv[2] ?? '', question).write(Buffer.concat(message));
