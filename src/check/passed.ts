// What a configuration gives to guests, device by device, and what of it the machine has.

import { idOf, type Machine, type PciDevice } from '../host/machine.ts'
import { isVirtual } from '../host/virtualFunctions.ts'
import { type Binding, bindingsOf } from '../lints/bindings.ts'
import type { EntryItem, EntryText, View } from '../lints/configuration.ts'
import { isPlain } from '../lints/find.ts'
import type { Finding } from '../lints/index.ts'
import type { Range } from '../nix/index.ts'
import { isBoundByID } from './params.ts'

/** A place in a configuration that names a device. */
export interface Named {
  path: string
  range: Range
  /** What names it: an ID in one of the places for IDs, or an item of `addresses`. */
  by:
    | { kind: 'id'; id: string; binding: Binding }
    | { kind: 'address'; address: string; expected: string | undefined; item: EntryItem }
  /**
   * The devices of the machine that it takes at boot; several may have one ID. Virtual functions come after
   * that: an address never takes one, and an ID only where no other device has it.
   */
  devices: readonly PciDevice[]
  /** The virtual functions that it selects. */
  virtual: readonly PciDevice[]
}

/**
 * All places that name devices in a view. Those that count only under a condition are left out, unless
 * one of these kernel parameters shows that it holds, or `hasConditional` asks for them.
 */
export function namedIn(
  view: View,
  machine: Machine,
  params: readonly string[],
  hasConditional = false
): Named[] {
  const ids = bindingsOf(view).flatMap(binding => {
    return idsOf(binding)
      .filter(it => hasConditional || isCertain(binding.at) || isBoundByID(params, it.id))
      .flatMap(({ id, start, end }): Named[] => {
        const by = { kind: 'id', id, binding } as const
        const all = machine.devices.filter(it => id.startsWith(idOf(it)))
        const virtual = all.filter(isVirtual)
        const others = all.filter(it => !isVirtual(it))
        const devices = others.length > 0 ? others : virtual
        // What follows vendor and device narrows it down in a way that can't be seen here.
        const isClear = id.length === 9 || all.length === 1
        return isClear
          ? [{ path: pathOf(binding.at), range: { start, end }, by, devices, virtual }]
          : []
      })
  })
  const addresses = view.items('virtualisation.vfio.addresses').flatMap((item): Named[] => {
    const { start, end } = item.node
    const source = item.entry.file.doc.text.slice(start, end)
    const address = /"([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])"/i.exec(source)?.[1]
    if (address === undefined || !(hasConditional || isCertain(item))) return []
    const expected = /\bid\s*=\s*"([0-9a-f]{4}:[0-9a-f]{4})"/i.exec(source)?.[1]?.toLowerCase()
    const by = { kind: 'address', address: address.toLowerCase(), expected, item } as const
    // What is not expected there is left alone.
    const all = machine.devices.filter(
      it => it.address === by.address && (expected === undefined || idOf(it) === expected)
    )
    const [virtual, devices] = [all.filter(isVirtual), all.filter(it => !isVirtual(it))]
    return [{ path: pathOf(item), range: { start, end }, by, devices, virtual }]
  })
  return [...ids, ...addresses]
}

function idsOf({ lists }: Binding): { id: string; start: number; end: number }[] {
  return lists.flatMap(list => {
    let { start } = list
    return list.text.split(',').flatMap(text => {
      const at = start
      start += text.length + 1
      const isID = isPlain(text) && /^[0-9a-f]{4}:[0-9a-f]{4}/i.test(text)
      return isID ? [{ id: text.toLowerCase(), start: at, end: at + text.length }] : []
    })
  })
}

/** Whether it counts in any case. */
export function isCertain(at: EntryItem | EntryText): boolean {
  return at.conditions.length === 0 && at.entry.conditions.length === 0
}

/** The place that names a device which is given away. */
export function namedFor(
  named: readonly Named[],
  device: PciDevice,
  passed: ReadonlySet<string>
): Named | undefined {
  return named.find(it => it.devices.includes(device) && passed.has(device.address))
}

/** A finding at such a place. */
export function at({ path, range }: Named, said: Omit<Finding, 'path' | 'range'>): Finding {
  return { ...said, path, range }
}

function pathOf(at: EntryItem | EntryText): string {
  return at.entry.file.path
}
