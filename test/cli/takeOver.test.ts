// A configuration that imports other modules that declare the options of vfio-patch.

import { test } from 'vitest'
import { OLD_MODULES, OLD_USAGE, OLD_VFIO } from '../plan/support/oldModules.ts'
import { installedModules, namesOfModules, patchOfModules } from './support/modules.ts'
import { needing } from './support/needing.ts'
import { onTerminal } from './support/onTerminal.ts'
import { expectRefusal, makePlace } from './support/place.ts'
import { patch, text } from './support/text.ts'

const FILE = '/etc/nixos/configuration.nix'
const OFF = '--parse-check=off'
const APPLY = ['apply', 'configuration.nix', '-y', OFF]
const SUDO = process.getuid?.() === 0 ? 'sudo ' : ''
const CHECKED = 'Checked: parses (built-in parser only; switched off).'
const COUNT = Object.keys(installedModules()).length

const CHANGE = patch`
  --- a/configuration.nix
  +++ b/configuration.nix
  @@ -2,9 +2,7 @@

   {
     imports = [
  -    ./vfio.nix
  -    ./libvirt.nix
  -    ./virtualisation.nix
  +    ./vfio
     ];

     virtualisation = {
  @@ -14,8 +12,7 @@
       };
       libvirtd = {
         enable = true;
  -      qemuOvmf = true;
  -      qemuRunAsRoot = false;
  +      qemu.runAsRoot = false;
         onBoot = "ignore";
         onShutdown = "shutdown";
         clearEmulationCapabilities = false;
  @@ -37,5 +34,7 @@
       };
     };

  +  users.users.qemu-libvirtd.extraGroups = [ "input" ];
  +
     system.stateVersion = "26.05";
   }
  `

const NO_GROUP =
  'Note: the group kvm can no longer open the devices in /dev/vfio; libvirt does not need this. If you start QEMU yourself, set virtualisation.vfio.deviceGroup = "kvm"'
const NOTES = text`
  Kept: vfio.nix, libvirt.nix and virtualisation.nix; this configuration no longer imports them.
  Note: virtualisation.vfio.disableEFIfb now has an effect: it sets initcall_blacklist=sysfb_init, so the screen stays dark until a graphics driver loads. video=efifb:off did nothing. Remove the option if the guest can use its card without it.
  ${NO_GROUP}
  Note: qemu-libvirtd stays in the group input, for the devices in /dev/input that deviceACL lists.
  ${CHECKED}
  `
const DONE = text`
  Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo ${FILE}
  Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
          If the screen stays dark, choose the previous generation in the boot menu.
  `.trimEnd()

test.concurrent('apply replaces old modules and keeps their settings', async ({ expect }) => {
  const place = makePlace({ 'configuration.nix': OLD_USAGE, ...OLD_MODULES })
  expect(await place.run(APPLY)).toEqual({
    code: 0,
    stdout: CHANGE + patchOfModules(),
    stderr: text`
      ${FILE}: 5 changes; vfio/: ${COUNT} new files
      Replaces configuration.nix:5: OLD_MODULE, ./vfio.nix and vfio-patch's modules both declare virtualisation.vfio.
      Replaces configuration.nix:6: OLD_MODULE, ./libvirt.nix and vfio-patch's modules both declare virtualisation.libvirtd.deviceACL.
      Replaces configuration.nix:7: OLD_MODULE, ./virtualisation.nix and vfio-patch's modules both declare virtualisation.sharedMemoryFiles.
      Replaces configuration.nix:17: OVMF_OPTION, NixOS no longer has options for OVMF.
      Replaces configuration.nix:18: RENAMED_OPTION, virtualisation.libvirtd.qemuRunAsRoot was renamed to qemu.runAsRoot.
      ${NOTES}Wrote /etc/nixos/vfio/ (new) and ${FILE}.
      ${DONE}
      `
  })
  for (const [name, old] of Object.entries(OLD_MODULES)) expect(place.read(name)).toBe(old)
  expect(await place.run(APPLY)).toEqual({
    code: 0,
    stdout: '',
    stderr: `Nothing to do: ${FILE} is already up to date.\n`
  })
  expect((await place.run(['undo', '-yq', 'configuration.nix'])).code).toBe(0)
  expect(place.files()).toEqual({ 'configuration.nix': OLD_USAGE, ...OLD_MODULES })
})

