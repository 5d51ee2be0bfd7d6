// Loaded before the command line, so that all runs use the same paths: random names are numbered, and the
// time is constant.
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

let calls = 0
crypto.randomBytes = size => {
  calls += 1
  return Buffer.alloc(size, calls)
}
syncBuiltinESMExports()

const Real = Date
const now = Real.parse('2026-11-22T16:03:12Z')
class Steady extends Real {
  /** @param {ConstructorParameters<typeof Date> | []} given */
  constructor(...given) {
    super(...(given.length === 0 ? /** @type {[number]} */ ([now]) : given))
  }

  /** @override */
  static now() {
    return now
  }
}
globalThis.Date = /** @type {DateConstructor} */ (Steady)
