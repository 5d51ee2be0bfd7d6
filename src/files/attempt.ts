import { err, ok, type Result } from '../nix/result.ts'
import type { FileProblem } from './problem.ts'

/** An error of the operating system, as `node:fs` throws it. */
export interface SystemError extends Error {
  code: string
  errno: number
  syscall: string
}

/** Whether something that was thrown comes from a system call. */
export function isSystemError(error: unknown): error is SystemError {
  if (!(error instanceof Error)) return false
  const { code, errno, syscall } = error as Partial<SystemError>
  return typeof code === 'string' && typeof errno === 'number' && typeof syscall === 'string'
}

/**
 * Runs `action`. A system error becomes the problem that `explain` makes of it; anything else is a
 * bug and is thrown on.
 */
export function attempt<T>(
  action: () => T,
  explain: (error: SystemError) => FileProblem
): Result<T, FileProblem> {
  try {
    return ok(action())
  } catch (error) {
    if (isSystemError(error)) return err(explain(error))
    throw error
  }
}

/**
 * Runs `action` and says whether it worked. Only for clean-up, where the outcome is looked up on
 * the disk afterwards.
 */
export function tried(action: () => void): boolean {
  return attempt(action, explainNothing).ok
}

function explainNothing(error: SystemError): FileProblem {
  return { code: 'IO_ERROR', path: '', errno: error.code, syscall: error.syscall }
}