test.concurrent('apply --specialisation refuses to replace old modules', async ({ expect }) => {
  const place = makePlace({ 'configuration.nix': OLD_USAGE, ...OLD_MODULES })
  const entry = [...APPLY, '--specialisation', 'vfio', '--ignore-msrs']
  await expectRefusal(place, entry, {
    code: 3,
    stderr: text`
      vfio-patch: ${FILE}:5:5: ./vfio.nix and vfio-patch's modules both declare virtualisation.vfio. Nothing was written.
        Why: vfio-patch would replace ./vfio.nix in every boot entry, but --specialisation vfio must not change the default boot entry.
        Do:  first replace it without --specialisation, then run this again:
             vfio-patch apply ${FILE}
      `
  })
  expect((await place.run(APPLY)).code).toBe(0)
  const { code, stderr } = await place.run(entry)
  expect({ code, stderr }).toEqual({
    code: 3,
    stderr: expect.stringContaining(
      'these options already pass devices through in every boot entry'
    )
  })
  expect((await place.run(['remove', 'configuration.nix', '-y', OFF])).code).toBe(0)
  expect((await place.run(entry)).code).toBe(0)
})

const OLD_ENTRY = text`
  {
    imports = [ ./vfio.nix ];

    boot.kernelParams = [ "quiet" "iommu=nopt" ];

    specialisation.guest.configuration = {
      virtualisation.vfio = {
        enable = true;
        IOMMUType = "amd";
        devices = [ "10de:1b80" ];
      };
    };
  }
  `

test.concurrent('apply keeps settings of old modules in their boot entry', async ({ expect }) => {
  const place = makePlace({ 'configuration.nix': OLD_ENTRY, 'vfio.nix': OLD_VFIO })
  const { code, stderr } = await place.run(APPLY)
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringContaining('Boot entry: the options are in specialisation.guest.\n')
  })
  expect(place.read('configuration.nix')).toBe(
    OLD_ENTRY.replace('./vfio.nix', './vfio').replace(
      /( +)(devices .*\n)/,
      '$1$2$1passthroughDMA = false;\n'
    )
  )
})

const USER = text`
  {
    imports = [ ./vfio ];

    virtualisation.vfio = {
      enable = true;
      devices = [ "10de:1b80" ];
    };
  }
  `

test.concurrent('apply keeps a folder with old modules and uses another folder', async ({
  expect
}) => {
  const oldFolder = {
    'vfio/default.nix': '{ imports = [ ./vfio.nix ]; }\n',
    'vfio/vfio.nix': OLD_VFIO
  }
  const place = makePlace({ 'configuration.nix': USER, ...oldFolder })
  const { code, stderr } = await place.run(APPLY)
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: text`
      ${FILE}: 1 change; vfio-patch/: ${COUNT} new files
      Replaces configuration.nix:2: OLD_MODULE, ./vfio and vfio-patch's modules both declare virtualisation.vfio.
      Kept: vfio/vfio.nix; this configuration no longer imports it.
      ${NO_GROUP}
      ${CHECKED}
      Wrote /etc/nixos/vfio-patch/ (new) and ${FILE}.
      ${DONE}
      `
  })
  const modules = Object.entries(installedModules()).map(([name, it]) => [`vfio-patch/${name}`, it])
  expect(place.files()).toEqual({
    'configuration.nix': USER.replace('./vfio', './vfio-patch'),
    ...oldFolder,
    ...Object.fromEntries(modules)
  })
})

