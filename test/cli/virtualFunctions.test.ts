// Virtual functions (SR-IOV): a guest gets one when it starts. They are not bound at boot.

import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { folderOf } from '../machine/support/machines.ts'
import { device, PLAIN, small } from './support/guest.ts'
import { CHECKED } from './support/machine.ts'
import { installedModules } from './support/modules.ts'
import { expectRefusal, makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const MACHINE = 'virtual-functions'
const GPU = '0000:00:02.0 Intel Alder Lake-S GT1 [UHD Graphics 730]'
const GPU1 = GPU.replace('02.0', '02.1')
const NIC = '0000:01:00.0 Intel 82576 Gigabit Network Connection'
const MODULES = Object.keys(installedModules()).length

const INTEL = 'IOMMU type: intel (detected from the CPU).'
const NOT_CREATED =
  'Note: nothing in the configuration creates virtual functions, so after a restart 0000:00:02.0 has none. Let the configuration write their number to /sys/bus/pci/devices/0000:00:02.0/sriov_numvfs before small starts.'
const TAKEN = `Virtual function: ${GPU1}; nothing is bound at boot, libvirt detaches it when the guest starts, and ${GPU} keeps its driver, i915.`

function given(guest = small(`<devices>${device('0x00', '0x02', '0x1')}</devices>`)): Place {
  return makePlace({ 'configuration.nix': PLAIN, 'guest.xml': guest })
}

function call(command: string, ...more: string[]): string[] {
  return [command, 'configuration.nix', '--sysfs', folderOf(MACHINE), ...more]
}

const DOMAIN = ['--domain', 'guest.xml']

/** The remedy that passes a virtual function through; the parameters are parts of its address. */
function inDomain(bus: string, slot: string, part: string): string {
  return [
    `to give 0000:${bus}:${slot}.${part} to a guest while it runs, add this to the guest's domain:`,
    `<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x${bus}' slot='0x${slot}' function='0x${part}'/></source></hostdev>`,
    'then: vfio-patch apply --domain GUEST.xml'
  ].join('\n       ')
}

/** Copies the machine with changed texts, and without the lines for which `keeps` is false; returns the flags. */
function machineIn(
  place: Place,
  changes: readonly (readonly [string, string])[],
  keeps: (line: string) => boolean = () => true
): string[] {
  const folder = join(place.top, 'machine')
  cpSync(folderOf(MACHINE), folder, { recursive: true })
  const file = join(folder, 'sys.txt')
  let all = readFileSync(file, 'utf8')
  for (const [from, to] of changes) {
    if (!all.includes(from)) throw new Error(from)
    all = all.replace(from, to)
  }
  writeFileSync(file, all.split('\n').filter(keeps).join('\n'))
  return ['--sysfs', folder]
}

describe('apply --domain with a virtual function', () => {
  test.concurrent('apply --domain with a virtual function binds nothing at boot', async ({
    expect
  }) => {
    const place = given()
    const outcome = await place.run(call('apply', ...DOMAIN, '--yes'))
    expect(outcome.code).toBe(0)
    const lines = outcome.stderr.split('\n')
    expect(lines.slice(0, lines.indexOf(CHECKED))).toEqual([
      `/etc/nixos/configuration.nix: 2 changes; vfio/: ${MODULES} new files; vfio/guests/: 1 new file`,
      'Guest: small; you may edit its file.',
      TAKEN,
      INTEL,
      NOT_CREATED
    ])
    expect(place.read('configuration.nix')).toBe(text`
      { ... }:
      {
        imports = [ ./vfio ];

        virtualisation.vfio = {
          enable = true;
          IOMMUType = "intel";
        };

        system.stateVersion = "26.05";
      }
      `)
    expect(place.read('vfio/guests/small.nix')).toContain('managed = "yes";\n')
    // A second run has nothing to do.
    const again = await place.run(call('apply', ...DOMAIN, '--yes'))
    expect([again.code, again.stderr.split('\n')[0]]).toEqual([
      0,
      'Nothing to do: /etc/nixos/configuration.nix is already up to date.'
    ])
  })

  test.concurrent('apply --domain --json reports the same notes about a virtual function', async ({
    expect
  }) => {
    const { code, stdout } = await given().run(call('apply', ...DOMAIN, '-n', '--json'))
    const { outcome, exit, notes, guest, files } = JSON.parse(stdout)
    expect({ code, outcome, exit, notes, changes: guest.changes }).toEqual({
      ...{ code: 1, outcome: 'planned', exit: 1, changes: [] },
      notes: ['Guest: small; you may edit its file.', TAKEN, INTEL, NOT_CREATED]
    })
    expect(JSON.stringify(files.at(-1).edits)).not.toMatch(/devices|addresses/)
  })

  test.concurrent("apply --domain adds a missing managed='yes' to a virtual function", async ({
    expect
  }) => {
    const place = given(
      small(
        [
          '<devices>',
          device('0x00', '0x02', '0x1').replace(" managed='yes'", ''),
          "<interface type='hostdev'><mac address='52:54:00:11:22:33'/><source><address type='pci' domain='0' bus='1' slot='0x10' function='2'/></source></interface>",
          '</devices>'
        ].join('\n')
      )
    )
    place.write(
      'configuration.nix',
      PLAIN.replace('}\n', '  systemd.tmpfiles.rules = [ "w /x/sriov_numvfs - - - - 2" ];\n}\n')
    )
    const { code, stderr } = await place.run(call('apply', ...DOMAIN, '--yes'))
    expect(code).toBe(0)
    const lines = stderr.split('\n')
    const why =
      'is a virtual function, which is not bound to vfio-pci at boot, so libvirt must bind it when the guest starts.'
    expect(lines.slice(1, lines.indexOf(CHECKED))).toEqual([
      'Guest: small; you may edit its file.',
      `Fixed devices/hostdev, line 6: adds managed='yes'. Why: 0000:00:02.1 ${why}`,
      `Fixed devices/interface, line 7: adds managed='yes'. Why: 0000:01:10.2 ${why}`,
      TAKEN,
      `Virtual function: 0000:01:10.2 Intel 82576 Virtual Function; nothing is bound at boot, libvirt detaches it when the guest starts, and ${NIC} keeps its driver, igb.`,
      INTEL
    ])
    const file = place.read('vfio/guests/small.nix')
    expect(file.match(/managed = "yes";/g)).toHaveLength(2)
    expect(place.read('configuration.nix')).not.toMatch(/\bdevices = |addresses = /)
    // A run that does not read the machine does not change that.
    place.write(
      'configuration.nix',
      place
        .read('configuration.nix')
        .replace('imports', 'networking.hostName = "other";\n  imports')
    )
    const elsewhere = ['apply', 'configuration.nix', ...DOMAIN, '--yes']
    const again = await place.run(elsewhere)
    expect(again.code).toBe(0)
    expect(place.read('vfio/guests/small.nix')).toBe(file)
  })

  test.concurrent('apply --domain notes a virtual function that does not exist now, and one in a QEMU argument', async ({
    expect
  }) => {
    const place = given(
      small(
        `<devices>${device('0x00', '0x02', '0x3')}</devices><qemu:commandline><qemu:arg value='-device'/><qemu:arg value='vfio-pci,host=01:10.2'/></qemu:commandline>`
      )
    )
    const { code, stderr } = await place.run(call('apply', ...DOMAIN, '--yes'))
    const lines = stderr.split('\n')
    expect(code).toBe(0)
    expect(lines.slice(1, lines.indexOf(CHECKED))).toEqual([
      'Guest: small; you may edit its file.',
      INTEL,
      "Note: small gets the virtual function 0000:01:10.2 by a <qemu:arg>, so nothing detaches it from the host's driver: libvirt does not know about it, and it is not bound at boot. Use a <hostdev> with managed='yes' instead.",
      `Note: small needs 0000:00:02.3, a virtual function that ${GPU} does not have at the moment. Let its driver, i915, create it before small starts: write the number of virtual functions to /sys/bus/pci/devices/0000:00:02.0/sriov_numvfs`,
      NOT_CREATED.replaceAll('0000:00:02.0', '0000:01:00.0')
    ])
    expect(place.read('configuration.nix')).not.toMatch(/\bdevices = |addresses = /)
  })

  test.concurrent("apply --domain notes that nothing detaches a virtual function with managed='no'", async ({
    expect
  }) => {
    const guest = small(`<devices>${device('0x00', '0x02', '0x1')}</devices>`)
    const place = given(guest.replace("managed='yes'", "managed='no'"))
    const { code, stderr } = await place.run(call('apply', ...DOMAIN, '--yes'))
    const lines = stderr.split('\n')
    expect(code).toBe(0)
    expect(lines.slice(1, lines.indexOf(CHECKED))).toEqual([
      'Guest: small; you may edit its file.',
      `Virtual function: ${GPU1}; nothing is bound at boot, and ${GPU} keeps its driver, i915.`,
      INTEL,
      "Note: nothing detaches 0000:00:02.1 from the host's driver when small starts. In guest.xml, add managed='yes' to the element of the device.",
      NOT_CREATED
    ])
  })

  test.concurrent('apply --domain keeps the driver of an NVIDIA vGPU', async ({ expect }) => {
    const guest = small(`<devices>${device('0x01', '0x10', '0x0')}</devices>`)
    const place = given(guest.replace("managed='yes'", "managed='no'"))
    const machine = machineIn(place, [
      ['10.0/driver -> ../../../../bus/pci/drivers/igbvf', '10.0/driver -> ../x/nvidia']
    ])
    const words = ['apply', 'configuration.nix', ...DOMAIN, ...machine, '--yes']
    const { code, stderr } = await place.run(words)
    const lines = stderr.split('\n')
    expect(code).toBe(0)
    expect(lines.slice(1, lines.indexOf(CHECKED))).toEqual([
      'Guest: small; you may edit its file.',
      `Virtual function: 0000:01:10.0 Intel 82576 Virtual Function; nothing is bound at boot, the guest gets it from its driver, nvidia, and ${NIC} keeps its driver, igb.`,
      INTEL,
      NOT_CREATED.replaceAll('0000:00:02.0', '0000:01:00.0')
    ])
    expect(place.read('vfio/guests/small.nix')).toContain('managed = "no";\n')
    const { stdout } = await place.run(['scan', ...machine], { env: { COLUMNS: '100' } })
    expect(stdout).toContain(
      "virtual function of 0000:01:00.0; can be passed through at run time (managed='no')\n"
    )
  })

  test.concurrent('apply --domain only turns the IOMMU on if the group of a virtual function is not known yet', async ({
    expect
  }) => {
    const place = given()
    const machine = machineIn(place, [], it => !it.includes('iommu_group'))
    const words = ['apply', 'configuration.nix', ...DOMAIN, ...machine, '-n']
    const { code, stderr } = await place.run(words)
    const lines = stderr.split('\n')
    expect(code).toBe(1)
    expect(lines.slice(1, lines.indexOf(CHECKED))).toEqual([
      'Guest: small; you may edit its file.',
      INTEL,
      `The IOMMU is off, so this run only turns it on. Reboot, then run this again to see whether a guest can have ${GPU1}.`,
      NOT_CREATED
    ])
  })

  test.concurrent('apply --domain refuses a virtual function in the IOMMU group of its card', async () => {
    const place = given()
    const machine = machineIn(place, [
      ['02.1/iommu_group -> ../../../../kernel/iommu_groups/10', '02.1/iommu_group -> ../x/2']
    ])
    await expectRefusal(place, ['apply', 'configuration.nix', ...DOMAIN, ...machine, '--yes'], {
      code: 7,
      stderr: text`
        vfio-patch: ${GPU1} shares IOMMU group 2 with 0000:00:02.0 (display). Nothing was written.
          Why: the IOMMU can't isolate them from each other: a guest can't start with one device while a host driver uses the other, and without that driver there is no virtual function.
               guest.xml assigns it to small.
          Do:  put the card into another slot, or look for an ACS setting in the firmware setup, then: vfio-patch scan;
               or change the addresses in guest.xml, if that file is from another machine
        `
    })
  })

  test.concurrent('apply --domain refuses a virtual function that shares its group with one that the host uses', async () => {
    const place = given()
    const machine = machineIn(place, [
      ['02.1/iommu_group -> ../../../../kernel/iommu_groups/10', '02.1/iommu_group -> ../x/11']
    ])
    await expectRefusal(place, ['apply', 'configuration.nix', ...DOMAIN, ...machine, '--yes'], {
      code: 7,
      stderr: text`
        vfio-patch: ${GPU1} shares IOMMU group 11 with 0000:00:02.2 (display). Nothing was written.
          Why: the IOMMU can't isolate them from each other: a guest can't start with one device while a host driver uses the other.
               guest.xml assigns it to small.
          Do:  keep host drivers from binding the virtual functions (sriov_drivers_autoprobe), then run this again;
               or change the addresses in guest.xml, if that file is from another machine
        `
    })
  })

  test.concurrent('apply --domain refuses a virtual function that is the only network card', async () => {
    const place = given(small(`<devices>${device('0x01', '0x10', '0x0')}</devices>`))
    const machine = machineIn(place, [
      ['/0000:01:00.0/net/enp1s0f0\n', '/0000:01:10.0/net/enp1s0f0\n'],
      ['/0000:01:00.1/net/enp1s0f1\n', '/0000:01:10.0/net/enp1s0f1\n']
    ])
    await expectRefusal(place, ['apply', 'configuration.nix', ...DOMAIN, ...machine, '--yes'], {
      code: 7,
      stderr: text`
        vfio-patch: 0000:01:10.0 Intel 82576 Virtual Function is the only network card (enp1s0f0, enp1s0f0v0 and enp1s0f1). Nothing was written.
          Why: while the guest runs, this machine would have no network.
               guest.xml assigns it to small.
          Do:  first install another network card for the host, or do not pass this card through;
               or change the addresses in guest.xml, if that file is from another machine
        `
    })
  })

  test.concurrent('apply --domain refuses a virtual function whose device is passed through itself', async () => {
    const place = given(
      small(`<devices>${device('0x01', '0x10', '0x2')}${device('0x01', '0x00', '0x0')}</devices>`)
    )
    await expectRefusal(place, call('apply', ...DOMAIN, '--yes'), {
      code: 7,
      stderr: text`
        vfio-patch: 0000:01:10.2 Intel 82576 Virtual Function is a virtual function of 0000:01:00.0, which is itself passed through. Nothing was written.
          Why: vfio-pci would replace the driver of 0000:01:00.0, which creates the virtual functions.
               also: ${NIC} has 2 virtual functions, which would be lost if it were passed through.
               guest.xml assigns it to small.
          Do:  remove one of the two: 0000:01:10.2 from the domain, or 0000:01:00.0 from the flags and virtualisation.vfio;
               or change the addresses in guest.xml, if that file is from another machine
        `
    })
  })
})

test.concurrent('scan shows the group that keeps a virtual function from guests', async ({
  expect
}) => {
  const place = given()
  const machine = machineIn(place, [
    ['02.1/iommu_group -> ../../../../kernel/iommu_groups/10', '02.1/iommu_group -> ../x/2'],
    ['10.2/iommu_group -> ../../../../kernel/iommu_groups/13', '10.2/iommu_group -> ../x/12']
  ])
  const { stdout } = await place.run(['scan', ...machine], { env: { COLUMNS: '100' } })
  const groups = stdout.split('\n\n').filter(it => it.includes('shared'))
  expect(groups).toEqual([
    `IOMMU group 2, shared by 0000:00:02.0 and its virtual functions
● 0000:00:02.0  8086:4692  display  i915      Intel Alder Lake-S GT1 [UHD Graphics 730]
                monitor at HDMI-A-1; the firmware's boot display (boot_vga); resets: flr, pm
                stays with the host: it is part of the processor; the host has no other card for its
                display output; its 2 virtual functions would be lost
                virtual functions: 2 of at most 7
  0000:00:02.1  8086:4692  display  -         Intel Alder Lake-S GT1 [UHD Graphics 730]
                virtual function of 0000:00:02.0; stays with the host: it shares IOMMU group 2 with
                0000:00:02.0 (display)`,
    `IOMMU group 12, shared: 0000:01:10.0 and 0000:01:10.2 can only be passed through together
  0000:01:10.0  8086:10ca  network  igbvf     Intel 82576 Virtual Function
                virtual function of 0000:01:00.0; can be passed through at run time (managed='yes')
  0000:01:10.2  8086:10ca  network  -         Intel 82576 Virtual Function
                virtual function of 0000:01:00.0; stays with the host: it shares IOMMU group 12 with
                0000:01:10.0 (network)`
  ])
})

const TOO_LATE =
  'the driver of the device creates virtual functions only after vfio-pci binds devices at boot'

describe('apply with flags that select virtual functions or their device', () => {
  test.concurrent.each<[string, string[], string]>([
    [
      'the address of a virtual function',
      ['--address', '00:02.1'],
      text`
        vfio-patch: 0000:00:02.1 is a virtual function of 0000:00:02.0. Nothing was written.
          Why: ${TOO_LATE}; 0000:00:02.0 keeps its driver.
          Do:  ${inDomain('00', '02', '1')}
        `
    ],
    [
      'a virtual function as a card',
      ['--gpu', '0000:00:02.1', '--confirm', '0000:00:02.1'],
      text`
        vfio-patch: 0000:00:02.1 is a virtual function of 0000:00:02.0. Nothing was written.
          Why: ${TOO_LATE}; 0000:00:02.0 keeps its driver.
          Do:  ${inDomain('00', '02', '1')}
        `
    ],
    [
      'the address of a virtual function that does not exist now',
      ['--address', '01:10.3', '--bind', 'hooks'],
      text`
        vfio-patch: 0000:01:10.3 would be a virtual function of 0000:01:00.1. Nothing was written.
          Why: ${TOO_LATE}; 0000:01:00.1 keeps its driver.
          Do:  ${inDomain('01', '10', '3')}
        `
    ],
    [
      'an ID that virtual functions share with the card that shows the screen',
      ['--device', '8086:4692', '--confirm', '00:02.0'],
      text`
        vfio-patch: 8086:4692 is the ID of the virtual functions 0000:00:02.1 and 0000:00:02.2, and of 0000:00:02.0 (display). Nothing was written.
          Why: an ID selects every device with that ID: vfio-pci would bind 0000:00:02.0 (display) at boot, and a device has no virtual functions without its own driver.
          Do:  ${inDomain('00', '02', '1')}
        `
    ],
    [
      'an ID that only virtual functions have',
      ['--device', '8086:10ca'],
      text`
        vfio-patch: 8086:10ca is the ID of the virtual functions 0000:01:10.0 and 0000:01:10.2. Nothing was written.
          Why: ${TOO_LATE}.
          Do:  ${inDomain('01', '10', '0')}
        `
    ],
    [
      'a device that has virtual functions',
      ['--address', '01:00.0'],
      text`
        vfio-patch: ${NIC} has 2 virtual functions, which would be lost if it were passed through. Nothing was written.
          Why: its own driver creates them, but vfio-pci would replace that driver.
          Do:  ${inDomain('01', '10', '0')};
               or turn them off first: echo 0 | sudo tee /sys/bus/pci/devices/0000:01:00.0/sriov_numvfs;
               or keep them in the default boot entry: add --specialisation vfio
        `
    ],
    [
      'the only card, which has virtual functions',
      ['--gpu', '00:02.0', '--confirm', '00:02.0'],
      text`
        vfio-patch: ${GPU} has 2 virtual functions, which would be lost if it were passed through. Nothing was written.
          Why: its own driver creates them, but vfio-pci would replace that driver.
               also: ${GPU} is the only card that the host has for its display output.
          Do:  ${inDomain('00', '02', '1')}
        `
    ]
  ])('apply refuses %s', async (_, flags, stderr) => {
    await expectRefusal(given(), call('apply', ...flags, '--yes'), { code: 7, stderr })
  })

  test.concurrent('apply --json reports the refusal of a virtual function', async ({ expect }) => {
    const { code, stdout } = await given().run(call('apply', '--address', '00:02.1', '--json'))
    expect(code).toBe(7)
    expect(JSON.parse(stdout)).toMatchObject({
      outcome: 'refused',
      exit: 7,
      error: {
        code: 'VIRTUAL_FUNCTION',
        message: '0000:00:02.1 is a virtual function of 0000:00:02.0. Nothing was written.'
      }
    })
  })

  test.concurrent('apply passes a device with virtual functions through in a separate boot entry, with a note', async ({
    expect
  }) => {
    const place = given()
    const flags = ['--address', '01:00.0', '--specialisation', 'vfio', '--yes']
    const { code, stderr } = await place.run(call('apply', ...flags))
    expect(code).toBe(0)
    expect(stderr).toContain(
      'Note: in that boot entry 0000:01:00.0 has no virtual functions, because vfio-pci replaces its own driver.\nNote: you lose your network connection (enp1s0f0); the host keeps other network cards, but none is connected.\n'
    )
  })
})

test.concurrent('apply refuses to move an ID of virtual functions from kernel parameters', async () => {
  const place = makePlace({
    'configuration.nix': text`
      { ... }:
      {
        boot.kernelParams = [ "quiet" "vfio-pci.ids=8086:10ca" ];
      }
      `
  })
  await expectRefusal(place, call('apply', '--ignore-msrs', '--yes'), {
    code: 7,
    stderr: text`
      vfio-patch: 8086:10ca is the ID of the virtual functions 0000:01:10.0 and 0000:01:10.2. Nothing was written.
        Why: ${TOO_LATE}.
             The ID is assigned to vfio-pci in configuration.nix:3.
        Do:  remove the ID from configuration.nix:3;
             ${inDomain('01', '10', '0')}
      `
  })
})

test.concurrent('apply accepts a configured virtual function that does not exist now', async ({
  expect
}) => {
  const place = makePlace({
    'configuration.nix': text`
      { ... }:
      {
        virtualisation.vfio.addresses = [ { address = "0000:01:10.3"; id = "8086:10ca"; } ];
      }
      `
  })
  const { code, stderr } = await place.run(call('apply', '--ignore-msrs', '-n'))
  expect([code, stderr.split('\n')[0]]).toEqual([
    1,
    `/etc/nixos/configuration.nix: 2 changes; vfio/: ${MODULES} new files`
  ])
})

test.concurrent('check finds an address of a virtual function, and --fix removes it', async ({
  expect
}) => {
  const place = makePlace({
    'configuration.nix': text`
      { ... }:
      {
        virtualisation.vfio = {
          enable = true;
          addresses = [ "0000:00:02.1" "0000:01:00.1" ];
        };
      }
      `
  })
  const found = await place.run(call('check', '--release', '26.05'))
  expect(found).toEqual({
    code: 1,
    stderr:
      '1 problem in /etc/nixos/configuration.nix. With --fix, 1 can be fixed automatically.\n',
    stdout: text`
      /etc/nixos/configuration.nix:5:19: VIRTUAL_FUNCTION: 0000:00:02.1 is a virtual function of 0000:00:02.0, so this item has no effect.
          5 |     addresses = [ "0000:00:02.1" "0000:01:00.1" ];
                                ^^^^^^^^^^^^^^
        Why: when vfio-pci binds devices at boot, the driver of 0000:00:02.0 has not created its virtual functions yet.
        Do:  remove it, and add it to the guest's domain as <hostdev managed='yes'>

      On this machine:
        IOMMU: active (11 groups)
        intel_iommu=on: active
        iommu=pt: active
        0000:00:02.1 Intel Alder Lake-S GT1 [UHD Graphics 730]: not active because a
          virtual function is created only after devices are bound
        0000:01:00.1 Intel 82576 Gigabit Network Connection: configured, not active
          because the machine was not started with it (igb has it)
      `
  })
  const fixed = await place.run(call('check', '--release', '26.05', '--fix', '--yes'))
  expect(fixed.code).toBe(0)
  expect(place.read('configuration.nix')).toBe(text`
    { ... }:
    {
      virtualisation.vfio = {
        enable = true;
        addresses = [ "0000:01:00.1" ];
      };
    }
    `)
  const { stdout } = await place.run(call('check', '--release', '26.05', '--json'))
  expect(JSON.parse(stdout)).toMatchObject({ outcome: 'clean', findings: [] })
})
