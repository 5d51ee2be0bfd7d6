import type { FileProblem } from '../files/problem.ts'

/** What went wrong after the change was made, in one line. */
export function warningLine(problem: FileProblem): string {
  const detail =
    problem.code === 'IO_ERROR'
      ? `${problem.syscall}: ${problem.errno}`
      : problem.code.toLowerCase()
  return `vfio-patch: warning: the change is written, but ${problem.path} may not be safe yet (${detail}).\n`
}
