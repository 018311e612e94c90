import { type ErrorTable, errorsOf } from '../base/errors.ts';
import { exitCode } from '../base/exit-code.ts';

export const deliveryErrors = {
  DELIVERY_SECRET_MISSING: {
    summary: 'the secret to deliver has not been read yet',
    remedy: 'See why the secret cannot be read: gatehouse status names its error.',
    retry: true,
    exitCode: exitCode.tryAgain,
  },
  DELIVERY_NOT_IN_MEMORY: {
    summary: 'the file would be written to a disk',
    remedy: 'Deliver to a directory on tmpfs such as /run/gatehouse, or set allowDisk for this delivery.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  DELIVERY_FOLDER_UNSAFE: {
    summary: 'the folder of the file can be changed by users who have nothing to do with it',
    remedy:
      'Give the folder to root or to the owner of the file, and let no group and no others write to it.',
    retry: false,
    exitCode: exitCode.refused,
  },
  DELIVERY_CHANGED_BY_OTHERS: {
    summary: 'the file of a delivery that left the config is no longer the one that was delivered',
    remedy: 'See what wrote to the file, and remove it by hand if nobody needs it.',
    retry: false,
    exitCode: exitCode.refused,
  },
  DELIVERY_TOO_LATE: {
    summary: 'a delivery took longer than it may',
    remedy:
      'Look at what the folder or the user lookup waits for, such as a network file system or directory.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
} as const satisfies ErrorTable;

export const deliveryError = errorsOf(deliveryErrors);
