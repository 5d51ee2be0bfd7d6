import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ShippedModules } from '../../../src/configuration/modules.ts'
import { type ApplyInput, type ApplyPlan, planApply } from '../../../src/plan/apply.ts'
import type { Settings } from '../../../src/settings/settings.ts'
import { configurationFrom, listingOf, shipped } from '../../support/configuration.ts'

/** The listing of a folder with the installed modules. */
export const installed = listingOf(shipped.texts)

/** The input of `planApply` for a configuration of one file that is not set up yet. */
export function inputFor(
  path: string,
  text: string,
  settings: Settings,
  { modules = shipped, ...more }: Partial<ApplyInput> & { modules?: ShippedModules } = {}
): ApplyInput {
  return {
    configuration: configurationFrom({ [path]: text }, modules),
    settings,
    modulesDir: 'vfio',
    modulesFolder: join(dirname(path), 'vfio'),
    listing: 'absent',
    replaceModules: false,
    names: new Map(),
    ...more
  }
}

/** Plans and writes the files. Throws the code of a refusal. */
export function carryOut(input: ApplyInput): ApplyPlan {
  const plan = planApply(input)
  if (!plan.ok) throw new Error(plan.error.code)
  for (const { path, after } of plan.value.files) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, after ?? '')
  }
  return plan.value
}
