// The folder with the modules of vfio-patch: `apply` updates the modules and never overwrites other files.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { stamp } from '../../src/configuration/stamp.ts'
import { CHECKED, makeInstalled } from './support/machine.ts'
import { installedModules, patchOfModules } from './support/modules.ts'
import { expectRefusal, makePlace, type Place } from './support/place.ts'
import { patch, text } from './support/text.ts'

const CONFIGURATION = text`
  { ... }:
  {
    imports = [ ./vfio ];
    virtualisation.vfio.enable = true;
    system.stateVersion = "26.05";
  }
  `

const SUDO = process.getuid?.() === 0 ? 'sudo ' : ''

/** Replaces a module with that of an older version, which has one more line. */
function makeOlder(place: Place, name: string): { stampOfOld: string; stampOfNew: string } {
  const [stampOfNew = '', ...body] = (installedModules()[name] ?? '').split('\n')
  const old = stamp('0.0.9', ['# as it was', ...body].join('\n'))
  place.write(`vfio/${name}`, old)
  return { stampOfNew, stampOfOld: old.split('\n')[0] ?? '' }
}

test.concurrent('apply without flags updates the modules', async () => {
  const place = makeInstalled(CONFIGURATION)
  const { stampOfOld, stampOfNew } = makeOlder(place, 'libvirt.nix')
  rmSync(join(place.nixos, 'vfio/virtualisation.nix'))
  place.write('vfio/mine.nix', '{ }\n')

  const outcome = await place.run(['apply', '--yes', '-U', '0', 'configuration.nix'])
  const partFrom = (name: string) => patchOfModules().indexOf(`--- /dev/null\n+++ b/vfio/${name}`)
  const ofAdded = patchOfModules().slice(
    partFrom('virtualisation.nix'),
    partFrom('_lib/defineGuests.nix')
  )
  expect(outcome).toEqual({
    code: 0,
    stdout:
      text`
        --- a/vfio/libvirt.nix
        +++ b/vfio/libvirt.nix
        @@ -1,2 +1,1 @@
        -${stampOfOld}
        -# as it was
        +${stampOfNew}
        ` + ofAdded,
    stderr: text`
      vfio/: 1 new file, 1 file updated
      ${CHECKED}
      Wrote /etc/nixos/vfio/.
      Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo --run RUN-1
      Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
              If the screen stays dark, choose the previous generation in the boot menu.
      `
  })
  const { 'configuration.nix': configuration, 'vfio/mine.nix': mine, ...modules } = place.files()
  expect([configuration, mine]).toEqual([CONFIGURATION, '{ }\n'])
  expect(modules).toEqual(
    Object.fromEntries(Object.entries(installedModules()).map(([name, it]) => [`vfio/${name}`, it]))
  )
})

test.concurrent('undo --run undoes an update of the modules, but not the run before', async () => {
  const place = makeInstalled(CONFIGURATION)
  await place.run(['apply', '--yes', 'configuration.nix', '--iommu', 'amd'])
  makeOlder(place, 'libvirt.nix')
  const before = place.files()
  const { stderr } = await place.run(['apply', '--yes', 'configuration.nix'])
  expect(stderr).toContain(`Undo: ${SUDO}vfio-patch undo --run RUN-2\n`)

  const [list = ''] = (await place.run(['undo', '--list'])).stdout.split('\n')
  expect(list).toMatch(
    /^RUN-2 {2}[\d-]+ [\d:]+ {2}apply {2}current {2}\/etc\/nixos\/vfio\/libvirt.nix$/
  )
  // The output has RUN-2 in place of the real ID, which is the name of the run's folder.
  const undone = await place.run(['undo', '--yes', '-q', '--run'], {
    script: 'exec "$@" "$(ls "$VFIO_PATCH_STATE/runs" | tail -1)"'
  })
  expect(undone).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(place.files()).toEqual(before)
})

test.concurrent('apply and diff refuse to replace edited modules without --replace-modules', async () => {
  const place = makeInstalled(CONFIGURATION)
  const changed = `${installedModules()['default.nix']}# mine\n`
  place.write('vfio/default.nix', changed)
  const stderr = text`
    vfio-patch: default.nix in /etc/nixos/vfio has local edits. Nothing was written.
      Why: an update would overwrite these edits.
      Do:  move your edits into your own configuration, then: vfio-patch apply --yes configuration.nix --replace-modules
    `
  await expectRefusal(place, ['apply', '--yes', 'configuration.nix'], { code: 3, stderr })

  place.write('vfio/vfio.nix', `${installedModules()['vfio.nix']}# mine\n`)
  expect((await place.run(['diff', 'configuration.nix'])).stderr).toBe(text`
    vfio-patch: default.nix and vfio.nix in /etc/nixos/vfio have local edits. Nothing was written.
      Why: an update would overwrite these edits.
      Do:  move your edits into your own configuration, then: vfio-patch diff configuration.nix --replace-modules
    `)

  const replaced = await place.run([
    'apply',
    '--yes',
    '-U0',
    'configuration.nix',
    '--replace-modules'
  ])
  const lines = (name: string) => (installedModules()[name] ?? '').split('\n').length - 1
  expect(replaced).toMatchObject({
    code: 0,
    stdout: text`
      --- a/vfio/default.nix
      +++ b/vfio/default.nix
      @@ -${lines('default.nix') + 1},1 +${lines('default.nix')},0 @@
      -# mine
      --- a/vfio/vfio.nix
      +++ b/vfio/vfio.nix
      @@ -${lines('vfio.nix') + 1},1 +${lines('vfio.nix')},0 @@
      -# mine
      `
  })
  expect(place.read('vfio/default.nix')).toBe(installedModules()['default.nix'])
})