test.concurrent('apply renames an old module if a new module needs its name', async ({
  expect
}) => {
  const configuration = USER.replace('./vfio', './vfio/vfio.nix')
  const place = makePlace({ 'configuration.nix': configuration, 'vfio/vfio.nix': OLD_VFIO })
  const { code, stderr } = await place.run([...APPLY, '--modules-dir', 'vfio'])
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: text`
      ${FILE}: 1 change; vfio/vfio.nix.old: new; vfio/: ${COUNT - 1} new files, 1 file updated
      Replaces configuration.nix:2: OLD_MODULE, ./vfio/vfio.nix and vfio-patch's modules both declare virtualisation.vfio.
      Renamed: vfio/vfio.nix is kept as vfio/vfio.nix.old.
      ${NO_GROUP}
      ${CHECKED}
      Wrote /etc/nixos/vfio/vfio.nix.old and /etc/nixos/vfio/ and ${FILE}.
      ${DONE}
      `
  })
  const modules = Object.entries(installedModules()).map(([name, it]) => [`vfio/${name}`, it])
  expect(place.files()).toEqual({
    'configuration.nix': USER,
    'vfio/vfio.nix.old': OLD_VFIO,
    ...Object.fromEntries(modules)
  })
  expect((await place.run(['undo', '-yq', 'configuration.nix'])).code).toBe(0)
  expect(place.files()).toEqual({ 'configuration.nix': configuration, 'vfio/vfio.nix': OLD_VFIO })
})

test.concurrent('apply refuses settings of old modules that vfio-patch does not have, each with its place', async () => {
  const place = makePlace({
    'configuration.nix': text`
      {
        imports = [ ./vfio.nix ];
        virtualisation.vfio = {
          enable = true;
          IOMMUType = "both";
          enableNestedVirt = true;
        };
      }
      `,
    'vfio.nix': OLD_VFIO
  })
  await expectRefusal(place, APPLY, {
    code: 3,
    stderr: text`
      vfio-patch: other modules that ${FILE} uses can't be replaced, for 2 reasons. Nothing was written.
          ${FILE}:5:17: IOMMUType must be "intel" or "amd"
          5 |     IOMMUType = "both";
                              ^^^^^^
              Do: write one of these, or remove it
          ${FILE}:6:5: virtualisation.vfio.enableNestedVirt is set here, but vfio-patch has no such option
          6 |     enableNestedVirt = true;
                  ^^^^^^^^^^^^^^^^^^^^^^^^
              Do: remove it: KVM enables nested guests by default since Linux 4.20
        Why: two modules can't declare the same option. Removing the other modules would lose what is marked here.
        Do:  fix these, then run this again
      `
  })
  place.write('configuration.nix', place.read('configuration.nix').replace('"both"', '"amd"'))
  await expectRefusal(place, APPLY, {
    code: 3,
    stderr: text`
      vfio-patch: ${FILE}:6:5: virtualisation.vfio.enableNestedVirt is set here, but vfio-patch has no such option. Nothing was written.
          6 |     enableNestedVirt = true;
                  ^^^^^^^^^^^^^^^^^^^^^^^^
        Why: two modules can't declare the same option. Removing the other modules would lose what is marked here.
        Do:  remove it: KVM enables nested guests by default since Linux 4.20;
             then run this again
      `
  })
})

test.concurrent('apply refuses if a flake lists an old module, and prints the line to remove', async () => {
  const place = makePlace({
    'configuration.nix': '{ virtualisation.vfio.enable = true; }\n',
    'flake.nix': text`
      {
        outputs = { nixpkgs, nixos-vfio, ... }: {
          nixosConfigurations.pc = nixpkgs.lib.nixosSystem {
            modules = [
              ./configuration.nix
              nixos-vfio.nixosModules.vfio
            ];
          };
        };
      }
      `
  })
  await expectRefusal(place, [...APPLY, '--ignore-msrs'], {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/flake.nix:6:9: the flake lists nixos-vfio.nixosModules.vfio, which declares options of vfio-patch. Nothing was written.
          6 |         nixos-vfio.nixosModules.vfio
                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        Why: two modules can't declare the same option, and vfio-patch does not edit a flake.
        Do:  remove it from this list, and the flake input if nothing else uses it; keep your settings under virtualisation;
             then run this again
      `
  })
})

test.concurrent('apply --keep-obsolete keeps the import of old modules, and therefore refuses', async () => {
  const place = makePlace({ 'configuration.nix': OLD_USAGE, ...OLD_MODULES })
  await expectRefusal(place, [...APPLY, '--keep-obsolete'], {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/vfio.nix already declares virtualisation.vfio. Nothing was written.
        Why: ${FILE} imports that file through ./vfio.nix, and two modules can't declare the same option.
        Do:  omit --keep-obsolete so that vfio-patch replaces ./vfio.nix, or remove ./vfio.nix from imports (you can keep your settings under virtualisation)
      `
  })
})

