// What is wrong with passing devices through in a configuration, as far as its text tells.

export type { Facts, LintFile } from './configuration.ts'
export {
  DECIDED_CODES,
  type Finding,
  type Fix,
  GIT_CODES,
  GUEST_CODES,
  isSameFinding,
  LINT_CODES,
  type LintCode,
  MACHINE_CODES,
  TEXT_CODES
} from './finding.ts'
export { type FixPlan, planFixes } from './fix.ts'
export { lint } from './lint.ts'
