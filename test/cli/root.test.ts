// --root: a system that is mounted in a folder, as during an installation.

import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CHECKED } from './support/machine.ts'
import { patchOfModules } from './support/modules.ts'
import { needing } from './support/needing.ts'
import { expectRefusal, makePlace, type Place } from './support/place.ts'
import { patch, text } from './support/text.ts'

const CONFIGURATION = '{ ... }:\n{\n  system.stateVersion = "26.05";\n}\n'
const SUDO = process.getuid?.() === 0 ? 'sudo ' : ''

/** A place with a second system below `/mnt`. */
function given(): Place & { mnt: string } {
  const place = makePlace({ 'configuration.nix': CONFIGURATION })
  const mnt = join(place.top, 'mnt')
  mkdirSync(join(mnt, 'etc/nixos'), { recursive: true, mode: 0o755 })
  writeFileSync(join(mnt, 'etc/nixos/configuration.nix'), CONFIGURATION)
  return { ...place, mnt }
}

test.concurrent('apply --root edits the mounted system, and its next step is nixos-install', async () => {
  const place = given()
  expect(await place.run(['apply', '--yes', '--root', `${place.mnt}/`, '--iommu', 'amd'])).toEqual({
    code: 0,
    stdout:
      patch`
        --- a/configuration.nix
        +++ b/configuration.nix
        @@ -1,4 +1,11 @@
         { ... }:
         {
        +  imports = [ ./vfio ];
        +
        +  virtualisation.vfio = {
        +    enable = true;
        +    IOMMUType = "amd";
        +  };
        +
           system.stateVersion = "26.05";
         }
        ` + patchOfModules(),
    stderr: text`
      /mnt/etc/nixos/configuration.nix: 2 changes; vfio/: 12 new files
      ${CHECKED}
      Wrote /mnt/etc/nixos/vfio/ (new) and /mnt/etc/nixos/configuration.nix.
      Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo --root /mnt
      Next:   sudo nixos-install --root /mnt
      `
  })
  expect(place.read('configuration.nix')).toBe(CONFIGURATION)

  // A run lists its files with their paths in the mounted system.
  expect((await place.run(['undo', '--list', '--root', place.mnt])).stdout).toMatch(
    /^RUN-1 {2}[\d-]+ [\d:]+ {2}apply {2}current {2}\/etc\/nixos\/vfio\/ \(12 files\) \/etc\/nixos\/configuration.nix\n$/
  )
  expect(await place.run(['undo', '-qy', '--root', place.mnt])).toEqual({
    code: 0,
    stdout: '',
    stderr: ''
  })
  expect(readdirSync(join(place.mnt, 'etc/nixos'))).toEqual(['configuration.nix'])
})

test.concurrent('apply --root refuses a file outside that root', async () => {
  const place = given()
  await expectRefusal(
    place,
    ['apply', '--yes', '--root', place.mnt, 'configuration.nix', '--iommu', 'amd'],
    {
      code: 3,
      stderr: text`
      vfio-patch: /etc/nixos/configuration.nix is not inside /mnt.
        Do:  pass a file below /mnt, or omit --root
      `
    }
  )
})

test.concurrent('apply --root refuses a configuration that does not exist', async () => {
  const place = given()
  rmSync(join(place.mnt, 'etc/nixos/configuration.nix'))
  await expectRefusal(place, ['apply', '--yes', '--root', place.mnt, '--iommu', 'amd'], {
    code: 4,
    stderr: text`
      vfio-patch: /mnt/etc/nixos/configuration.nix does not exist.
        Do:  pass the file: vfio-patch apply PATH
             or, in an installer: nixos-generate-config --root /mnt, then vfio-patch apply --root /mnt
      `
  })
})

test.concurrent('apply --root follows absolute symlinks inside that root', async () => {
  const place = given()
  const { mnt } = place
  mkdirSync(join(mnt, 'persist'))
  rmSync(join(mnt, 'etc/nixos'), { recursive: true })
  mkdirSync(join(mnt, 'persist/nixos'))
  writeFileSync(join(mnt, 'persist/nixos/configuration.nix'), CONFIGURATION)
  symlinkSync('/persist/nixos', join(mnt, 'etc/nixos'))

  const { code, stderr } = await place.run(['apply', '--yes', '--root', mnt, '--iommu', 'amd'])
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: text`
      /mnt/etc/nixos/configuration.nix: 2 changes; vfio/: 12 new files
      ${CHECKED}
      Wrote /mnt/persist/nixos/vfio/ (new) and /mnt/etc/nixos/configuration.nix.
      Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo --root /mnt
      Next:   sudo nixos-install --root /mnt
      `
  })
  expect(readdirSync(join(mnt, 'persist/nixos'))).toEqual(['configuration.nix', 'vfio'])
  expect((await place.run(['undo', '-qy', '--root', mnt])).code).toBe(0)
  expect(readdirSync(join(mnt, 'persist/nixos'))).toEqual(['configuration.nix'])
})

needing('root')('--root keeps backups inside that root, also through a symlink', async () => {
  const place = given()
  const env = { VFIO_PATCH_STATE: '' }
  const apply = async (type: string) =>
    (await place.run(['apply', '--yes', '--root', place.mnt, '--iommu', type], { env })).stderr
  expect(await apply('amd')).toContain('\nBackup: /mnt/var/lib/vfio-patch/runs/RUN-1 ')

  rmSync(join(place.mnt, 'var'), { recursive: true })
  symlinkSync('/persist/var', join(place.mnt, 'var'))
  expect(await apply('intel')).toContain('\nBackup: /mnt/persist/var/lib/vfio-patch/runs/RUN-1 ')
  expect(readdirSync(join(place.mnt, 'persist/var/lib/vfio-patch/runs'))).toHaveLength(1)
  expect((await place.run(['undo', '-qy', '--root', place.mnt], { env })).code).toBe(0)
})
