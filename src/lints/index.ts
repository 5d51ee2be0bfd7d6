// What is wrong with passing devices through in a configuration, seen in its text alone.

export type { Facts, LintFile } from './configuration.ts'
export { type Finding, type Fix, LINT_CODES, type LintCode } from './finding.ts'
export { type FixPlan, planFixes } from './fix.ts'
export { lint } from './lint.ts'