test.concurrent('apply refuses a modules folder with other files, and later runs use the folder of --modules-dir', async () => {
  const place = makePlace({
    'configuration.nix': CONFIGURATION.replace(/ {2}imports.*\n/, ''),
    'vfio/mine.nix': '{ }\n'
  })
  const call = ['apply', '--yes', 'configuration.nix', '--iommu', 'amd']
  await expectRefusal(place, call, {
    code: 3,
    stderr: text`
      vfio-patch: the folder /etc/nixos/vfio does not belong to vfio-patch: it contains mine.nix. Nothing was written.
        Why: vfio-patch never overwrites your own files.
        Do:  choose another folder for the modules, e.g. --modules-dir vfio-patch
      `
  })
  expect(await place.run([...call, '--modules-dir', 'modules/vfio/'])).toEqual({
    code: 0,
    stdout:
      patch`
        --- a/configuration.nix
        +++ b/configuration.nix
        @@ -1,5 +1,7 @@
         { ... }:
         {
        +  imports = [ ./modules/vfio ];
           virtualisation.vfio.enable = true;
        +  virtualisation.vfio.IOMMUType = "amd";
           system.stateVersion = "26.05";
         }
        ` + patchOfModules('modules/vfio'),
    stderr: text`
      /etc/nixos/configuration.nix: 2 changes; modules/vfio/: 12 new files
      ${CHECKED}
      Wrote /etc/nixos/modules/vfio/ (new) and /etc/nixos/configuration.nix.
      Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo /etc/nixos/configuration.nix
      Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
              If the screen stays dark, choose the previous generation in the boot menu.
      `
  })

  const written = place.snapshot()
  expect(await place.run(call)).toEqual({
    code: 0,
    stdout: '',
    stderr: 'Nothing to do: /etc/nixos/configuration.nix is already up to date.\n'
  })
  expect(place.snapshot()).toEqual(written)
  expect((await place.run(['undo', '--yes', '-q', 'configuration.nix'])).code).toBe(0)
  expect(Object.keys(place.files())).toEqual(['configuration.nix', 'vfio/mine.nix'])
})

test.concurrent('apply refuses a file in place of the modules folder', async () => {
  const place = makePlace({ 'configuration.nix': '{ ... }: { }\n', vfio: 'mine\n' })
  await expectRefusal(place, ['apply', '--yes', 'configuration.nix', '--iommu', 'amd'], {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/vfio is not a folder, but vfio-patch's modules need a folder with this name. Nothing was written.
        Why: vfio-patch never overwrites your own files.
        Do:  choose another folder for the modules, e.g. --modules-dir vfio-patch
      `
  })
})

test.concurrent.each([
  ['/etc/vfio', 'an absolute path'],
  ['../vfio', 'a path that leads outside'],
  ['a/../../vfio', 'a path that leads outside through a folder'],
  ['.', 'the folder of the configuration itself']
])('apply refuses --modules-dir %s, %s', async name => {
  const place = makePlace({ 'configuration.nix': CONFIGURATION })
  await expectRefusal(place, ['apply', '--yes', 'configuration.nix', '--modules-dir', name], {
    code: 2,
    stderr: text`
      vfio-patch: --modules-dir needs a folder next to the configuration, got "${name}".
        Do:  e.g. --modules-dir modules/vfio
      `
  })
})

test.concurrent.each([
  ['itself', './modules/vfio.nix', 'modules/vfio.nix'],
  ['in a file that it imports', './modules', 'modules/deeper.nix']
])(
  'apply --keep-obsolete refuses an import that declares virtualisation.vfio %s',
  async (_, importer, declaration) => {
    const place = makePlace({
      'configuration.nix': `{ ... }:\n{\n  imports = [ ${importer} ];\n}\n`,
      'modules/default.nix': '{ ... }: { imports = [ ./deeper.nix ]; }\n',
      [declaration]: '{ lib, ... }: { options.virtualisation.vfio.enable = lib.mkOption { }; }\n'
    })
    const flags = ['--iommu', 'amd', '--keep-obsolete']
    await expectRefusal(place, ['apply', '--yes', 'configuration.nix', ...flags], {
      code: 3,
      stderr: text`
      vfio-patch: /etc/nixos/${declaration} already declares virtualisation.vfio. Nothing was written.
        Why: /etc/nixos/configuration.nix imports that file through ${importer}, and two modules can't declare the same option.
        Do:  omit --keep-obsolete so that vfio-patch replaces ${importer}, or remove ${importer} from imports (you can keep your settings under virtualisation)
      `
    })
  }
)

test.concurrent('apply refuses a file that declares virtualisation.vfio', async () => {
  const place = makePlace({
    'configuration.nix':
      '{ lib, ... }: { options.virtualisation.vfio.enable = lib.mkOption { }; config = { }; }\n'
  })
  await expectRefusal(place, ['apply', '--yes', 'configuration.nix', '--iommu', 'amd'], {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/configuration.nix already declares virtualisation.vfio. Nothing was written.
        Why: vfio-patch's modules declare it too, and two modules can't declare the same option.
        Do:  pass the configuration of a machine, not a module that others import
      `
  })
})
