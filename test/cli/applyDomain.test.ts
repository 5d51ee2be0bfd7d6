// `apply --domain`: adds a libvirt guest to the configuration. A second run does not change it.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'vitest'
import { GUESTS, guestXml } from '../guests/support/guests.ts'
import {
  APPLY,
  call,
  DIFF,
  device,
  given,
  MACHINE,
  notesIn,
  PLAIN,
  planned,
  small
} from './support/guest.ts'
import { CHECKED } from './support/machine.ts'
import { VERSION } from './support/modules.ts'
import { needing } from './support/needing.ts'
import { onTerminal } from './support/onTerminal.ts'
import { expectRefusal, makePlace } from './support/place.ts'
import { makeRepository } from './support/repository.ts'
import { text } from './support/text.ts'

const SEED = guestXml('seed-win10')
const FILE = 'vfio/guests/win10.nix'
const NOTHING = 'Nothing to do: /etc/nixos/configuration.nix is already up to date.\n'
/** The note about the guest's disk, which each run prints because the machine is a dump. */
const DISK =
  'Note: win10.xml:76: /dev/disk/by-id/ata-Samsung_SSD_860_EVO_1TB_S3Z8NB0K123456A, a disk of win10, was not checked: a dump does not contain disk names like this one. The host may use it: run this on the machine itself before win10 starts.\n'

test.concurrent.for(GUESTS)('apply --domain sets up what %s needs', async (guest, { expect }) => {
  // The password is removed first, because apply refuses it.
  const { notes, options } = await planned(guestXml(guest).replace(" passwd='hunter2'", ''))
  await expect([...notes, '', options].join('\n')).toMatchFileSnapshot(`domains/${guest}.txt`)
})

test.concurrent('apply --domain writes the guest as domain --mend prints it, and a second run has nothing to do', async ({
  expect
}) => {
  const place = given(SEED)
  await place.run(APPLY)
  const [first, ...rest] = place.read(FILE).split('\n')
  expect(first?.replace(/[0-9a-f]{64}/, 'HASH')).toBe(
    `# vfio-patch ${VERSION} sha256:HASH (a guest, made from its XML; you can edit this file)`
  )
  const { stdout } = await place.run(['domain', 'win10.xml', '--mend'])
  expect(rest.join('\n')).toBe(stdout)
  expect(await place.run(APPLY)).toEqual({ code: 0, stdout: '', stderr: NOTHING + DISK })
  // Without --domain nothing changes.
  const without = await place.run(['apply', 'configuration.nix', '--yes'])
  expect(without).toEqual({ code: 0, stdout: '', stderr: NOTHING })
})

test.concurrent('apply --domain keeps the generated UUID and MAC addresses if the XML changes', async ({
  expect
}) => {
  const xml = guestXml('two-gpus')
  const place = given(xml)
  const known = () => place.read('vfio/guests/two-gpus.nix').match(/(?:uuid|mac\.address) = .*/g)
  await place.run(APPLY)
  const first = known()
  expect(first).toHaveLength(3)
  place.write('win10.xml', xml.replace("<memory unit='GiB'>48", "<memory unit='GiB'>8"))
  const { stdout } = await place.run(APPLY)
  expect(stdout).toContain('+    memory = { unit = "GiB"; _text = "8"; };\n')
  expect(known()).toEqual(first)
})

test.concurrent('diff --domain shows a change to the file of the guest if the XML changed', async ({
  expect
}) => {
  const place = given(small('<memory>1048576</memory>'))
  await place.run(APPLY)
  place.write('win10.xml', small('<memory>2097152</memory>'))
  const outcome = await place.run(DIFF)
  expect(outcome.code).toBe(1)
  expect(outcome.stdout.replace(/[0-9a-f]{64}/g, 'HASH')).toBe(text`
    --- a/vfio/guests/small.nix
    +++ b/vfio/guests/small.nix
    @@ -1,4 +1,4 @@
    -# vfio-patch ${VERSION} sha256:HASH (a guest, made from its XML; you can edit this file)
    +# vfio-patch ${VERSION} sha256:HASH (a guest, made from its XML; you can edit this file)
     {
       virtualisation.vfio.guests.small.domain = {
         type = "kvm";
    @@ -6,6 +6,6 @@
         name = "small";
         uuid = "8f4c1d55-6f4e-4a2c-9a37-0d1a5b1e7c10";
         os.type = { arch = "x86_64"; machine = "q35"; _text = "hvm"; };
    -    memory = "1048576";
    +    memory = "2097152";
       };
     }
    `)
  expect(outcome.stderr).toBe(text`
    vfio/guests/: 1 file updated
    Guest: small, 2 GiB of memory; you may edit its file.
    ${CHECKED}
    `)
})

