// `--specialisation`: sets up a separate boot entry, and every later command uses it.

import { expect, test } from 'vitest'
import { folderOf } from '../machine/support/machines.ts'
import { CHECKED } from './support/machine.ts'
import { expectRefusal, makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const GIVEN = text`
  { ... }:
  {
    boot.kernelParams = [ "quiet" "pci=nomsi" ];

    system.stateVersion = "26.05";
  }
  `
const FILE = '/etc/nixos/configuration.nix'
const SUDO = process.getuid?.() === 0 ? 'sudo ' : ''

function given(configuration = GIVEN): Place {
  return makePlace({ 'configuration.nix': configuration })
}

function call(command: string, machine: string, ...more: string[]): string[] {
  return [command, 'configuration.nix', '--sysfs', folderOf(machine), ...more]
}

const CARD = '0000:01:00.0 AMD Ellesmere [Radeon RX 470/480/570/570X/580/580X/590]'
const AFTER = text`
  { ... }:
  {
    imports = [ ./vfio ];

    boot.kernelParams = [ "quiet" "pci=nomsi" ];

    specialisation.vfio.configuration = {
      virtualisation.vfio = {
        enable = true;
        IOMMUType = "intel";
        devices = [
          "1002:67df" # AMD Ellesmere [Radeon RX 470/480/570/570X/580/580X/590]
          "1002:aaf0" # AMD Ellesmere HDMI Audio [Radeon RX 470/480 / 570/580/590]
        ];
      };
    };

    system.stateVersion = "26.05";
  }
  `
const NOT_REPLACED =
  'Not replaced, because it is outside specialisation.vfio: configuration.nix:LINE: PCI_NOMSI, pci=nomsi disables message-signaled interrupts (MSI) for every device.'

test('apply --specialisation writes a boot entry, and undo and remove revert it', async () => {
  const place = given()
  const words = call('apply', 'amd-reset', '--gpu', '01:00.0', '--specialisation', 'vfio', '--yes')
  const first = await place.run(words)
  expect(first.code).toBe(0)
  expect(first.stderr.replace(/\/: \d+ new files/, '/: N new files')).toBe(text`
    ${FILE}: 2 changes; vfio/: N new files
    Boot entry: the options are in specialisation.vfio; the default boot entry does not change.
    ${NOT_REPLACED.replace('LINE', '3')}
    Card: ${CARD}, with 0000:01:00.1 (audio): a guest gets the whole card.
    IOMMU type: intel (detected from the CPU).
    Selected by PCI ID: no other device on this host has it.
    Note: in that boot entry the monitor at 0000:01:00.0 shows the guest; for the host, plug a monitor into 0000:00:02.0 Intel AlderLake-S GT1.
    Note: the firmware draws the boot screen on 0000:01:00.0. Choose the host's card as the primary display in the firmware setup. If the boot screen keeps a guest from starting, use --disable-efifb.
    Note: ${CARD} may not work again after a guest shuts down; the kernel module vendor-reset helps with many cards of this kind.
    ${CHECKED}
    Wrote /etc/nixos/vfio/ (new) and ${FILE}.
    Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo ${FILE}
    Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
            In the boot menu, choose the entry with "vfio" in its name; the default entry is unchanged.
    `)
  expect(place.read('configuration.nix')).toBe(AFTER)

  const written = place.snapshot()
  const nothing = { code: 0, stdout: '', stderr: `Nothing to do: ${FILE} is already up to date.\n` }
  expect(await place.run(['apply', 'configuration.nix'])).toEqual(nothing)
  expect(await place.run(['apply', 'configuration.nix', '--specialisation', 'vfio'])).toEqual(
    nothing
  )
  // The file has the boot entry, so the flag is not needed again.
  const again = await place.run(call('apply', 'amd-reset', '--gpu', '01:00.0'))
  expect(again).toMatchObject({ code: 0, stderr: expect.stringMatching(/^Nothing to do: /) })
  expect(place.snapshot()).toEqual(written)

  const more = await place.run(['apply', 'configuration.nix', '--ignore-msrs', '--yes'])
  expect(more).toEqual({
    code: 0,
    stdout: text`
      --- a/configuration.nix
      +++ b/configuration.nix
      @@ -12,6 +12,7 @@
               "1002:67df" # AMD Ellesmere [Radeon RX 470/480/570/570X/580/580X/590]
               "1002:aaf0" # AMD Ellesmere HDMI Audio [Radeon RX 470/480 / 570/580/590]
             ];
      +      ignoreMSRs = true;
           };
         };
      ${' '}
      `,
    stderr: text`
      ${FILE}: 1 change
      Boot entry: the options are in specialisation.vfio; the default boot entry does not change.
      ${NOT_REPLACED.replace('LINE', '5')}
      ${CHECKED}
      Wrote ${FILE}.
      Backup: /state/runs/RUN-2   Undo: ${SUDO}vfio-patch undo ${FILE}
      Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
              In the boot menu, choose the entry with "vfio" in its name; the default entry is unchanged.
      `
  })
  expect((await place.run(['undo', 'configuration.nix', '--yes'])).code).toBe(0)
  expect(place.read('configuration.nix')).toBe(AFTER)
  expect((await place.run(['remove', 'configuration.nix', '--yes'])).code).toBe(0)
  expect(place.files()).toEqual({ 'configuration.nix': GIVEN })
})

test.concurrent('diff --specialisation shows the patch of apply, and check finds nothing after it', async ({
  expect
}) => {
  const place = given(GIVEN.replace(' "pci=nomsi"', ''))
  const words = ['--gpu', '0a:00.0', '--specialisation', 'vfio']
  const shown = await place.run(call('diff', 'single-gpu', ...words))
  expect(shown.code).toBe(1)
  expect(shown.stderr).toContain(
    'Note: in that boot entry the host has no display output; make sure that you can reach it over SSH.\n'
  )
  const done = await place.run(call('apply', 'single-gpu', ...words, '--yes'))
  expect(done.code).toBe(0)
  expect(done.stdout).toBe(shown.stdout)
  expect(await place.run(['check', 'configuration.nix'])).toMatchObject({ code: 0 })
})

test.concurrent('--json has the name of the boot entry, or null for the default one', async ({
  expect
}) => {
  const words = call('diff', 'amd-reset', '--gpu', '01:00.0', '--specialisation', 'vfio', '--json')
  const document = JSON.parse((await given().run(words)).stdout)
  expect(document).toMatchObject({ outcome: 'planned', exit: 1, specialisation: 'vfio' })
  const edits: { reasons: { option: string; rule: string }[] }[] = document.files.flatMap(
    (it: { edits: unknown }) => it.edits
  )
  const reasons = edits.flatMap(it => it.reasons)
  expect(Object.fromEntries(reasons.map(it => [it.option, it.rule]))).toEqual({
    imports: 'modules',
    'specialisation.vfio.configuration.virtualisation.vfio.enable': 'always',
    'specialisation.vfio.configuration.virtualisation.vfio.IOMMUType': '--gpu',
    'specialisation.vfio.configuration.virtualisation.vfio.devices': '--gpu'
  })
  const byDefault = await given().run([
    'diff',
    'configuration.nix',
    '--device',
    '10de:1b80',
    '--json'
  ])
  expect(JSON.parse(byDefault.stdout).specialisation).toBe(null)
})

test.concurrent('apply only turns the IOMMU on in the boot entry, unless --assume-isolated is given', async ({
  expect
}) => {
  const place = given()
  const words = call('apply', 'iommu-off', '--gpu', '01:00.0', '--specialisation', 'vfio', '--yes')
  const first = await place.run(words)
  expect(first.stderr).toContain(
    'The IOMMU is off, so this run only turns it on. Reboot into the boot entry "vfio", then run this again to pass through 0000:01:00.0 NVIDIA GA106 [GeForce RTX 3060 Lite Hash Rate]; or add --assume-isolated, if you know that nothing shares its IOMMU group.\n'
  )
  expect(place.read('configuration.nix')).toContain(text`
    specialisation.vfio.configuration = {
        virtualisation.vfio = {
          enable = true;
          IOMMUType = "intel";
        };
      };
    `)
  // The file now has the boot entry.
  const all = await place.run([
    ...words.filter(it => !/special|^vfio$/.test(it)),
    '--assume-isolated'
  ])
  expect(all.stderr).toContain(
    "The IOMMU is off, so groups can't be checked; trusting --assume-isolated.\n"
  )
  expect(place.read('configuration.nix')).toContain(
    '\n        "10de:2504" # NVIDIA GA106 [GeForce RTX 3060 Lite Hash Rate]\n'
  )
})

test.concurrent('apply passes a card through in a boot entry after it turned the IOMMU on in every entry', async ({
  expect
}) => {
  const place = given()
  const gpu = ['--gpu', '01:00.0', '--yes']
  expect((await place.run(call('apply', 'iommu-off', ...gpu))).code).toBe(0)
  const words = call('apply', 'split-groups', ...gpu, '--specialisation', 'vfio')
  expect((await place.run(words)).code).toBe(0)
  const options = place
    .read('configuration.nix')
    .split('  specialisation.vfio.configuration = {\n')[1]
  expect(options?.split('    };\n')[0]).toMatch(
    /^ {4}virtualisation\.vfio = \{\n {6}devices = \[\n(?: {8}"10de:\w{4}" # .*\n){4} {6}\];\n {6}competing/
  )
})

const TWO = text`
  { ... }:
  {
    imports = [ ./vfio ];
    specialisation.a.configuration.virtualisation.vfio.enable = true;
    specialisation.b.configuration.virtualisation.vfio.enable = true;
  }
  `
const EVERYWHERE = text`
  { ... }:
  {
    imports = [ ./vfio ];
    virtualisation.vfio.devices = [ "10de:1b80" ];
  }
  `
const ENTRY = ['--specialisation', 'vfio']
const OTHER = 'choose another card: vfio-patch scan'

test.concurrent.each<[string, string, string[], number, string]>([
  [
    'flags if two boot entries are set up and none is named',
    TWO,
    ['--ignore-msrs'],
    2,
    text`
      vfio-patch: ${FILE} has options in specialisation.a and specialisation.b, but these flags can apply to only one of them. Nothing was written.
        Do:  add --specialisation a or --specialisation b
      `
  ],
  [
    'flags if one boot entry and every boot entry are set up',
    TWO.replace('  specialisation.b.configuration.', '  '),
    ['--ignore-msrs'],
    2,
    text`
      vfio-patch: ${FILE} has options in every boot entry and specialisation.a, but these flags can apply to only one of them. Nothing was written.
        Do:  add --specialisation a;
             or, to change the options of every boot entry: vfio-patch option set
      `
  ],
  [
    'a boot entry if every boot entry passes devices through',
    EVERYWHERE,
    ['--ignore-msrs', ...ENTRY],
    3,
    text`
      vfio-patch: ${FILE}:4:3: these options already pass devices through in every boot entry. Nothing was written.
        Why: specialisation.vfio would inherit them, so the host could not use the devices in the default boot entry either.
        Do:  before you run this again, remove them: vfio-patch remove ${FILE}
      `
  ],
  [
    'a boot entry that does not inherit',
    '{ ... }:\n{\n  specialisation.vfio.inheritParentConfig = false;\n}\n',
    ['--ignore-msrs', ...ENTRY],
    3,
    text`
      vfio-patch: ${FILE}:3:3: specialisation.vfio does not inherit this configuration, so it does not have the modules of vfio-patch. Nothing was written.
          3 |   specialisation.vfio.inheritParentConfig = false;
                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        Do:  choose a new name for the boot entry
      `
  ],
  [
    'an invalid name of a boot entry',
    GIVEN,
    ['--ignore-msrs', '--specialisation', 'my/vm'],
    2,
    text`
      vfio-patch: --specialisation: "my/vm" is not a name for a boot entry.
        Do:  use only letters, digits, "_" and "-", e.g. --specialisation vfio
      `
  ],
  [
    '--assume-isolated without a boot entry',
    GIVEN,
    ['--ignore-msrs', '--assume-isolated'],
    2,
    text`
      vfio-patch: --assume-isolated needs --specialisation.
        Why: the IOMMU groups are not known yet, so the default boot entry must not change.
        Do:  add --specialisation vfio
      `
  ],
  [
    'the disk of the host in a boot entry',
    GIVEN,
    ['--gpu', '01:00.0', '--address', '04:00.0', ...ENTRY],
    7,
    text`
      vfio-patch: this system uses a disk attached to 0000:04:00.0 Samsung Electronics Co Ltd NVMe SSD Controller SM981/PM981/PM983: / and /boot. Nothing was written.
        Why: after the next boot vfio-pci would have the device, and the host would not find its files.
        Do:  do not pass 0000:04:00.0 through; ${OTHER}
      `
  ],
  [
    'the only network card in a boot entry',
    GIVEN,
    ['--address', '06:00.0', ...ENTRY],
    7,
    text`
      vfio-patch: 0000:06:00.0 Intel I211 Gigabit Network Connection is the only network card (enp6s0). Nothing was written.
        Why: after the next boot this machine would have no network.
        Do:  first install another network card for the host, or do not pass this card through
      `
  ],
  [
    'the controller of the only keyboard in a boot entry',
    GIVEN,
    ['--device', '1022:149c', ...ENTRY],
    7,
    text`
      vfio-patch: the only keyboard (Logitech USB Keyboard) is plugged into 0000:0c:00.3 AMD Matisse USB 3.0 Host Controller. Nothing was written.
        Why: after the next boot you could not type.
        Do:  plug it into a port of another controller, then run this again
      `
  ]
])('diff refuses %s', async (_, configuration, flags, code, stderr) => {
  const words = call('diff', 'x570-two-makers', ...flags)
  await expectRefusal(given(configuration), words, { code, stderr })
})

test.concurrent('diff refuses a boot entry if an imported file passes devices through in every entry', async () => {
  const place = given('{ ... }:\n{\n  imports = [ ./gpu.nix ];\n}\n')
  place.write('gpu.nix', '{ virtualisation.vfio.devices = [ "10de:1b80" ]; }\n')
  await expectRefusal(place, call('diff', 'x570-two-makers', '--ignore-msrs', ...ENTRY), {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/gpu.nix:1:3: these options already pass devices through in every boot entry. Nothing was written.
        Why: specialisation.vfio would inherit them, so the host could not use the devices in the default boot entry either.
        Do:  before you run this again, remove them: vfio-patch remove ${FILE}
      `
  })
})

test.concurrent('diff refuses --device-acl in a boot entry if verbatimConfig sets cgroup_device_acl', async () => {
  const configuration = text`
    {
      virtualisation.libvirtd.qemu.verbatimConfig = ''
        namespaces = []
        cgroup_device_acl = [ "/dev/null", "/dev/kvm" ]
      '';
    }
    `
  const words = ['--device-acl', '/dev/kvmfr0', ...ENTRY]
  await expectRefusal(given(configuration), call('diff', 'x570-two-makers', ...words), {
    code: 3,
    stderr: text`
      vfio-patch: ${FILE}:4:5: this and vfio-patch's modules both set cgroup_device_acl, but libvirt reads only one of them. Nothing was written.
          4 |     cgroup_device_acl = [ "/dev/null", "/dev/kvm" ]
                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        Do:  write its devices as virtualisation.libvirtd.deviceACL = [ … ]; here instead, then run this again
      `
  })
})

test.concurrent('diff edits a boot entry that is a function', async ({ expect }) => {
  const configuration = text`
    {
      imports = [ ./vfio ];
      specialisation.vfio.configuration = { pkgs, ... }: {
        boot.kernelParams = [ "quiet" ];
      };
    }
    `
  const place = given(configuration)
  const outcome = await place.run(call('diff', 'x570-two-makers', '--ignore-msrs', ...ENTRY, '-U1'))
  expect(outcome.stdout).toContain(text`
    @@ -4,2 +4,7 @@
         boot.kernelParams = [ "quiet" ];
    +
    +    virtualisation.vfio = {
    +      enable = true;
    +      ignoreMSRs = true;
    +    };
       };
    `)
})

test.concurrent('diff refuses a card that shares its group, also in a boot entry', async ({
  expect
}) => {
  const outcome = await given().run(call('diff', 'dirty-group', '--gpu', '08:00.0', ...ENTRY))
  expect(outcome).toMatchObject({
    code: 7,
    stderr: expect.stringContaining('shares IOMMU group 15')
  })
})

test.concurrent('diff refuses --assume-isolated if the machine does not have the card', async ({
  expect
}) => {
  const place = given()
  const flags = ['--gpu', '01:00.0', '--assume-isolated', ...ENTRY]
  place.write('machine/sys.txt', '')
  const outcome = await place.run(['diff', 'configuration.nix', '--sysfs', 'machine', ...flags])
  expect(outcome.code).toBe(2)
})

test.concurrent('diff refuses if an address of the boot entry has another device', async () => {
  const entry =
    '  specialisation.vfio.configuration.virtualisation.vfio.addresses = [ { address = "0000:0a:00.0"; id = "10de:1e04"; } ];\n'
  const place = given(GIVEN.replace('  system', it => `${entry}${it}`))
  await expectRefusal(place, call('diff', 'single-gpu', '--ignore-msrs'), {
    code: 7,
    stderr: text`
      vfio-patch: the configuration expects 10de:1e04 at 0000:0a:00.0, but this machine has 10de:1b80 there. Nothing was written.
        Why: a card was moved, or this is another machine.
        Do:  vfio-patch scan, then: vfio-patch diff --gpu ADDR
      `
  })
})
