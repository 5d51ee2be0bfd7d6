import { test } from 'vitest'
import { areAvailable, type Need } from '../../support/needing.ts'

export { AS_NOBODY, type Need } from '../../support/needing.ts'

/**
 * `test.concurrent` if everything that the test needs is available. If something is missing, this fails with CI
 * set, and the whole file with it. Otherwise the test is skipped, with a warning.
 */
export function needing(...needs: Need[]): typeof test.concurrent | typeof test.skip {
  return areAvailable('the command line', ...needs) ? test.concurrent : test.skip
}
