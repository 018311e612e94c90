import { type ErrorTable, errorsOf } from '../base/errors.ts';
import { exitCode } from '../base/exit-code.ts';

export const systemErrors = {
  COMMAND_NOT_FOUND: {
    summary: 'a command cannot be found or may not be executed',
    remedy: 'Give its absolute path, and check that it exists and that the agent may execute it.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  COMMAND_NOT_STARTED: {
    summary: 'a command could not be started',
    remedy: 'Check the memory and process limits of the agent.',
    retry: true,
    exitCode: exitCode.failed,
  },
  WORKLOAD_NOT_FOUND: {
    summary: 'the command of gatehouse exec is not found',
    remedy: 'Give its path, or a name that is found on the PATH that gatehouse was started with.',
    retry: false,
    exitCode: exitCode.commandNotFound,
  },
  WORKLOAD_NOT_STARTED: {
    summary: 'the command of gatehouse exec cannot be executed',
    remedy: 'See the errno in the details: mostly its mode has no x, or its interpreter is not there.',
    retry: false,
    exitCode: exitCode.commandNotStarted,
  },
  COMMAND_TIMED_OUT: {
    summary: 'a command took longer than it may and was killed',
    remedy: 'Run it by hand to see what it waits for.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  COMMAND_FAILED: {
    summary: 'a command that was to go on ended with an error',
    remedy: 'Run it by hand as the user of the agent to see what it says; it is started again.',
    retry: true,
    exitCode: exitCode.failed,
  },
  COMMAND_OUTPUT_TOO_LARGE: {
    summary: 'a command wrote more than it may and was killed',
    remedy: 'Check that it is the right command; make it write less.',
    retry: false,
    exitCode: exitCode.failed,
  },
  FILE_NOT_FOUND: {
    summary: 'a file or directory is not there',
    remedy: 'Check the path in the details, and that what makes the file ran before.',
    retry: false,
    exitCode: exitCode.missingInput,
  },
  FILE_DENIED: {
    summary: 'the system refuses this user the file',
    remedy: 'Check owner and mode along the path; giving files to other users needs root or CAP_CHOWN.',
    retry: false,
    exitCode: exitCode.refused,
  },
  FILE_LINK_UNTRUSTED: {
    summary: 'a symbolic link on the path was made by somebody who is neither root nor this user',
    remedy: 'Remove the link, or name the real path.',
    retry: false,
    exitCode: exitCode.refused,
  },
  FILE_NOT_ALLOWED: {
    summary: 'the path leads outside the directories that are allowed',
    remedy: 'Name a path in an allowed directory, or extend allow in the bootstrap config.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  FILE_NOT_REGULAR: {
    summary: 'the file is a directory, a device or a pipe, not a regular file',
    remedy: 'Name a regular file.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  FILE_TOO_LARGE: {
    summary: 'the file is larger than it may be',
    remedy: 'Check that it is the right file; the bound is in the details.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  FILE_CHANGED: {
    summary: 'the file grew while it was read',
    remedy: 'Write such files under another name and rename them into place.',
    retry: true,
    exitCode: exitCode.tryAgain,
  },
  FILE_EXISTS: {
    summary: 'the file exists and is not replaced',
    remedy: 'Choose another name, or move the file away; where the command has --force, that replaces it.',
    retry: false,
    exitCode: exitCode.cannotCreate,
  },
  FILE_SYSTEM_FULL: {
    summary: 'the file system is full or read-only',
    remedy: 'Free space, raise the quota, or mount it writable.',
    retry: true,
    exitCode: exitCode.cannotCreate,
  },
  FILE_FAILED: {
    summary: 'a file operation failed',
    remedy: 'Look up the errno in the details; the system log may say more.',
    retry: true,
    exitCode: exitCode.cannotCreate,
  },
  FILE_DIRECTORY_MISSING: {
    summary: 'the directory that a file is to be written into is not there',
    remedy: 'Create it, or name one that exists.',
    retry: false,
    exitCode: exitCode.cannotCreate,
  },
  FILE_DIRECTORY_UNSAFE: {
    summary: 'a private directory belongs to, or is open to, somebody else',
    remedy: 'Give it to the user of the agent with mode 0700 (chown, chmod).',
    retry: false,
    exitCode: exitCode.refused,
  },
  OWNER_UNKNOWN: {
    summary: 'the user or group does not exist on this host',
    remedy: 'Create it, correct the name, or give a number.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  OWNER_LOOKUP_FAILED: {
    summary: 'users and groups cannot be looked up',
    remedy: 'Run getent by hand; a directory service behind it may be away. A number needs no lookup.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  STATE_DIRECTORY_UNUSABLE: {
    summary: 'the state directory cannot be used',
    remedy: 'Name a directory on a local, writable file system in stateDirectory, or mend this one.',
    retry: false,
    exitCode: exitCode.cannotCreate,
  },
  STATE_DIRECTORY_UNSAFE: {
    summary: 'somebody else could change the state directory',
    remedy: 'Give it to the user of the agent and to nobody else: chown, then chmod 0700.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  STATE_DIRECTORY_LOCKED: {
    summary: 'another agent uses this state directory',
    remedy: 'Stop the other agent, or give this one a stateDirectory of its own.',
    retry: true,
    exitCode: exitCode.tryAgain,
  },
  STATE_DIRECTORY_NEWER: {
    summary: 'the state directory was written by a newer version of this program',
    remedy:
      'Install that version again, or see docs/upgrading.md for the way back. Nothing in the directory was changed.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  STATE_VERSION_DAMAGED: {
    summary: 'the file that says in which form the state directory is, is damaged',
    remedy:
      'Restore it, or write the number of the form into it, which docs/upgrading.md tells. Nothing in the directory was changed.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  RUNTIME_DIRECTORY_UNSAFE: {
    summary: 'somebody else could change the runtime directory',
    remedy: 'Give it to the user of the agent and let nobody else write to it: chown, then chmod 0755.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  STATE_HOST_ID_DAMAGED: {
    summary: 'the file that holds the id of this host is damaged',
    remedy:
      'Restore it; removing it gives the host a new id, and what was bound to the old one stays closed.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
} as const satisfies ErrorTable;

export const systemError = errorsOf(systemErrors);
