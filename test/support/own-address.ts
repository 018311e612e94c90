const { pid } = process;

/** An address of the loopback that is this process's alone: a port that was found free may be another's at once. */
export const ownAddress = `127.${64 + ((pid >> 16) & 63)}.${(pid >> 8) & 255}.${pid & 255}`;
