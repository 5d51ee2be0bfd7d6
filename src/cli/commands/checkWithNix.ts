import { type ParseCheck, parseCheck } from '../../apply/ask/parseCheck.ts'
import type { PlannedFile } from '../../apply/planApply.ts'
import type { ApplyProblem } from '../../apply/problem.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import { type Message, usage } from '../message.ts'

const MODES = ['auto', 'require', 'off'] as const
export type CheckMode = (typeof MODES)[number]

/** How much `--parse-check` wants of Nix. */
export function readCheckMode(given: Arguments): Result<CheckMode, Message> {
  const text = given.text('parse-check') ?? 'auto'
  const mode = MODES.find(it => it === text)
  return mode === undefined
    ? err(usage(`--parse-check takes auto, require or off, got "${text}".`))
    : ok(mode)
}

/**
 * Asks Nix about all files of a plan. `PARSE_REJECTED` where it does not accept one;
 * `PARSE_CHECK_MISSING` where it was required and says nothing, with `path`.
 */
export function checkWithNix(
  files: readonly PlannedFile[],
  mode: CheckMode,
  path: string
): Result<ParseCheck, ApplyProblem> {
  if (mode === 'off') return ok({ status: 'skipped', detail: 'switched off' })
  let result: ParseCheck = { status: 'ok' }
  for (const { path: each, before, after } of files) {
    // What is kept aside of a module need not be one any more.
    const isModule = before !== undefined || each.endsWith('.nix')
    if (after === undefined || !isModule) continue
    const check = parseCheck(before, after)
    if (check.status === 'rejected') {
      return err({ code: 'PARSE_REJECTED', path, output: check.output })
    }
    if (check.status === 'skipped') result = check
  }
  return result.status === 'skipped' && mode === 'require'
    ? err({ code: 'PARSE_CHECK_MISSING', path, detail: result.detail })
    : ok(result)
}
