import { test } from 'vitest'
import { areAvailable, type Need } from '../../support/needing.ts'

export { AS_NOBODY, type Need } from '../../support/needing.ts'

/**
 * `test.concurrent` where everything it needs is there. Where something is missing, this fails under CI (and
 * the file with it); elsewhere the test is left out, and that is announced.
 */
export function needing(...needs: Need[]): typeof test.concurrent | typeof test.skip {
  return areAvailable('the command line', ...needs) ? test.concurrent : test.skip
}
