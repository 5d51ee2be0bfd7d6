// All configurations share one state folder, which one run at a time has locked.

import { setTimeout as sleep } from 'node:timers/promises'
import type { FileProblem, LockedProblem } from '../../files/problem.ts'
import type { Result } from '../../nix/result.ts'
import { WAITED } from '../messages/fileMessages.ts'
import { say } from '../show/output.ts'

const EACH_MS = 100
/** Shorter waits are nothing that anybody notices. */
const TOLD_AFTER_MS = 500

/**
 * Tries `action` until it is not kept from its work by a run on another configuration, which has locked
 * `stateFolder`, for at most five seconds. Tells so on stderr unless it is quiet. `action` must have done
 * nothing where it finds the lock held. Signals end the process while it waits.
 */
export async function waitForOthers<T, P extends FileProblem>(
  stateFolder: string,
  isQuiet: boolean,
  action: () => Result<T, P>
): Promise<Result<T, P>> {
  const begin = performance.now()
  let isTold = isQuiet
  for (;;) {
    const result = action()
    const waited = performance.now() - begin
    if (result.ok || !isHeld(result.error, stateFolder) || waited >= WAITED * 1000) return result
    if (waited >= TOLD_AFTER_MS && !isTold) {
      isTold = true
      const { pid } = result.error
      say(`vfio-patch: note: waiting for another vfio-patch (pid ${pid}) on another configuration.`)
    }
    await sleep(EACH_MS)
  }
}

function isHeld(problem: FileProblem, stateFolder: string): problem is LockedProblem {
  return problem.code === 'LOCKED' && problem.folder === stateFolder
}
