// vfio-guests.service, killed during a run: the next run has the same result as an uninterrupted one.

import { expect, test } from 'vitest'
import { guest, memoryIn, UUIDS } from './support/guest.ts'
import { describeWithLibvirt } from './support/libvirt.ts'

describeWithLibvirt('vfio-guests.service after a kill', libvirt => {
  const memoryOf = (name: string) => memoryIn(libvirt.virsh('dumpxml', name))
  const definedBy: typeof libvirt.definedBy = (...words) => libvirt.definedBy(...words)
  const serve = (xml: string) => libvirt.serve({ defined: definedBy(xml) })

  test('defines the earlier XML again if the configuration is reverted after the kill', () => {
    serve(guest())
    const defined = definedBy(guest({ memory: 32 }))
    libvirt.serve({ defined })
    const call = libvirt.calls().findIndex(it => it.startsWith('-q define ')) + 1
    libvirt.clear()

    serve(guest())
    const second = definedBy(guest({ memory: 32 }))
    expect(libvirt.serve({ defined: second }, { kill: { call, when: 'after' } }).status).toBe(-1)
    expect(memoryOf('win10')).toBe(32)
    expect(serve(guest()).status).toBe(0)
    expect(memoryOf('win10')).toBe(16)
  })

  test.each([true, false])(
    'if libvirt exits before it replies, saves the earlier definition only if it was changed (changed: %s)',
    isEdited => {
      serve(guest())
      if (isEdited) libvirt.virsh('define', libvirt.file('edited.xml', guest({ memory: 24 })))
      const before = libvirt.virsh('dumpxml', 'win10')
      const defined = definedBy(guest({ memory: 32 }))
      // The fifth call, after three that list guests and one that dumps the definition.
      const kill = { call: 5, when: 'after' as const, loses: true }
      expect(libvirt.serve({ defined }, { kill })).toEqual({
        status: 1,
        output:
          '<3>win10: libvirt did not define it: End of file while reading data: Input/output error\n'
      })
      expect(memoryOf('win10')).toBe(32)
      expect(libvirt.serve({ defined }).status).toBe(0)
      const kept = libvirt.records()['win10/kept-1.xml']?.trimEnd()
      expect([memoryOf('win10'), kept]).toEqual([32, isEdited ? before : undefined])
    }
  )

  test('reaches the same result after a kill at any call of virsh', () => {
    const edited = libvirt.file('edited.xml', guest({ memory: 24 }))
    const oldFile = libvirt.file('old.xml', guest({ name: 'old', uuid: UUIDS["my son's"] }))
    const newFile = libvirt.file('new.xml', guest({ name: 'new' }))
    libvirt.serve({ defined: { ...definedBy(guest()), old: { xml: oldFile } } })
    const records = libvirt.records()

    const wanted = {
      defined: { new: { xml: newFile, autostart: true }, ...definedBy(guest({ memory: 32 })) },
      removeOldGuests: true
    }
    /** Restores the initial state, runs the service, and returns the resulting state. */
    const end = (run: () => void) => {
      libvirt.virsh(`undefine new; define ${edited}; define ${oldFile}; list`)
      libvirt.setRecords(records)
      run()
      const of = 'list --all --name; list --all --autostart --name; dumpxml new; dumpxml win10'
      return { libvirt: libvirt.virsh(of), records: libvirt.records() }
    }
    const expected = end(() => expect(libvirt.serve(wanted, { isWatched: true }).status).toBe(0))
    const [calls, written] = [libvirt.calls(), libvirt.written()]
    expect(Object.keys(expected.records)).toEqual([
      'new/applied.xml',
      'new/libvirt.xml',
      'old/kept-1.xml',
      'win10/applied.xml',
      'win10/kept-1.xml',
      'win10/libvirt.xml'
    ])

    const changes = calls.filter(it => /^-q (define|undefine|autostart) /.test(it))
    expect(changes).toHaveLength(4)
    const isChange = (i: number) => changes.includes(calls[i] ?? '')
    const kills = calls.flatMap((_, i) => [
      // A call that only reads changes no state, so a kill after it equals a kill before the next call.
      ...(i === 0 || isChange(i - 1) || written[i] !== written[i - 1]
        ? [{ call: i + 1, when: 'before' as const }]
        : []),
      ...(isChange(i) ? [{ call: i + 1, when: 'after' as const }] : [])
    ])
    expect(kills.length).toBeGreaterThan(12)
    for (const kill of kills) {
      const found = end(() => {
        expect(libvirt.serve(wanted, { kill }).status).toBe(-1)
        expect(libvirt.serve(wanted).status).toBe(0)
      })
      expect({ kill, ...found }).toEqual({ kill, ...expected })
    }
  }, 120_000)
})
