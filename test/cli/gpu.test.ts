// `--gpu`: the resulting options on each machine, and the refusals.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readMachine } from '../../src/machine/read/machine.ts'
import { systemAt } from '../../src/machine/source.ts'
import { folderOf, textsOf } from '../machine/support/machines.ts'
import { CHECKED } from './support/machine.ts'
import { expectRefusal, makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const GIVEN = '{ ... }:\n{\n  system.stateVersion = "26.05";\n}\n'

function given(configuration = GIVEN): Place {
  return makePlace({ 'configuration.nix': configuration })
}

function call(command: string, machine: string, ...more: string[]): string[] {
  return [command, 'configuration.nix', '--sysfs', folderOf(machine), ...more]
}

/** The options that are written, and the notes before the question. */
async function planned(machine: string, ...flags: string[]) {
  const place = given()
  const outcome = await place.run(call('apply', machine, ...flags, '--yes'))
  expect(outcome.code).toBe(0)
  const lines = outcome.stderr.split('\n')
  const from = lines.findIndex(it => it.endsWith('new files')) + 1
  const to = lines.indexOf(CHECKED)
  return {
    options: place
      .read('configuration.nix')
      .split('  virtualisation.vfio = {\n')[1]
      ?.split('  };\n')[0],
    notes: lines.slice(from, to)
  }
}

const AMD = 'IOMMU type: amd (detected from the CPU).'
const INTEL = 'IOMMU type: intel (detected from the CPU).'
const BY_ID = 'Selected by PCI ID: no other device on this host has it.'

test.concurrent('--gpu selects a card by ID if no other device has the ID', async ({ expect }) => {
  expect(await planned('x570-two-makers', '--gpu', '01:00.0')).toEqual({
    options: text`
          enable = true;
          IOMMUType = "amd";
          devices = [
            "10de:1b80" # NVIDIA GP104 [GeForce GTX 1080]
            "10de:10f0" # NVIDIA GP104 High Definition Audio Controller
          ];
      `,
    notes: [
      'Card: 0000:01:00.0 NVIDIA GP104 [GeForce GTX 1080], with 0000:01:00.1 (audio): a guest gets the whole card.',
      AMD,
      BY_ID
    ]
  })
})

test.concurrent('--gpu plans the same for a card that vfio-pci already has', async ({ expect }) => {
  const bound = await planned('already-bound', '--gpu', '01:00.0')
  expect(bound).toEqual(await planned('x570-two-makers', '--gpu', '01:00.0'))
})

test.concurrent('--gpu selects one of two identical cards by address, with the ID as a guard', async ({
  expect
}) => {
  expect(await planned('two-identical', '--gpu', '0000:0A:00.0')).toEqual({
    options: text`
          enable = true;
          IOMMUType = "amd";
          addresses = [
            { address = "0000:0a:00.0"; id = "10de:2484"; } # NVIDIA GA104 [GeForce RTX 3070]
            { address = "0000:0a:00.1"; id = "10de:228b"; } # NVIDIA GA104 High Definition Audio Controller
          ];
      `,
    notes: [
      'Card: 0000:0a:00.0 NVIDIA GA104 [GeForce RTX 3070], with 0000:0a:00.1 (audio): a guest gets the whole card.',
      AMD,
      'Selected by address: 0000:01:00.0 (display) and 0000:01:00.1 (audio) of the host have the same ID.'
    ]
  })
})

test.concurrent('--gpu selects a card by address if only its audio function shares an ID', async ({
  expect
}) => {
  expect(await planned('shared-audio-id', '--gpu', '03:00.0')).toEqual({
    options: text`
          enable = true;
          IOMMUType = "amd";
          addresses = [
            { address = "0000:03:00.0"; id = "1002:73bf"; } # AMD Navi 21 [Radeon RX 6800/6800 XT / 6900 XT]
            { address = "0000:03:00.1"; id = "1002:ab28"; } # AMD Navi 21/23 HDMI/DP Audio Controller
            { address = "0000:03:00.2"; id = "1002:73a6"; } # AMD Navi 21 USB
            { address = "0000:03:00.3"; id = "1002:73a4"; } # AMD Navi 21 USB
          ];
          competingDrivers = [ "amdgpu" "radeon" "snd_hda_intel" "xhci_pci" ];
      `,
    notes: [
      'Card: 0000:03:00.0 AMD Navi 21 [Radeon RX 6800/6800 XT / 6900 XT], with 0000:03:00.1 (audio), 0000:03:00.2 (USB) and 0000:03:00.3 (USB-C): a guest gets the whole card.',
      AMD,
      'Selected by address: 0000:0c:00.1 (audio) of the host has the same ID.',
      'Drivers: vfio-pci is also loaded before xhci_pci, which would bind part of the card.'
    ]
  })
})

test.concurrent('--gpu passes all functions of a card through if each is in its own IOMMU group', async ({
  expect
}) => {
  expect(await planned('split-groups', '--gpu', '01:00.0')).toEqual({
    options: text`
          enable = true;
          IOMMUType = "intel";
          devices = [
            "10de:1e82" # NVIDIA TU104 [GeForce RTX 2080]
            "10de:10f8" # NVIDIA TU104 HD Audio Controller
            "10de:1ad8" # NVIDIA TU104 USB 3.1 Host Controller
            "10de:1ad9" # NVIDIA TU104 USB Type-C UCSI Controller
          ];
          competingDrivers = [
            "i2c_nvidia_gpu"
            "nouveau"
            "nova_core"
            "nvidia"
            "nvidiafb"
            "snd_hda_intel"
            "xhci_pci"
          ];
      `,
    notes: [
      'Card: 0000:01:00.0 NVIDIA TU104 [GeForce RTX 2080], with 0000:01:00.1 (audio), 0000:01:00.2 (USB) and 0000:01:00.3 (USB-C): a guest gets the whole card.',
      INTEL,
      BY_ID,
      'Drivers: vfio-pci is also loaded before xhci_pci, which would bind part of the card.'
    ]
  })
})

test.concurrent('--gpu only turns on the IOMMU if it is off', async ({ expect }) => {
  expect(await planned('iommu-off', '--gpu', '01:00.0', '--user', 'alice')).toEqual({
    options: text`
          enable = true;
          IOMMUType = "intel";
          users = [ "alice" ];
      `,
    notes: [
      INTEL,
      'The IOMMU is off, so this run only turns it on. Reboot, then run this again to pass through 0000:01:00.0 NVIDIA GA106 [GeForce RTX 3060 Lite Hash Rate].'
    ]
  })
})

test.concurrent('--gpu passes the card with the screen through if it is confirmed', async ({
  expect
}) => {
  const flags = ['--gpu', '01:00.0', '--confirm', '0000:01:00.0']
  expect(await planned('amd-reset', ...flags)).toEqual({
    options: text`
          enable = true;
          IOMMUType = "intel";
          devices = [
            "1002:67df" # AMD Ellesmere [Radeon RX 470/480/570/570X/580/580X/590]
            "1002:aaf0" # AMD Ellesmere HDMI Audio [Radeon RX 470/480 / 570/580/590]
          ];
      `,
    notes: [
      'Card: 0000:01:00.0 AMD Ellesmere [Radeon RX 470/480/570/570X/580/580X/590], with 0000:01:00.1 (audio): a guest gets the whole card.',
      INTEL,
      BY_ID,
      "Note: the firmware draws the boot screen on 0000:01:00.0. Choose the host's card as the primary display in the firmware setup. If the boot screen keeps a guest from starting, use --disable-efifb.",
      'Note: 0000:01:00.0 AMD Ellesmere [Radeon RX 470/480/570/570X/580/580X/590] may not work again after a guest shuts down; the kernel module vendor-reset helps with many cards of this kind.'
    ]
  })
})

test.concurrent('--gpu --bind hooks passes the only card through', async ({ expect }) => {
  expect(await planned('single-gpu', '--gpu', '0a:00.0', '--bind', 'hooks')).toEqual({
    options: text`
          enable = true;
          IOMMUType = "amd";
          devices = [
            "10de:1b80" # NVIDIA GP104 [GeForce GTX 1080]
            "10de:10f0" # NVIDIA GP104 High Definition Audio Controller
          ];
          bindAtBoot = false;
      `,
    notes: [
      'Card: 0000:0a:00.0 NVIDIA GP104 [GeForce GTX 1080], with 0000:0a:00.1 (audio): a guest gets the whole card.',
      AMD,
      BY_ID,
      'Note: the firmware draws the boot screen on 0000:0a:00.0. If the boot screen keeps a guest from starting, use --disable-efifb.'
    ]
  })
})

test.concurrent('two --gpu flags pass two cards through, and do not override --iommu', async ({
  expect
}) => {
  const flags = ['--gpu', '01:00.0', '--gpu', '0a:00.0', '--iommu', 'intel']
  const { options, notes } = await planned('three-cards', ...flags)
  expect(options?.match(/"\w{4}:\w{4}"/g)).toEqual([
    '"10de:1b80"',
    '"10de:10f0"',
    '"10de:2504"',
    '"10de:228e"'
  ])
  expect(options).toContain('IOMMUType = "intel"')
  expect(notes.map(it => it.slice(0, 18))).toEqual([
    'Card: 0000:01:00.0',
    'Card: 0000:0a:00.0',
    'Selected by PCI ID'
  ])
})

test.concurrent.each(['x570-two-makers', 'two-identical', 'iommu-off'])(
  'apply --gpu has nothing to do the second time on %s',
  async machine => {
    const place = given()
    const gpu = machine === 'two-identical' ? '0a:00.0' : '01:00.0'
    expect((await place.run(call('apply', machine, '--gpu', gpu, '--yes'))).code).toBe(0)
    const before = place.snapshot()
    expect(await place.run(call('apply', machine, '--gpu', gpu))).toEqual({
      code: 0,
      stdout: '',
      stderr: expect.stringMatching(
        /^Nothing to do: \S+ is already up to date\.\n(?:Card|IOMMU type): /
      )
    })
    expect(place.snapshot()).toEqual(before)
  }
)

test.concurrent('diff --gpu --json has the notes about the card', async ({ expect }) => {
  const { stdout } = await given().run(call('diff', 'iommu-off', '--gpu', '01:00.0', '--json'))
  expect(JSON.parse(stdout)).toMatchObject({
    outcome: 'planned',
    notes: [INTEL, expect.stringMatching(/^The IOMMU is off, so this run only turns it on\. /)]
  })
})

const OTHER = 'choose another card: vfio-patch scan'
const gtx1080 = '0000:0a:00.0 NVIDIA GP104 [GeForce GTX 1080]'

test.concurrent('diff --gpu --json gives the reason for each option', async ({ expect }) => {
  const flags = ['--gpu', '03:00.0', '--iommu', 'amd', '--ignore-msrs', '--json']
  const { stdout } = await given().run(call('diff', 'shared-audio-id', ...flags))
  const files: { edits: { reasons: { option: string; rule: string }[] }[] }[] =
    JSON.parse(stdout).files
  const reasons = files.flatMap(it => it.edits.flatMap(edit => edit.reasons))
  expect(Object.fromEntries(reasons.map(it => [it.option, it.rule]))).toEqual({
    imports: 'modules',
    'virtualisation.vfio.enable': 'always',
    'virtualisation.vfio.IOMMUType': '--iommu',
    'virtualisation.vfio.addresses': '--gpu',
    'virtualisation.vfio.competingDrivers': '--gpu',
    'virtualisation.vfio.ignoreMSRs': '--ignore-msrs'
  })
})

test.concurrent.each<[string, string, string[], number, string]>([
  [
    'the disk of the system, by its address',
    'x570-two-makers',
    ['--address', '04:00.0'],
    7,
    text`
      vfio-patch: this system uses a disk attached to 0000:04:00.0 Samsung Electronics Co Ltd NVMe SSD Controller SM981/PM981/PM983: / and /boot. Nothing was written.
        Why: after the next boot vfio-pci would have the device, and the host would not find its files.
        Do:  do not pass 0000:04:00.0 through; ${OTHER}
      `
  ],
  [
    'an array, swap and an encrypted disk, by the ID of their controller',
    'split-groups',
    ['--device', '8086:7ae2'],
    7,
    text`
      vfio-patch: this system uses a disk attached to 0000:00:17.0 Intel Alder Lake-S PCH SATA Controller [AHCI Mode]: /, /boot, swap on sda3 and the encrypted sda2. Nothing was written.
        Why: after the next boot vfio-pci would have the device, and the host would not find its files.
        Do:  do not pass 0000:00:17.0 through; ${OTHER}
      `
  ],
  [
    'the only network card',
    'x570-two-makers',
    ['--gpu', '01:00.0', '--address', '06:00.0'],
    7,
    text`
      vfio-patch: 0000:06:00.0 Intel I211 Gigabit Network Connection is the only network card (enp6s0). Nothing was written.
        Why: after the next boot this machine would have no network.
        Do:  first install another network card for the host, or do not pass this card through
      `
  ],
  [
    'the controller of the only keyboard, by its ID',
    'x570-two-makers',
    ['--device', '1022:149c'],
    7,
    text`
      vfio-patch: the only keyboard (Logitech USB Keyboard) is plugged into 0000:0c:00.3 AMD Matisse USB 3.0 Host Controller. Nothing was written.
        Why: after the next boot you could not type.
        Do:  plug it into a port of another controller, then run this again
      `
  ],
  [
    'the only card, also with --confirm',
    'single-gpu',
    ['--gpu', '0a:00.0', '--confirm', '0a:00.0'],
    7,
    text`
      vfio-patch: ${gtx1080} is the only card that the host has for its display output. Nothing was written.
        Why: after the next boot the host would have no display output.
        Do:  let the host use it until a guest starts: add --bind hooks;
             or use a separate boot entry: add --specialisation vfio
      `
  ],
  [
    'both of two identical cards, by their ID',
    'two-identical',
    ['--device', '10de:2484'],
    7,
    text`
      vfio-patch: the host would have no card left for its display output: 0000:01:00.0 NVIDIA GA104 [GeForce RTX 3070] and 0000:0a:00.0 NVIDIA GA104 [GeForce RTX 3070] would be passed through. Nothing was written.
        Why: after the next boot the host would have no display output; an ID selects every card with that ID.
        Do:  name only the card for the guest, e.g. --gpu 0000:0a:00.0
      `
  ],
  [
    'both of two identical cards, by their addresses',
    'two-identical',
    ['--gpu', '01:00.0', '--gpu', '0a:00.0'],
    7,
    text`
      vfio-patch: the host would have no card left for its display output: 0000:01:00.0 NVIDIA GA104 [GeForce RTX 3070] and 0000:0a:00.0 NVIDIA GA104 [GeForce RTX 3070] would be passed through. Nothing was written.
        Why: after the next boot the host would have no display output.
        Do:  name only the card for the guest, e.g. --gpu 0000:0a:00.0
      `
  ],
  [
    'the only two cards, each by its ID',
    'x570-two-makers',
    ['--device', '10de:1b80', '--device', '1002:6985'],
    7,
    text`
      vfio-patch: the host would have no card left for its display output: 0000:01:00.0 NVIDIA GP104 [GeForce GTX 1080] and 0000:0a:00.0 AMD Lexa XT [Radeon PRO WX 3100] would be passed through. Nothing was written.
        Why: after the next boot the host would have no display output.
        Do:  name only the card for the guest, e.g. --gpu 0000:01:00.0
      `
  ],
  [
    'a card whose group has devices that the host needs',
    'dirty-group',
    ['--gpu', '08:00.0'],
    7,
    text`
      vfio-patch: 0000:08:00.0 AMD Ellesmere [Radeon RX 470/480/570/570X/580/580X/590] shares IOMMU group 15 with 0000:02:00.0 (USB), 0000:02:00.1 (SATA) and 0000:04:00.0 (network). Nothing was written.
        Why: the IOMMU can't isolate them from each other, so a guest gets all of them or none.
        Do:  put the card in another slot, or ${OTHER}
      `
  ],
  [
    'all devices of a group if the host needs some of them',
    'dirty-group',
    ['--gpu', '08:00.0', '--address', '02:00.0', '--address', '02:00.1', '--address', '04:00.0'],
    7,
    text`
      vfio-patch: this system uses a disk attached to 0000:02:00.1 AMD 400 Series Chipset SATA Controller: / and /boot. Nothing was written.
        Why: after the next boot vfio-pci would have the device, and the host would not find its files.
             also: 0000:04:00.0 Realtek Semiconductor Co., Ltd. RTL8111/8168/8411 PCI Express Gigabit Ethernet Controller is the only network card (enp4s0).
        Do:  do not pass 0000:02:00.1 through; ${OTHER}
      `
  ],
  [
    'an address without a device',
    'single-gpu',
    ['--gpu', '07:00.0'],
    2,
    text`
      vfio-patch: this machine has no device at 0000:07:00.0.
        Do:  name one of its cards:
             ${gtx1080}
      `
  ],
  [
    'the address of the audio function of a card',
    'single-gpu',
    ['--gpu', '0a:00.1'],
    2,
    text`
      vfio-patch: 0000:0a:00.1 NVIDIA GP104 High Definition Audio Controller is not a graphics card.
        Do:  it is part of a graphics card: --gpu 0000:0a:00.0
      `
  ],
  [
    'a device that is not a graphics card',
    'single-gpu',
    ['--gpu', '06:00.0'],
    2,
    text`
      vfio-patch: 0000:06:00.0 Realtek Semiconductor Co., Ltd. RTL8111/8168/8411 PCI Express Gigabit Ethernet Controller is not a graphics card.
        Do:  to pass it through anyway: --address 0000:06:00.0
      `
  ],
  [
    'an ID instead of an address',
    'single-gpu',
    ['--gpu', '10de:1b80'],
    2,
    text`
      vfio-patch: --gpu: "10de:1b80" is a PCI ID, not an address.
        Do:  "vfio-patch scan" shows the addresses
      `
  ]
])('apply and diff refuse %s', async (_, machine, flags, code, stderr) => {
  await expectRefusal(given(), call('apply', machine, ...flags, '--yes'), { code, stderr })
  await expectRefusal(given(), call('diff', machine, ...flags), { code, stderr })
})

test.concurrent('--gpu refuses the card with the monitor', async () => {
  const place = given()
  const words = call('apply', 'amd-reset', '--gpu', '01:00.0', '--yes')
  await expectRefusal(place, words, {
    code: 7,
    stderr: text`
      vfio-patch: 0000:01:00.0 is the card that shows this screen. After the next boot the screen would stay dark. Nothing was written.
        Why: no monitor is plugged into 0000:00:02.0 Intel AlderLake-S GT1, which the host would keep.
        Do:  plug your monitor into a card that the host keeps, ${OTHER},
             use a separate boot entry (add --specialisation vfio),
             or confirm with: vfio-patch ${words.join(' ')} --confirm 0000:01:00.0
      `
  })
})

test.concurrent('--gpu refuses a card whose driver reports no monitors if no other card has a monitor', async () => {
  const place = given()
  for (const [name, content] of textsOf('x570-two-makers')) {
    place.write(`machine/${name}`, content.replace('status = connected', 'status = disconnected'))
  }
  const words = ['apply', 'configuration.nix', '--sysfs', 'machine', '--gpu', '01:00.0', '--yes']
  await expectRefusal(place, words, {
    code: 7,
    stderr: text`
      vfio-patch: 0000:01:00.0 may be the card that shows your screen: its driver does not report monitors. If so, the screen would stay dark after the next boot. Nothing was written.
        Why: no monitor is plugged into 0000:0a:00.0 AMD Lexa XT [Radeon PRO WX 3100], which the host would keep.
        Do:  plug your monitor into a card that the host keeps, ${OTHER},
             use a separate boot entry (add --specialisation vfio),
             or confirm with: vfio-patch ${words.join(' ')} --confirm 0000:01:00.0
      `
  })
})

test.concurrent('--gpu refuses the last card if another file passes the other card through', async () => {
  const place = given(GIVEN.replace('  system', '  imports = [ ./card.nix ];\n  system'))
  place.write('card.nix', '{\n  virtualisation.vfio.devices = [ "10de:1b80" "10de:10f0" ];\n}\n')
  const words = call('apply', 'x570-two-makers', '--gpu', '0a:00.0', '--confirm', '0a:00.0')
  await expectRefusal(place, [...words, '--yes'], {
    code: 7,
    stderr: text`
      vfio-patch: the host would have no card left for its display output: 0000:01:00.0 NVIDIA GP104 [GeForce GTX 1080] and 0000:0a:00.0 AMD Lexa XT [Radeon PRO WX 3100] would be passed through. Nothing was written.
        Why: after the next boot the host would have no display output.
             0000:01:00.0 is already passed through by card.nix:2.
        Do:  first remove it from card.nix:2, or do not pass the other device through
      `
  })
  // The host keeps a card if the guest has the other one only while it runs, or if the run passes the same card
  // through again or another device.
  const later = given(GIVEN.replace('  system', '  imports = [ ./card.nix ];\n  system'))
  const byHooks = '  virtualisation.vfio.bindAtBoot = false;\n'
  later.write('card.nix', place.read('card.nix').replace('{\n', `{\n${byHooks}`))
  expect((await later.run([...words, '--dry-run'])).code).toBe(1)
  for (const flags of [
    ['--gpu', '01:00.0'],
    ['--address', '0c:00.4']
  ]) {
    expect((await place.run(call('diff', 'x570-two-makers', ...flags))).code).toBe(1)
  }
})

test.concurrent('--gpu refuses a card that shares its group unless the other devices are passed through too, or with --acs-patch', async ({
  expect
}) => {
  const place = given()
  const [sys, proc] = ['sys.txt', 'proc.txt'].map(it =>
    readFileSync(join(folderOf('dirty-group'), it), 'utf8')
  )
  place.write('machine/sys.txt', (sys ?? '').replace(/^\/sys\/class\/net\/.*\n/gm, ''))
  place.write('machine/proc.txt', (proc ?? '').replace(/^\t.* - (?:xfs|vfat) .*\n/gm, ''))
  const words = ['diff', 'configuration.nix', '--sysfs', 'machine', '--gpu', '08:00.0']
  const others = [
    '--address',
    '0000:02:00.0',
    '--address',
    '0000:02:00.1',
    '--address',
    '0000:04:00.0'
  ]
  await expectRefusal(place, words, {
    code: 7,
    stderr: text`
      vfio-patch: 0000:08:00.0 AMD Ellesmere [Radeon RX 470/480/570/570X/580/580X/590] shares IOMMU group 15 with 0000:02:00.0 (USB), 0000:02:00.1 (SATA) and 0000:04:00.0 (network). Nothing was written.
        Why: the IOMMU can't isolate them from each other, so a guest gets all of them or none.
        Do:  put the card in another slot, or choose another card: vfio-patch scan;
             or, if the host does not need the other devices, pass them through as well: vfio-patch ${words.join(' ')} ${others.join(' ')}
      `
  })
  const together = await place.run([...words, ...others])
  expect(together.code).toBe(1)
  expect(together.stdout).toContain(
    '+    addresses = [ "0000:02:00.0" "0000:02:00.1" "0000:04:00.0" ];\n'
  )
  // A patched kernel can isolate the devices.
  expect((await place.run([...words, '--acs-patch'])).code).toBe(1)
})

test.concurrent('--gpu refuses if the firmware offers no IOMMU', async () => {
  const place = given()
  place.write('machine/sys.txt', withoutTable('iommu-off'))
  await expectRefusal(
    place,
    ['diff', 'configuration.nix', '--sysfs', 'machine', '--gpu', '01:00.0'],
    {
      code: 7,
      stderr: text`
      vfio-patch: the IOMMU is off: /sys/kernel/iommu_groups is empty. Nothing was written.
        Why: the firmware does not offer an IOMMU to the kernel, and passthrough needs one.
        Do:  switch on VT-d or AMD-Vi in the firmware setup, reboot, then: vfio-patch scan
      `
    }
  )
})

function withoutTable(machine: string): string {
  return readFileSync(`${folderOf(machine)}/sys.txt`, 'utf8').replace(/^.*\/DMAR\/\n/m, '')
}

test.concurrent('diff only notes devices that the machine does not have', async ({ expect }) => {
  const flags = ['--device', '10de:ffff', '--address', '0000:7f:00.0', '--iommu', 'amd']
  const outcome = await given().run(call('diff', 'single-gpu', ...flags))
  expect(outcome.code).toBe(1)
  expect(outcome.stderr).toContain('Note: this machine has no 10de:ffff at the moment.\n')
  expect(outcome.stderr).toContain('Note: this machine has no 0000:7f:00.0 at the moment.\n')
})

test.concurrent('diff accepts any device if the configuration is for another machine', async ({
  expect
}) => {
  const configuration = GIVEN.replace(
    '  system',
    '  networking.hostName = "not-this-one";\n  system'
  )
  // If a machine has a device at this address, the host needs it.
  const outcome = await given(configuration).run([
    'diff',
    'configuration.nix',
    '--address',
    '00:02.0'
  ])
  expect(outcome.code).toBe(1)
})

test.concurrent('apply refuses the disk of the machine that the tests run on', async ({
  expect
}) => {
  const { storage } = readMachine(systemAt('/'))
  const [disk = '0000:7f:00.0'] = storage.flatMap(it => it.through.slice(-1))
  const outcome = await given().run(['apply', 'configuration.nix', '--address', disk, '--yes'])
  // If the disk is not on a PCI device, no device has the default address.
  expect(outcome.code).toBe(storage.length > 0 ? 7 : 0)
})

test.concurrent('diff refuses if an address of the configuration has another device', async () => {
  const place = given(
    GIVEN.replace(
      '  system',
      '  virtualisation.vfio.addresses = [ { address = "0000:0a:00.0"; id = "10de:1e04"; } ];\n  system'
    )
  )
  const stderr = text`
    vfio-patch: the configuration expects 10de:1e04 at 0000:0a:00.0, but this machine has 10de:1b80 there. Nothing was written.
      Why: a card was moved, or this is another machine.
      Do:  vfio-patch scan, then: vfio-patch diff --gpu ADDR
    `
  await expectRefusal(place, call('diff', 'single-gpu', '--ignore-msrs'), { code: 7, stderr })
})

test.concurrent('apply passes only the named devices through, and notes the group that they share', async ({
  expect
}) => {
  const notes = async (...flags: string[]) => (await planned('dirty-group', ...flags)).notes
  expect(await notes('--address', '08:00.0', '--address', '08:00.1')).toEqual([
    'Note: 0000:08:00.0 shares IOMMU group 15 with 0000:02:00.0 (USB), 0000:02:00.1 (SATA) and 0000:04:00.0 (network), and a guest gets the whole group or nothing. Put the card into another slot, or look for an ACS setting in the firmware setup; "vfio-patch scan" shows the groups.',
    'Note: 0000:08:00.0 AMD Ellesmere [Radeon RX 470/480/570/570X/580/580X/590] may not work again after a guest shuts down; the kernel module vendor-reset helps with many cards of this kind.'
  ])
  const [first] = await notes('--device', '10de:1b80', '--confirm', '0a:00.0')
  expect(first).toBe(
    'Note: 0000:0a:00.0 shares IOMMU group 17 with 0000:0a:00.1 (audio), and a guest gets the whole group or nothing; that is part of the same card, so name it too.'
  )
  const patched = await notes('--address', '08:00.0', '--acs-patch')
  expect(patched.filter(it => it.includes('IOMMU group'))).toEqual([])
})
