import { test } from 'vitest'
import { areAvailable, type Need } from '../../support/needing.ts'

/**
 * `test` if everything that it needs is available. Otherwise it throws under CI, so that the file
 * fails; elsewhere it skips the test and announces that.
 */
export function needing(...needs: Need[]): typeof test | typeof test.skip {
  return areAvailable('src/storage', ...needs) ? test : test.skip
}
