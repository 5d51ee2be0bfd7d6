// Loaded before the command line, so that a trace of one run names what the next one will touch:
// names that are random count up, and time stands still.
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
