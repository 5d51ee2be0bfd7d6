// What a plan would make worse: what "check" finds in its result and does not find in the files as they are.

import { join } from 'node:path'
import { type Faults, findFaults } from '../../apply/findFaults.ts'
import type { PlannedFile } from '../../apply/planApply.ts'
import type { ReadModule } from '../../apply/read/importClosure.ts'
import { moduleReader } from '../../apply/read/readInputs.ts'
import { holdAgainst } from '../../check/onMachine.ts'
import type { TargetFile } from '../../files/target.ts'
import type { Machine } from '../../host/machine.ts'
import { type Finding, isSameFinding, type LintCode } from '../../lints/index.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import type { Context } from '../context.ts'
import { shortName } from '../show/fileNames.ts'
import { lookAtHost } from './checkHost.ts'

// The others are told in words of their own, are refused, or are about what was not built yet.
const OF_MACHINE: readonly LintCode[] = ['HUGEPAGES_TOO_MANY', 'SHARED_ID']

/**
 * A sentence or two for each problem that the files would have once they are as planned, and don't have
 * now; nothing of what they have already. Places are those of the result.
 */
export function newFaults(
  configuration: TargetFile,
  text: string,
  planned: readonly PlannedFile[],
  release: string | undefined,
  given: Arguments,
  context: Context
): string[] {
  const path = configuration.realpath
  const read = moduleReader(context.root)
  const after = planned.find(it => it.path === path)?.after ?? text
  const now = findFaults({ path, text }, read, release)
  const then = findFaults({ path, text: after }, readerOf(planned, read), release)
  const looked = lookAtHost(then, then.facts, given, context)
  const machine = looked.ok && looked.value.on ? looked.value.machine : undefined
  const known = problemsOf(now, machine)
  const fresh = problemsOf(then, machine).filter(it => {
    const same = known.findIndex(other => isSameFinding(other, it))
    if (same !== -1) known.splice(same, 1)
    return same === -1
  })
  return fresh.map(it => {
    const doc = then.files.find(file => file.path === it.path)?.doc
    const line = placeOf(doc?.text ?? after, it.range.start).line
    const where = `${shortName(configuration, it.path)}:${line}`
    return `Will be a problem: ${where}: ${it.code}, ${it.message}. Why: ${it.why} Do: ${it.remedy}.`
  })
}

/** The files as they will be. */
function readerOf(planned: readonly PlannedFile[], read: ReadModule): ReadModule {
  const texts = new Map(planned.map(it => [it.path, it.after]))
  return path => {
    const found = [path, join(path, 'default.nix')].find(it => texts.has(it))
    const text = found === undefined ? undefined : texts.get(found)
    return found === undefined || text === undefined ? read(path) : { path: found, text }
  }
}

function problemsOf({ files, facts, findings }: Faults, machine: Machine | undefined): Finding[] {
  const onMachine = machine ? (holdAgainst(files, facts, machine)?.findings ?? []) : []
  return [...findings, ...onMachine.filter(it => OF_MACHINE.includes(it.code))].filter(
    it => it.level === 'problem'
  )
}
