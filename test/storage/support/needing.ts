import { test } from 'vitest'
import { isThere, type Need } from '../../support/needing.ts'

/**
 * `test` where everything it needs is there. Where something is missing, this fails under CI (and
 * the file with it); elsewhere the test is left out, and that is announced.
 */
export function needing(...needs: Need[]): typeof test | typeof test.skip {
  return isThere('src/storage', ...needs) ? test : test.skip
}