needing('python3')(
  'diff prints reasons above the patch, in color and wrapped to the terminal',
  async ({ expect }) => {
    const place = makePlace({ 'configuration.nix': OLD_USAGE, ...OLD_MODULES })
    const shown = await onTerminal(place, ['diff', 'configuration.nix', OFF], { width: 50 })
    const [head = '', ...rest] = shown.terminal.split('<bold>--- a/configuration.nix</>')
    expect({ head, files: rest.length, code: shown.code }).toEqual({
      head: text`
      ${FILE}: 5 changes; vfio/: ${COUNT} new files
      Replaces configuration.nix:5: <bold>OLD_MODULE</>,
        ./vfio.nix and vfio-patch's modules both declare
        virtualisation.vfio.
      Replaces configuration.nix:6: <bold>OLD_MODULE</>,
        ./libvirt.nix and vfio-patch's modules both
        declare virtualisation.libvirtd.deviceACL.
      Replaces configuration.nix:7: <bold>OLD_MODULE</>,
        ./virtualisation.nix and vfio-patch's modules
        both declare virtualisation.sharedMemoryFiles.
      Replaces configuration.nix:17: <bold>OVMF_OPTION</>, NixOS
        no longer has options for OVMF.
      Replaces configuration.nix:18: <bold>RENAMED_OPTION</>,
        virtualisation.libvirtd.qemuRunAsRoot was
        renamed to qemu.runAsRoot.
      `,
      files: 1,
      code: 1
    })
    expect(rest[0]).toContain(
      namesOfModules() +
        text`
      Kept: vfio.nix, libvirt.nix and
        virtualisation.nix; this configuration no longer
        imports them.
      Note: virtualisation.vfio.disableEFIfb now has an
        effect: it sets initcall_blacklist=sysfb_init,
        so the screen stays dark until a graphics driver
        loads. video=efifb:off did nothing. Remove the
        option if the guest can use its card without it.
      `
    )
  }
)

test.concurrent('diff --json lists replaced values with code and place, and reasons of edits', async ({
  expect
}) => {
  const place = makePlace({ 'configuration.nix': OLD_USAGE, ...OLD_MODULES })
  const { code, stdout } = await place.run(['diff', 'configuration.nix', OFF, '--json'])
  const { replaced, notes, files } = JSON.parse(stdout)
  const at = (line: number, column: number) => ({ path: FILE, line, column })
  const old = (spelling: string, option: string, line: number) => ({
    code: 'OLD_MODULE',
    message: `${spelling} and vfio-patch's modules both declare ${option}`,
    at: at(line, 5)
  })
  expect({ code, replaced, notes: `${notes.join('\n')}\n${CHECKED}\n` }).toEqual({
    code: 1,
    replaced: [
      old('./vfio.nix', 'virtualisation.vfio', 5),
      old('./libvirt.nix', 'virtualisation.libvirtd.deviceACL', 6),
      old('./virtualisation.nix', 'virtualisation.sharedMemoryFiles', 7),
      {
        code: 'OVMF_OPTION',
        message: 'NixOS no longer has options for OVMF',
        at: at(17, 18)
      },
      {
        code: 'RENAMED_OPTION',
        message: 'virtualisation.libvirtd.qemuRunAsRoot was renamed to qemu.runAsRoot',
        at: at(18, 23)
      }
    ],
    notes: NOTES
  })
  const [own] = files.filter((it: { path: string }) => it.path === FILE)
  const reasons = own.edits.flatMap((it: { line: number; reasons: { rule: string }[] }) =>
    it.reasons.map(({ rule }) => `${it.line} ${rule}`)
  )
  expect(reasons).toEqual([
    '4 modules',
    '4 OLD_MODULE',
    '5 modules',
    '5 OLD_MODULE',
    '17 OVMF_OPTION',
    '18 RENAMED_OPTION',
    '40 diff'
  ])
})

