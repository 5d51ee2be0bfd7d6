// vfio-guests.service with a real libvirt and its QEMU driver.

import { describe, expect, test } from 'vitest'
import { GUESTS, guestNix, guestXml } from '../guests/support/guests.ts'
import { xmlOf } from '../guests/support/text.ts'
import { guest, memoryIn, NETWORK, UUIDS } from './support/guest.ts'
import { describeWithLibvirt, namesOf } from './support/libvirt.ts'

const KEPT = '; copy what you need from it into the configuration.'

describeWithLibvirt('vfio-guests.service', libvirt => {
  const memoryOf = (...words: string[]) => memoryIn(libvirt.virsh('dumpxml', ...words))
  const guests = () => namesOf(libvirt.virsh('list', '--all', '--name')).sort()
  const recordOf = (path: string) => libvirt.records()[path]
  const definedBy: typeof libvirt.definedBy = (...words) => libvirt.definedBy(...words)
  const serve = (xml: string) => libvirt.serve({ defined: definedBy(xml) })
  const wasDefined = { status: 0, output: 'win10: defined.\n' }

  test('defines a new guest, and does nothing in the next run', () => {
    expect(serve(guest())).toEqual(wasDefined)
    expect(guests()).toEqual(['win10'])
    expect(libvirt.records()).toEqual({
      'win10/applied.xml': guest(),
      'win10/libvirt.xml': `${libvirt.virsh('dumpxml', 'win10')}\n`
    })

    expect(serve(guest())).toEqual({ status: 0, output: '' })
    expect(libvirt.calls()).toEqual([
      '-q list --all --name',
      '-q list --all --persistent --name',
      '-q list --name'
    ])
  })

  test('defines a guest whose name has spaces and quotes', () => {
    const name = "Büro's PC"
    expect(libvirt.serve({ defined: definedBy(guest({ name }), name) })).toEqual({
      status: 0,
      output: "Büro's PC: defined.\n"
    })
    expect(guests()).toEqual([name])
    expect(libvirt.serve({}).output).toBe(
      "<4>Büro's PC: it is no longer in the configuration, but libvirt keeps it. To remove such guests from libvirt, set: virtualisation.vfio.removeOldGuests = true;\n"
    )
  })

  test('sets autostart of a guest whose name looks like a flag of virsh', () => {
    const name = '--help'
    const { xml = '' } = definedBy(guest({ name }), name)[name] ?? {}
    const serveIt = (autostart: boolean) =>
      libvirt.serve({ defined: { [name]: { xml, autostart } } })
    expect(serveIt(true).output).toBe(
      '--help: defined.\n--help: starts with the host from now on.\n'
    )
    expect(serveIt(false).output).toBe('--help: no longer starts with the host.\n')
    expect(libvirt.virsh('list', '--all', '--autostart', '--name').trim()).toBe('')
  })

  test('defines a guest again after its XML changed in the configuration', () => {
    serve(guest())
    expect(serve(guest({ memory: 32 }))).toEqual(wasDefined)
    expect(memoryOf('win10')).toBe(32)
    expect(libvirt.virsh('domuuid', 'win10')).toBe(UUIDS.win10)
    expect(Object.keys(libvirt.records())).toEqual(['win10/applied.xml', 'win10/libvirt.xml'])
  })

  test('defines a guest again after it was removed from libvirt', () => {
    serve(guest())
    libvirt.virsh('undefine', 'win10')
    expect(serve(guest())).toEqual(wasDefined)
    expect(guests()).toEqual(['win10'])
  })

  describe('a guest that was changed in libvirt', () => {
    const edited = guest({ memory: 24 })

    test('keeps its change while the configuration is unchanged', () => {
      serve(guest())
      libvirt.virsh('define', libvirt.file('edited.xml', edited))
      expect(serve(guest())).toEqual({ status: 0, output: '' })
      expect(memoryOf('win10')).toBe(24)
    })

    test('is saved when the configuration changes, but equal definitions only once', () => {
      serve(guest())
      for (const [memory, now, number] of [
        [24, 32, 1],
        [40, 48, 2]
      ]) {
        libvirt.virsh('define', libvirt.file('edited.xml', guest({ memory })))
        const before = libvirt.virsh('dumpxml', 'win10')
        expect(serve(guest({ memory: now }))).toEqual({
          status: 0,
          output: `<4>win10: libvirt had a different definition, from virt-manager or virsh for example. It is kept in /var/lib/vfio-guests/win10/kept-${number}.xml${KEPT}\nwin10: defined.\n`
        })
        expect(memoryOf('win10')).toBe(now)
        expect(recordOf(`win10/kept-${number}.xml`)?.trimEnd()).toBe(before)
      }
      libvirt.virsh('define', libvirt.file('edited.xml', edited))
      expect(serve(guest({ memory: 16 })).output).toContain('win10/kept-1.xml;')
      expect(Object.keys(libvirt.records())).toEqual([
        'win10/applied.xml',
        'win10/kept-1.xml',
        'win10/kept-2.xml',
        'win10/libvirt.xml'
      ])
    })

    test('is not saved if the configuration has the same change', () => {
      serve(guest())
      libvirt.virsh('define', libvirt.file('edited.xml', edited))
      expect(serve(edited)).toEqual(wasDefined)
      expect(Object.keys(libvirt.records())).toEqual(['win10/applied.xml', 'win10/libvirt.xml'])
    })

    test('is saved if libvirt had the guest before the configuration defined it', () => {
      libvirt.virsh('define', libvirt.file('edited.xml', edited))
      const before = libvirt.virsh('dumpxml', 'win10')
      expect(serve(guest()).output).toContain(
        `kept in /var/lib/vfio-guests/win10/kept-1.xml${KEPT}`
      )
      expect(recordOf('win10/kept-1.xml')?.trimEnd()).toBe(before)
    })

    test('keeps its change if the disk is full, and is saved in the next run', () => {
      serve(guest())
      libvirt.virsh('define', libvirt.file('edited.xml', edited))
      const before = libvirt.virsh('dumpxml', 'win10')
      const defined = definedBy(guest({ memory: 32 }))
      expect(libvirt.serve({ defined }, { isFull: true })).toEqual({
        status: 1,
        output: 'cat: write error: File too large\n'
      })
      expect(memoryOf('win10')).toBe(24)
      expect(libvirt.serve({ defined }).status).toBe(0)
      expect(memoryOf('win10')).toBe(32)
      expect(recordOf('win10/kept-1.xml')?.trimEnd()).toBe(before)
    })

    test('is saved with its password', () => {
      const graphics = "<graphics type='vnc' passwd='geheim'/>"
      serve(guest())
      libvirt.virsh('define', libvirt.file('edited.xml', guest({ devices: graphics })))
      serve(guest({ memory: 32 }))
      expect(recordOf('win10/kept-1.xml')).toContain(" passwd='geheim'")
    })
  })

  test('does not change a running guest before its next start', () => {
    serve(guest())
    libvirt.virsh('start', 'win10', '--paused')
    const id = libvirt.virsh('domid', 'win10')
    expect(serve(guest({ memory: 32 }))).toEqual({
      status: 0,
      output: 'win10: defined. It is running, so this takes effect at its next start.\n'
    })
    expect(libvirt.virsh('domid', 'win10')).toBe(id)
    expect([memoryOf('win10'), memoryOf('win10', '--inactive')]).toEqual([16, 32])

    expect(libvirt.serve({ removeOldGuests: true }).output).toBe(
      '<4>win10: it is no longer in the configuration, but it is running. It is removed at the next switch or boot if it is off then.\n'
    )
    expect(libvirt.virsh('domid', 'win10')).toBe(id)
    expect(libvirt.virsh('list', '--all', '--persistent', '--name').trim()).toBe('win10')

    libvirt.virsh('destroy', 'win10')
    libvirt.virsh('start', 'win10', '--paused')
    expect(memoryOf('win10')).toBe(32)
  })

  test('restores a guest that was removed from libvirt while it was running', () => {
    const xml = libvirt.file('win10.xml', guest())
    const run = () => libvirt.serve({ defined: { win10: { xml, autostart: true } } })
    run()
    libvirt.virsh('start win10 --paused; undefine win10')
    expect(run()).toEqual({
      status: 0,
      output:
        'win10: defined. It is running, so this takes effect at its next start.\nwin10: starts with the host from now on.\n'
    })
    libvirt.virsh('destroy', 'win10')
    expect([guests(), run()]).toEqual([['win10'], { status: 0, output: '' }])
  })

  test('defines a guest that is running without a persistent definition', () => {
    libvirt.virsh('create', libvirt.file('created.xml', guest({ memory: 24 })), '--paused')
    expect(serve(guest()).output).toContain('kept in /var/lib/vfio-guests/win10/kept-1.xml')
    expect([memoryOf('win10'), memoryOf('win10', '--inactive')]).toEqual([24, 16])
    libvirt.virsh('destroy', 'win10')
    expect(guests()).toEqual(['win10'])
  })

  test('keeps a guest with a saved state, and warns about the saved state', () => {
    serve(guest())
    libvirt.virsh('start', 'win10', '--paused')
    libvirt.virsh('managedsave', 'win10')
    expect(serve(guest({ memory: 32 }))).toEqual({
      status: 0,
      output:
        'win10: defined.\n<4>win10: it has a saved state, so it resumes without this definition. Discard the saved state with "virsh managedsave-remove".\n'
    })
    expect(libvirt.serve({ removeOldGuests: true })).toEqual({
      status: 1,
      output:
        '<3>win10: libvirt did not remove it: Refusing to undefine while domain managed save image exists\n'
    })
    expect(guests()).toEqual(['win10'])
  })

  describe('a guest that is no longer in the configuration', () => {
    const WARNING =
      '<4>win10: it is no longer in the configuration, but libvirt keeps it. To remove such guests from libvirt, set: virtualisation.vfio.removeOldGuests = true;\n'

    test('is kept, with a warning in each run', () => {
      serve(guest())
      for (let times = 0; times < 2; times++) {
        expect(libvirt.serve({})).toEqual({ status: 0, output: WARNING })
      }
      expect(guests()).toEqual(['win10'])
    })

    test('is removed with removeOldGuests, and its definition is saved', () => {
      serve(guest())
      const before = libvirt.virsh('dumpxml', 'win10')
      libvirt.virsh('define', libvirt.file('other.xml', guest({ name: 'other' })))
      expect(libvirt.serve({ removeOldGuests: true })).toEqual({
        status: 0,
        output:
          'win10: removed from libvirt, because it is no longer in the configuration. Its disks are untouched, and its definition is kept in /var/lib/vfio-guests/win10/kept-1.xml.\n'
      })
      expect(libvirt.calls()).toContain('-q undefine --keep-nvram --keep-tpm --domain win10')
      expect(libvirt.calls().filter(it => it.includes('--remove-all-storage'))).toEqual([])
      expect(guests()).toEqual(['other'])
      expect(Object.keys(libvirt.records())).toEqual(['win10/kept-1.xml'])
      expect(recordOf('win10/kept-1.xml')?.trimEnd()).toBe(before)
      expect(libvirt.serve({ removeOldGuests: true })).toEqual({ status: 0, output: '' })
      expect(serve(guest())).toEqual(wasDefined)
    })

    test('keeps its NVRAM and TPM when it is removed, and is kept if libvirt would delete its TPM', () => {
      const nvram = libvirt.ownFile('nvram/win10_VARS.fd', 'settings of its firmware\n')
      const tpm = `swtpm/${UUIDS.win10}/tpm2/tpm2-00.permall`
      libvirt.ownFile(tpm, 'keys\n')
      const withBoth = guest({
        os: `<loader readonly='yes' type='pflash'>/nowhere/code.fd</loader><nvram>${nvram.path}</nvram>`,
        devices: "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
      })
      expect(serve(withBoth)).toEqual(wasDefined)
      expect(libvirt.serve({ removeOldGuests: true }, { isOld: true }).output).toBe(
        '<4>win10: it is no longer in the configuration, but it is kept because this version of libvirt would delete its TPM.\n'
      )
      expect(libvirt.serve({ removeOldGuests: true }).status).toBe(0)
      expect(guests()).toEqual([])
      expect(libvirt.ownFile('nvram/win10_VARS.fd').exists).toBe(true)
      expect(libvirt.ownFile(tpm).exists).toBe(true)
    })

    test('is reported with a command if the configuration has it under a new name', () => {
      serve(guest())
      const renamed = guest({ name: 'windows', uuid: UUIDS.win10 })
      const defined = definedBy(renamed, 'windows')
      expect(libvirt.serve({ defined })).toEqual({
        status: 1,
        output: `${WARNING}<3>windows: libvirt did not define it: Failed to define domain from ${defined.windows?.xml}: operation failed: domain 'win10' is already defined with uuid ${UUIDS.win10}\nwindows: libvirt's guest win10 has the same UUID. If win10 is the old name of this guest, rename it while it is off: virsh domrename win10 windows; then: systemctl restart vfio-guests. Otherwise give this guest another UUID.\n`
      })
      expect(libvirt.serve({ defined, removeOldGuests: true }).status).toBe(0)
      expect(guests()).toEqual(['windows'])
    })

    test('is defined under its new name after that command', () => {
      serve(guest())
      const renamed = guest({ name: 'my windows', uuid: UUIDS.win10, memory: 32 })
      const defined = definedBy(renamed, 'my windows')
      const [, command = ''] =
        /virsh (domrename .*); then/.exec(libvirt.serve({ defined }).output) ?? []
      expect(command).toBe('domrename win10 my\\ windows')
      libvirt.virsh(command)
      expect(libvirt.serve({ defined }).status).toBe(0)
      expect([guests(), memoryOf('my windows')]).toEqual([['my windows'], 32])
      expect(Object.keys(libvirt.records()).filter(it => it.startsWith('win10'))).toEqual([])
    })

    test('is kept with an error if it has snapshots', () => {
      serve(guest())
      const state = '<name>first</name><state>shutoff</state><creationTime>1</creationTime>'
      const snapshot = `<domainsnapshot>${state}${guest()}</domainsnapshot>`
      const file = libvirt.file('first.xml', snapshot)
      libvirt.virsh('snapshot-create', 'win10', file, '--redefine')
      expect(libvirt.serve({ removeOldGuests: true })).toEqual({
        status: 1,
        output:
          "<3>win10: libvirt did not remove it: Failed to undefine domain 'win10': Requested operation is not valid: cannot delete inactive domain with 1 snapshots\n"
      })
      expect(libvirt.virsh('snapshot-list', 'win10', '--name').trim()).toBe('first')
      libvirt.virsh('snapshot-delete', 'win10', 'first', '--metadata')
    })

    test('is kept if the configuration still has it without a definition', () => {
      serve(guest())
      expect(libvirt.serve({ undefined: ['win10'], removeOldGuests: true })).toEqual({
        status: 0,
        output: 'win10: the configuration no longer defines it, but libvirt keeps its definition.\n'
      })
      expect(guests()).toEqual(['win10'])
      expect(libvirt.records()).toEqual({})
    })

    test("is not removed if libvirt's guest of that name has another UUID", () => {
      serve(guest())
      libvirt.virsh('undefine', 'win10')
      const uuid = '00000000-0000-4000-8000-000000000002'
      libvirt.virsh('define', libvirt.file('other.xml', guest({ uuid })))
      expect(libvirt.serve({ removeOldGuests: true })).toEqual({ status: 0, output: '' })
      expect(libvirt.virsh('domuuid', 'win10')).toBe(uuid)
      expect(libvirt.records()).toEqual({})
    })

    test('has its records deleted if libvirt does not have it', () => {
      serve(guest())
      libvirt.virsh('undefine', 'win10')
      expect(libvirt.serve({})).toEqual({ status: 0, output: '' })
      expect(libvirt.records()).toEqual({})
    })
  })

  describe('the guests of test/guests, adapted to QEMU without KVM', () => {
    const refused: Record<string, string> = {
      'evdev-input': 'UEFI requires ACPI on this architecture',
      nvme: 'Write filtering of PCI device configuration space is not supported by qemu',
      'store-paths': 'UEFI requires ACPI on this architecture'
    }
    const forQEMU = (xml: string) =>
      xml
        .replace(/^<domain type='kvm'/, "<domain type='qemu'")
        .replace(/machine='pc-q35-[^']+'/, "machine='q35'")
        .replace(/<emulator>.*<\/emulator>/, '')

    test.each(GUESTS)('defines %s, or reports why QEMU without KVM refuses it', given => {
      const [, name = ''] = /<name>(.*)<\/name>/.exec(guestXml(given)) ?? []
      const xml = forQEMU(xmlOf(guestNix(given)))
      libvirt.virsh('net-define', libvirt.file('network.xml', NETWORK))
      const defined = definedBy(xml, name)
      const { output } = libvirt.serve({ defined })
      const complaint = refused[given]
      if (complaint !== undefined) {
        expect(output).toMatch(
          new RegExp(`^<3>${name}: libvirt did not define it: .*: ${complaint}\n$`)
        )
        expect([guests(), libvirt.records()]).toEqual([[], {}])
        return
      }
      expect(output).toBe(
        xml.includes("<source network='default'")
          ? `${name}: defined.\n${name}: started the network "default", which it uses.\n`
          : `${name}: defined.\n`
      )
      expect(guests()).toEqual([name])
      expect(recordOf(`${name}/applied.xml`)).toBe(xml)
      expect(libvirt.serve({ defined })).toEqual({ status: 0, output: '' })
    })
  })

  test('reports a guest that libvirt rejects, and defines the others', () => {
    const other = guest({ uuid: '00000000-0000-4000-8000-000000000002' })
    libvirt.virsh('define', libvirt.file('edited.xml', other))
    const name = "my son's"
    const broken = libvirt.file('broken.xml', '<domain>\n')
    const defined: Record<string, { xml: string }> = {
      broken: { xml: broken },
      ...definedBy(guest()),
      ...definedBy(guest({ name }), name)
    }
    expect(libvirt.serve({ defined })).toEqual({
      status: 1,
      output: [
        `<3>broken: libvirt did not define it: Failed to define domain from ${broken}: (domain_definition):2: Premature end of data in tag domain line 1 (null) ^\n`,
        `<3>win10: libvirt did not define it: Failed to define domain from ${defined.win10?.xml}: operation failed: domain 'win10' already exists with uuid 00000000-0000-4000-8000-000000000002\n`,
        "win10: libvirt's definition is unchanged; its UUID is 00000000-0000-4000-8000-000000000002.\n",
        "my son's: defined.\n"
      ].join('')
    })
    expect(guests()).toEqual([name, 'win10'])
    expect(Object.keys(libvirt.records())).toEqual([`${name}/applied.xml`, `${name}/libvirt.xml`])
    // The guest that was defined elsewhere is not managed by the service.
    libvirt.serve({ removeOldGuests: true })
    expect(guests()).toEqual(['win10'])
  })

  test('turns autostart on and off, and keeps it if it is not configured', () => {
    const defined = definedBy(guest())
    const starting = () => libvirt.virsh('list', '--all', '--autostart', '--name').trim()
    const set = (autostart?: boolean) =>
      libvirt.serve({
        defined: {
          win10: { xml: defined.win10?.xml ?? '', ...(autostart !== undefined && { autostart }) }
        }
      }).output
    expect(set(true)).toBe('win10: defined.\nwin10: starts with the host from now on.\n')
    expect([set(true), starting()]).toEqual(['', 'win10'])
    expect([set(), starting()]).toEqual(['', 'win10'])
    expect([set(false), starting()]).toEqual(['win10: no longer starts with the host.\n', ''])
    expect([set(false), starting()]).toEqual(['', ''])
  })

  test("starts libvirt's default network if a guest uses it", () => {
    const inNetwork = guest({
      devices:
        "<interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/></interface>"
    })
    expect(serve(inNetwork)).toEqual({
      status: 1,
      output:
        'win10: defined.\n<3>win10: it uses the network "default", which libvirt does not have.\n'
    })
    libvirt.virsh('net-define', libvirt.file('network.xml', NETWORK))
    serve(guest())
    expect(libvirt.virsh('net-list', '--name').trim()).toBe('')

    expect(serve(inNetwork)).toEqual({
      status: 0,
      output: 'win10: defined.\nwin10: started the network "default", which it uses.\n'
    })
    expect(libvirt.virsh('net-list', '--autostart', '--name').trim()).toBe('default')
    expect(serve(inNetwork)).toEqual({ status: 0, output: '' })
  })
})
