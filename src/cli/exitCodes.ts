// The exit code of every error. docs/exit-codes.md is compared with these tables.

import type { DomainError } from '../guests/problem.ts'
import type { NixErrorCode } from '../nix/index.ts'
import type { ChoiceProblem } from '../plan/devices.ts'
import type { RemoveProblem } from '../plan/problem.ts'
import type { FileProblem } from '../storage/problem.ts'

/** The exit codes. 0 and 1 mean success. Only 8 means that the command made its change and failed afterwards. */
export const EXIT = {
  done: 0,
  differences: 1,
  usage: 2,
  refused: 3,
  io: 4,
  stale: 5,
  invalid: 6,
  hardware: 7,
  followUp: 8,
  bug: 70,
  cancelled: 130,
  terminated: 143
} as const

/** The errors that only the command line has. */
type CommandCode =
  | 'USAGE'
  | 'INTERNAL'
  | 'NOT_DEFINED'
  | 'LED_TO_ROOT'
  | 'OTHER_DEVICE'
  | 'NO_CARD'
  | 'GUEST_NAME'
  | 'GUEST_TYPE'
  | 'PASSWORD'
  | 'EVALUATION_FAILED'
  | 'EVAL_FAILED'
  | 'EVAL_NOT_COPIED'
  | 'LEFT_BEHIND'
  | 'GIT_IGNORED'
  | 'GIT_FAILED'

/** The code of an error that a command reports. `NIX` only wraps an error of the toolkit. */
export type ErrorCode =
  | CommandCode
  | NixErrorCode
  | DomainError['code']
  | FileProblem['code']
  | ChoiceProblem['code']
  | Exclude<RemoveProblem['code'], 'NIX'>

/** The exit code of each error. As a warning about a change that was made, every error has exit code 8. */
export const EXIT_OF_ERROR: Record<ErrorCode, keyof typeof EXIT> = {
  USAGE: 'usage',
  INTERNAL: 'bug',
  NOT_DEFINED: 'differences',

  // A text that can't be edited.
  ENCODING: 'refused',
  SYNTAX: 'refused',
  NOT_A_MODULE: 'refused',
  DUPLICATE_ATTRIBUTE: 'refused',
  NOT_A_LIST: 'refused',
  NOT_A_SET: 'refused',
  DYNAMIC_ATTRIBUTE: 'refused',
  INHERITED: 'refused',
  SHARED_BINDING: 'refused',
  VARIABLE: 'refused',
  CALL: 'refused',
  FUNCTION: 'refused',
  COMPUTED_VALUE: 'refused',
  COMPUTED_MODULE: 'refused',
  UPDATE_OPERATOR: 'refused',
  PIPE_OPERATOR: 'refused',
  OTHER_PRIORITY: 'refused',
  TOO_DEEP: 'refused',
  CONDITIONAL: 'refused',
  NO_TARGET: 'refused',
  AMBIGUOUS_TARGET: 'refused',
  CONFLICT: 'refused',
  BAD_PATH: 'refused',
  BAD_VALUE: 'refused',
  NO_FORMALS: 'refused',
  VERIFICATION_FAILED: 'invalid',

  // A configuration that can't be edited.
  NOTHING_CHOSEN: 'usage',
  SEVERAL_PROFILES: 'usage',
  GIVEN_EVERYWHERE: 'refused',
  TAKE_OVER_FIRST: 'refused',
  WRONG_KIND: 'refused',
  FOREIGN_FOLDER: 'refused',
  MODULES_EDITED: 'refused',
  DECLARED_ELSEWHERE: 'refused',
  NOT_TAKEN_OVER: 'refused',
  IMPORTED_ELSEWHERE: 'refused',
  STILL_USED: 'refused',
  USED_ELSEWHERE: 'refused',
  PARSE_REJECTED: 'invalid',
  PARSE_CHECK_MISSING: 'invalid',
  EVAL_FAILED: 'invalid',
  EVAL_NOT_COPIED: 'io',

  // Guests.
  DOCTYPE: 'refused',
  NOT_XML: 'refused',
  NOT_A_DOMAIN: 'refused',
  NO_DOMAIN: 'refused',
  AMBIGUOUS_DOMAIN: 'refused',
  COMPUTED: 'refused',
  EVALUATION_FAILED: 'refused',
  NOT_LOSSLESS: 'invalid',
  GUEST_NAME: 'refused',
  GUEST_TYPE: 'refused',
  GUEST_DEFINED: 'refused',
  GUEST_UUID: 'refused',
  GUEST_EDITED: 'refused',
  GUEST_NOT_CONVERTED: 'invalid',
  PASSWORD: 'refused',

  // Devices that the host needs, and devices that the machine does not have.
  CARRIES_DISK: 'hardware',
  ONLY_NETWORK: 'hardware',
  ONLY_KEYBOARD: 'hardware',
  ONLY_DISPLAY: 'hardware',
  SHOWS_SCREEN: 'hardware',
  SHARED_GROUP: 'hardware',
  IOMMU_OFF: 'hardware',
  VIRTUAL_FUNCTION: 'hardware',
  ID_OF_VIRTUAL_FUNCTIONS: 'hardware',
  HAS_VIRTUAL_FUNCTIONS: 'hardware',
  PHYSICAL_FUNCTION_GIVEN: 'hardware',
  OTHER_DEVICE: 'hardware',
  NO_CARD: 'hardware',
  NO_SUCH_DEVICE: 'usage',
  NOT_A_CARD: 'usage',

  // Files.
  NOT_FOUND: 'io',
  IS_DIRECTORY: 'io',
  NOT_DIRECTORY: 'io',
  NOT_REGULAR: 'refused',
  NOT_READABLE: 'io',
  TOO_BIG: 'refused',
  NOT_WRITABLE: 'io',
  READ_ONLY_FS: 'io',
  STORE_LINK: 'refused',
  LINK_LOOP: 'refused',
  OUTSIDE_ROOT: 'refused',
  IMMUTABLE: 'refused',
  MOUNT_POINT: 'refused',
  HARD_LINKS: 'refused',
  OPEN_FOLDER: 'refused',
  LED_TO_ROOT: 'refused',
  NO_SPACE: 'io',
  IO_ERROR: 'io',
  NOT_AS_WRITTEN: 'io',
  STALE: 'stale',
  LOCKED: 'stale',

  // Runs and their backups.
  NOT_PRIVATE: 'refused',
  BACKUP_FAILED: 'io',
  BACKUP_DAMAGED: 'io',
  RECORD_DAMAGED: 'io',
  NO_RUN: 'io',
  EDITED_SINCE: 'stale',
  INTERRUPTED: 'stale',

  // What goes wrong after the change was made.
  LEFT_BEHIND: 'followUp',
  GIT_IGNORED: 'followUp',
  GIT_FAILED: 'followUp'
}
