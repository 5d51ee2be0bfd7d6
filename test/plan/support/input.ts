import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { shippedModules } from '../../../src/configuration/modules.ts'
import { type ApplyInput, type ApplyPlan, planApply } from '../../../src/plan/apply.ts'
import type { Settings } from '../../../src/settings/settings.ts'

/** Our modules as they are shipped. */
export const shipped = shippedModules('0.0.0')

/**
 * What `planApply` takes for a configuration beside which there is nothing of ours yet, and that imports
 * nothing that matters.
 */
export function inputFor(
  path: string,
  text: string,
  settings: Settings,
  more: Partial<ApplyInput> = {}
): ApplyInput {
  return {
    path,
    text,
    settings,
    modulesDir: 'vfio',
    modulesFolder: join(dirname(path), 'vfio'),
    listing: 'absent',
    shipped,
    replaceModules: false,
    closure: { ours: [], foreign: undefined },
    names: new Map(),
    ...more
  }
}

/** Plans, and writes the files; throws the code of a refusal. */
export function carryOut(input: ApplyInput): ApplyPlan {
  const plan = planApply(input)
  if (!plan.ok) throw new Error(plan.error.code)
  for (const { path, after } of plan.value.files) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, after ?? '')
  }
  return plan.value
}
