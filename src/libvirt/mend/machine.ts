import { attributeOf } from '../tree.ts'
import { type Draft, draftsIn, type Mended, place, setAttribute } from './change.ts'

// QEMU takes a machine type out six years after it came: 4.2 went with QEMU 10.2.
const LAST_GONE = [4, 2] as const

/** A machine type that QEMU has no more, or that only one distribution has, gives way to its family. */
export function mendMachine(root: Draft): Mended {
  const [os] = draftsIn(root, 'os')
  const [type] = draftsIn(os, 'type')
  const before = type && attributeOf(type, 'machine')
  const found = /^pc(?:-(q35|i440fx))?-([\w.]+(?:-[\w.-]+)?)$/.exec(before ?? '')
  if (!type || before === undefined || !found) return { changes: [], remarks: [] }
  const [, family, version = ''] = found
  const numbers = /^(\d+)\.(\d+)$/.exec(version)
  if (numbers && !isGone(Number(numbers[1]), Number(numbers[2])))
    return { changes: [], remarks: [] }
  const after = family === 'q35' ? 'q35' : 'pc'
  setAttribute(type, 'machine', after)
  const reason = numbers
    ? 'QEMU takes machine types out after six years'
    : 'only the QEMU of another distribution has it'
  const why = `${reason}; the guest may find its devices anew, and Windows may ask to be activated`
  return {
    changes: [{ code: 'MACHINE', path: 'os/type', before, after, why, ...place(type) }],
    remarks: []
  }
}

function isGone(major: number, minor: number): boolean {
  const [lastMajor, lastMinor] = LAST_GONE
  return major < lastMajor || (major === lastMajor && minor <= lastMinor)
}
