// What is wrong with passing devices through in a configuration, as far as its text tells.

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
export { type FixPlan, lint, planFixes } from './lint.ts'
export type { Facts, LintFile } from './view.ts'