test.concurrent('apply --domain keeps an edited file of a guest, and replaces it only with --replace-modules', async ({
  expect
}) => {
  const place = given(small('<memory>1048576</memory>'))
  await place.run(APPLY)
  const file = 'vfio/guests/small.nix'
  place.write(file, place.read(file).replace('"1048576"', '"1572864"'))
  // The file was made from this XML, so the XML has nothing new.
  expect(await place.run(APPLY)).toEqual({
    code: 0,
    stdout: '',
    stderr: `${NOTHING}Note: small.nix has local edits and win10.xml is unchanged, so small.nix is kept.\n`
  })
  place.write('win10.xml', small('<memory>2097152</memory>'))
  await expectRefusal(place, call('apply', '--yes'), {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/vfio/guests/small.nix has local edits, and the XML differs from it. Nothing was written.
        Why: both may have changes to small, and one of them would be lost.
        Do:  edit the file yourself; this shows the XML as Nix:
             vfio-patch domain win10.xml --mend
             or replace the file with the converted XML: vfio-patch apply configuration.nix --domain win10.xml --yes --replace-modules
      `
  })
  const replaced = await place.run([...APPLY, '--replace-modules'])
  expect(replaced.stdout).toContain('-    memory = "1572864";\n+    memory = "2097152";\n')
})

test.concurrent('apply --domain keeps a rewritten file that defines the same guest', async ({
  expect
}) => {
  const place = given(small('<memory>1048576</memory>'))
  await place.run(APPLY)
  const file = 'vfio/guests/small.nix'
  const [, ...rest] = place.read(file).split('\n')
  const own = `# mine\n{ config, ... }:\n${rest.join('\n')}`
  place.write(file, own.replace('memory = "1048576"', 'memory = {\n _text = 1048576; }'))
  expect(await place.run(APPLY)).toEqual({ code: 0, stdout: '', stderr: NOTHING })
})

test.concurrent('diff --domain refuses to replace a file of the guest that vfio-patch did not make', async ({
  expect
}) => {
  const place = given(small('<memory>1048576</memory>'))
  await place.run(APPLY)
  const own = '{\n  virtualisation.vfio.guests.small.xmlFile = ./small.xml;\n}\n'
  place.write('vfio/guests/small.nix', own)
  const { code, stderr } = await place.run(DIFF)
  expect(code).toBe(3)
  expect(stderr.split('\n')[0]).toBe(
    'vfio-patch: /etc/nixos/vfio/guests/small.nix was not made by vfio-patch, and the XML differs from it. Nothing was written.'
  )
})

test.concurrent('apply --domain uses another file name if the file has a different guest', async ({
  expect
}) => {
  const place = given(small('', 'my guest'))
  const other = '{\n  virtualisation.vfio.guests.other.xmlFile = ./other.xml;\n}\n'
  await place.run(APPLY)
  place.write('vfio/guests/my-guest.nix', other)
  expect((await place.run(APPLY)).code).toBe(0)
  expect(place.read('vfio/guests/my-guest.nix')).toBe(other)
  expect(place.read('vfio/guests/my-guest-2.nix')).toContain('guests."my guest".domain = {\n')
})

test.concurrent('diff --domain refuses a guest that the configuration already defines', async () => {
  const place = makePlace({
    'configuration.nix': '{ imports = [ ./guests.nix ]; }\n',
    'guests.nix': text`
      {
        virtualisation.vfio.guests = {
          "small" = {
            autostart = true;
            domain.type = "kvm";
          };
        };
      }
      `,
    'win10.xml': small('')
  })
  await expectRefusal(place, DIFF, {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/guests.nix:5:7: your configuration already defines the guest small. Nothing was written.
        Why: the two definitions would be merged into one guest.
        Do:  remove that definition, then run this again; or omit --domain, and edit that definition
      `
  })
})

test.concurrent('apply --domain keeps the hostCPUs of the guest, and notes the value that the XML suggests', async ({
  expect
}) => {
  const hostCPUs = '  virtualisation.vfio.guests.win10.hostCPUs = "0-3";\n'
  const place = given(SEED, `{\n${hostCPUs}}\n`)
  const { code, stderr } = await place.run(APPLY)
  expect(code).toBe(0)
  expect(place.read('configuration.nix')).toContain(hostCPUs)
  expect(stderr).toContain(
    `Note: virtualisation.vfio.guests.win10.hostCPUs keeps its value, "0-3"; the guest's <cputune> suggests "0-1,8-9".\n`
  )
})

test.concurrent('apply --domain keeps the devices of the first guest if a second one is added', async ({
  expect
}) => {
  const place = given(small(`<devices>${device('0x01')}</devices>`, 'first'))
  const second = small(`<devices>${device('0x0c', '0', '4')}</devices>`, 'second')
  place.write('second.xml', second.replace('8f4c1d55', '9a5d2e66'))
  await place.run(APPLY)
  const words = ['apply', 'configuration.nix', '--domain', 'second.xml', ...MACHINE, '--yes']
  const { code, stderr } = await place.run(words)
  expect(code).toBe(0)
  expect(notesIn(stderr)).toEqual([
    'Guest: second; you may edit its file.',
    'Device: 0000:0c:00.4 AMD Starship/Matisse HD Audio Controller.',
    'IOMMU type: amd (detected from the CPU).',
    'Selected by PCI ID: no other device on this host has it.'
  ])
  expect(place.read('configuration.nix')).toContain(
    `    devices = [
      "10de:1b80" # NVIDIA GP104 [GeForce GTX 1080]
      "10de:10f0" # NVIDIA GP104 High Definition Audio Controller
      "1022:1487" # AMD Starship/Matisse HD Audio Controller
    ];
`
  )
  expect((await place.run(words)).stderr).toBe(NOTHING)
})

test.concurrent('apply --domain moves IDs from kernel parameters to the list with the IDs of the guest', async ({
  expect
}) => {
  const configuration = text`
    {
      boot.kernelParams = [ "quiet" "vfio-pci.ids=10de:1b80,10de:10f0" ];
    }
    `
  const devices = [device('0x01'), device('0x01', '0', '1'), device('0x0c', '0', '4')]
  const place = given(small(`<devices>${devices.join('')}</devices>`), configuration)
  expect((await place.run(APPLY)).code).toBe(0)
  expect(place.read('configuration.nix')).toBe(text`
    {
      imports = [ ./vfio ];

      boot.kernelParams = [ "quiet" ];

      virtualisation.vfio = {
        enable = true;
        IOMMUType = "amd";
        devices = [
          "1022:1487" # AMD Starship/Matisse HD Audio Controller
          "10de:1b80" # NVIDIA GP104 [GeForce GTX 1080]
          "10de:10f0" # NVIDIA GP104 High Definition Audio Controller
        ];
      };
    }
    `)
  expect((await place.run(APPLY)).stderr).toBe(NOTHING)
})

test.concurrent('apply --domain --specialisation sets up the guest in a separate boot entry', async ({
  expect
}) => {
  const place = given(SEED)
  expect((await place.run([...APPLY, '--specialisation', 'vfio'])).code).toBe(0)
  expect(place.read('configuration.nix')).toBe(text`
    { ... }:
    {
      imports = [ ./vfio ];

      specialisation.vfio.configuration = {
        virtualisation.vfio = {
          enable = true;
          IOMMUType = "amd";
          devices = [
            "10de:1b80" # NVIDIA GP104 [GeForce GTX 1080]
            "10de:10f0" # NVIDIA GP104 High Definition Audio Controller
          ];
          guests.win10.hostCPUs = "0-1,8-9";
        };

        virtualisation.sharedMemoryFiles = {
          looking-glass = { user = "root"; group = "kvm"; mode = "0660"; };
          scream = { user = "root"; group = "kvm"; mode = "0660"; };
        };
      };

      system.stateVersion = "26.05";
    }
    `)
  expect((await place.run(APPLY)).stderr).toBe(NOTHING + DISK)
})

test.concurrent('diff --domain --json reports the guest and the changes to its XML', async ({
  expect
}) => {
  const place = given(small('').replace('q35', 'pc-q35-4.2'))
  const { code, stdout } = await place.run([...DIFF, '--json'])
  expect(code).toBe(1)
  const { guest, notes } = JSON.parse(stdout)
  expect(guest).toEqual({
    name: 'small',
    path: '/etc/nixos/vfio/guests/small.nix',
    changes: [
      {
        code: 'MACHINE',
        path: 'os/type',
        line: 4,
        before: 'pc-q35-4.2',
        after: 'q35',
        why: 'QEMU removes machine types after six years; the guest may see its devices as new hardware, and Windows may ask for activation'
      }
    ],
    remarks: []
  })
  expect(notes[0]).toBe('Guest: small; you may edit its file.')
  expect(notes).toHaveLength(2)
})

test.concurrent('diff --domain -v gives the reason for each edit', async ({ expect }) => {
  const place = given(SEED)
  const { stderr } = await place.run([...DIFF, '-v', '--user', 'alice'])
  const reasons = stderr.split('\n').filter(it => /^configuration\.nix:\d+: /.test(it))
  expect(reasons.map(it => it.replace(/^\S+ (?:virtualisation\.)?/, ''))).toEqual([
    'imports (modules)',
    'vfio.enable (always)',
    'vfio.IOMMUType (--domain)',
    'vfio.devices (--domain)',
    'vfio.users (--user)',
    'vfio.guests.win10.hostCPUs (--domain)',
    'sharedMemoryFiles.looking-glass.user (--domain)',
    'sharedMemoryFiles.looking-glass.group (--domain)',
    'sharedMemoryFiles.looking-glass.mode (--domain)',
    'sharedMemoryFiles.scream.user (--domain)',
    'sharedMemoryFiles.scream.group (--domain)',
    'sharedMemoryFiles.scream.mode (--domain)'
  ])
})

needing('git')('apply --domain registers the guest in git until undo', async ({ expect }) => {
  const place = makeRepository({
    'configuration.nix': PLAIN,
    'flake.nix': '{ outputs = _: { }; }\n',
    'win10.xml': SEED
  })
  await place.run(APPLY)
  expect(place.status()).toContain(` A ${FILE}`)
  expect((await place.run(['undo', 'configuration.nix', '--yes'])).code).toBe(0)
  expect(place.status()).toEqual([])
  expect(existsSync(join(place.nixos, 'vfio'))).toBe(false)
})

test.concurrent('remove keeps the file of the guest, and apply --domain uses it again', async ({
  expect
}) => {
  const place = given(SEED)
  await place.run(APPLY)
  const guest = place.read(FILE)
  const { stderr } = await place.run(['remove', 'configuration.nix', '--yes'])
  expect(stderr).toContain('Kept: vfio/guests/, your guests; libvirt keeps them too\n')
  expect(place.read('configuration.nix')).toBe(PLAIN)
  expect((await place.run(APPLY)).code).toBe(0)
  expect(place.read(FILE)).toBe(guest)
})

needing('python3')('diff --domain shows a changed guest on a terminal', async ({ expect }) => {
  const place = given(small('<memory>1048576</memory>'))
  const first = await onTerminal(place, DIFF)
  expect(first.terminal).toContain(
    '<dim>new file: vfio/guests/small.nix (11 lines, shown with -v)</>\n'
  )
  await place.run(APPLY)
  place.write('win10.xml', small('<memory>2097152</memory>'))
  const second = await onTerminal(place, DIFF)
  expect(second.terminal).toContain('<green>+    memory = "<reverse>2097152</reverse>";</>\n')
})
