// On generated machines: repeated fixes come to an end, and none locks the user out in a new way.

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { deviceReferencesIn } from '../../src/check/requirements.ts'
import { planFixes } from '../../src/lints/index.ts'
import { viewsOf } from '../../src/lints/view.ts'
import { closedGates } from '../../src/machine/gates.ts'
import type { Machine } from '../../src/machine/machine.ts'
import { filesOf } from '../lints/support.ts'
import { type Generated, generated } from '../machine/support/generated.ts'
import { seed } from '../support/seed.ts'
import { comparisonOf } from './support.ts'

/** A configuration that names some devices, each by ID, by address, or by an old address. */
function configuration(it: Generated, picks: readonly number[]): string {
  const named = picks.flatMap((pick, i) => {
    const address = it.endpoints[pick % Math.max(1, it.endpoints.length)]
    return address === undefined ? [] : [{ address, id: it.ids.get(address) ?? '', way: i % 3 }]
  })
  const ids = named.filter(at => at.way === 0).map(at => `"${at.id}"`)
  const addresses = named.flatMap(({ address, id, way }) =>
    way === 1 ? [`"${address}"`] : way === 2 ? [`{ address = "0000:7e:00.0"; id = "${id}"; }`] : []
  )
  const lists = `devices = [ ${ids.join(' ')} ]; addresses = [ ${addresses.join(' ')} ];`
  return `{ virtualisation.vfio = { enable = true; ${lists} }; }\n`
}

/** The addresses of the devices that a configuration passes through. */
function passedBy(text: string, machine: Machine): Set<string> {
  const [view] = viewsOf(filesOf(text), { importsModules: true })
  const named = view ? deviceReferencesIn(view, machine, []) : []
  return new Set(named.flatMap(at => at.devices.map(device => device.address)))
}

/** The codes of what the host loses. */
function lost(text: string, machine: Machine): string[] {
  const gates = closedGates(machine, passedBy(text, machine), { confirmed: [], bindsAtBoot: true })
  return [...new Set(gates.map(at => at.code))]
}

it('repeated fixes come to an end, and lock the user out in no new way', () => {
  const picks = fc.array(fc.nat(20), { minLength: 1, maxLength: 5 })
  let fixCount = 0
  fc.assert(
    fc.property(generated, picks, (it, chosen) => {
      const before = configuration(it, chosen)
      let text = before
      for (let round = 0; round < 4; round++) {
        const [file] = filesOf(text)
        const fixes = comparisonOf(text, it.machine).findings.flatMap(at =>
          at.fix ? [at.fix] : []
        )
        if (!file || fixes.length === 0) break
        const planned = planFixes(file.doc, fixes)
        if (!planned.ok) throw new Error(planned.error.message)
        fixCount += fixes.length
        text = planned.value.plan.text
      }
      expect(comparisonOf(text, it.machine).findings.filter(at => at.fix !== undefined)).toEqual([])
      const known = lost(before, it.machine)
      // If one card is returned to the host, the monitor may be at another one.
      if (known.includes('ONLY_DISPLAY')) known.push('SHOWS_SCREEN')
      expect(lost(text, it.machine).filter(at => !known.includes(at))).toEqual([])
    }),
    { numRuns: 200, seed }
  )
  expect(fixCount).toBeGreaterThan(100)
})