test.concurrent('apply notes files that may declare the same options when it adds its modules', async ({
  expect
}) => {
  const place = makePlace({
    'configuration.nix': '{ }\n',
    'modules/old.nix': OLD_VFIO,
    'flake.nix': text`
      {
        # nixos-vfio.nixosModules.vfio was here.
        outputs = inputs: import ./hosts.nix {
          extra = [ inputs.nixos-vfio.nixosModules.vfio ];
        };
      }
      `
  })
  const words = ['apply', 'configuration.nix', '-y', '--ignore-msrs', OFF]
  const { code, stderr } = await place.run(words)
  expect({ code, notes: stderr.split('\n').filter(it => it.startsWith('Note')) }).toEqual({
    code: 0,
    notes: [
      "Note: flake.nix:4 has extra = [ inputs.nixos-vfio.nixosModules.vfio ];. If this system uses that file too, remove it there: two modules can't declare the same option.",
      "Note: modules/old.nix:12 has virtualisation.vfio. If this system uses that file too, remove it there: two modules can't declare the same option."
    ]
  })
  const again = await place.run([...words, '--user', 'alice'])
  expect(again.stderr).not.toContain('Note')
})

test.concurrent('apply accepts a flake that lists the modules of vfio-patch', async ({
  expect
}) => {
  const place = makePlace({
    'configuration.nix': '{ imports = [ ./vfio ]; virtualisation.vfio.enable = true; }\n',
    'flake.nix': '{ outputs = x: x.system { modules = [ ./configuration.nix ./vfio ]; }; }\n'
  })
  for (const [name, it] of Object.entries(installedModules())) place.write(`vfio/${name}`, it)
  const { code, stderr } = await place.run([...APPLY, '--ignore-msrs'])
  expect({ code, first: stderr.split('\n')[0] }).toEqual({ code: 0, first: `${FILE}: 1 change` })
})

test.concurrent('apply also removes the import of an old module in another file', async ({
  expect
}) => {
  const place = makePlace({
    'configuration.nix': '{ imports = [ ./gaming.nix ]; }\n',
    'gaming.nix': '{ imports = [ ./vfio.nix ]; virtualisation.vfio.enable = true; }\n',
    'vfio.nix': OLD_VFIO
  })
  const { code, stdout, stderr } = await place.run(APPLY)
  expect({ code, stdout, lines: stderr.split('\n').slice(0, 3) }).toEqual({
    code: 0,
    stdout: `${patch`
      --- a/configuration.nix
      +++ b/configuration.nix
      @@ -1,1 +1,1 @@
      -{ imports = [ ./gaming.nix ]; }
      +{ imports = [ ./gaming.nix ./vfio ]; }
      `}${patchOfModules()}${patch`
      --- a/gaming.nix
      +++ b/gaming.nix
      @@ -1,1 +1,1 @@
      -{ imports = [ ./vfio.nix ]; virtualisation.vfio.enable = true; }
      +{ imports = [ ]; virtualisation.vfio.enable = true; }
      `}`,
    lines: [
      `${FILE}: 1 change; gaming.nix: changed; vfio/: ${COUNT} new files`,
      "Replaces gaming.nix:1: OLD_MODULE, ./vfio.nix and vfio-patch's modules both declare virtualisation.vfio.",
      'Kept: vfio.nix; this configuration no longer imports it.'
    ]
  })
})
