// Disks that fail or are full: what is said is what is on the disk then.

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { CHECKED } from './support/machine.ts'
import { installedModules } from './support/modules.ts'
import { needing } from './support/needing.ts'
import { expectRefusal, makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const CONFIGURATION = '{ ... }:\n{\n  system.stateVersion = "26.05";\n}\n'
const CALL = ['apply', '--yes', 'configuration.nix', '--iommu', 'amd']
const SUDO = process.getuid?.() === 0 ? 'sudo ' : ''

function given(): Place {
  return makePlace({ 'configuration.nix': CONFIGURATION })
}

/** How many times a run waits for the disk. */
async function countOfSyncs(): Promise<number> {
  const place = given()
  const log = join(place.top, 'log')
  await place.run(CALL, {
    through: ['strace', '-f', '--seccomp-bpf', '-o', log, '-e', 'trace=fsync']
  })
  return readFileSync(log, 'utf8').split('fsync(').length - 1
}

needing('strace')('the disk fails before the change is made', async () => {
  const place = given()
  const failing = [
    'strace',
    '-f',
    '--seccomp-bpf',
    '-o',
    '/dev/null',
    '-e',
    'trace=rename',
    '-e',
    'inject=rename:error=EIO:when=5'
  ]
  const before = place.files()
  expect(await place.run([...CALL, '-q'], { through: failing })).toEqual({
    code: 4,
    stdout: '',
    stderr: text`
      vfio-patch: error on /etc/nixos/configuration.nix (rename: EIO). Nothing was written.
        Do:  check the disk (dmesg) before trying again
      `
  })
  expect(place.files()).toEqual(before)
})

needing('strace')('the disk fails after the change is made', async () => {
  const place = given()
  // The last three are the folder of the configuration, and the mark that the run is done.
  const when = (await countOfSyncs()) - 2
  const failing = [
    'strace',
    '-f',
    '--seccomp-bpf',
    '-o',
    '/dev/null',
    '-e',
    'trace=fsync',
    '-e',
    `inject=fsync:error=EIO:when=${when}`
  ]
  const { code, stderr } = await place.run(CALL, { through: failing })
  expect({ code, stderr }).toEqual({
    code: 8,
    stderr: text`
      /etc/nixos/configuration.nix: 2 changes; vfio/: 4 new files
      ${CHECKED}
      vfio-patch: warning: the change is written, but: error on /etc/nixos (fsync: EIO).
      Wrote /etc/nixos/vfio/ (new) and /etc/nixos/configuration.nix.
      Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo /etc/nixos/configuration.nix
      Next:   sudo nixos-rebuild boot && reboot
              If there is no picture, pick the previous generation in the boot menu.
      `
  })
  expect(Object.keys(place.files())).toContain('vfio/vfio.nix')
  expect((await place.run(['undo', '-qy', 'configuration.nix'])).code).toBe(0)
  expect(place.files()).toEqual({ 'configuration.nix': CONFIGURATION })
})

needing('root', 'unshare')('a full disk', async () => {
  const place = given()
  mkdirSync(join(place.top, 'full'))
  const needed = Math.ceil((installedModules()['vfio.nix']?.length ?? 0) / 1024)
  const mount = 'mount -t tmpfs -o size=24k,mode=755 none ../../full'
  const outcome = await place.run([...CALL, '-q'], {
    through: ['unshare', '-m'],
    script: `${mount} && cp configuration.nix ../../full && cd ../../full && "$@"; code=$?; ls; exit $code`
  })
  expect(outcome).toEqual({
    code: 4,
    stdout: 'configuration.nix\n',
    stderr: text`
      vfio-patch: no space left for /full/vfio/vfio.nix (needs ${needed} KB). Nothing was written.
        Do:  free space (nix-collect-garbage), then run this again
      `
  })
})

needing('root', 'unshare')('no space for the backup', async () => {
  const place = given()
  mkdirSync(join(place.top, 'state'))
  const mount = 'mount -t tmpfs -o size=4k,mode=755 none ../../state'
  await expectRefusal(
    place,
    [...CALL, '-q'],
    {
      code: 4,
      stderr: text`
        vfio-patch: could not save a backup in /state: no space left for /state/runs/RUN-1/manifest.json (needs 2 KB). Nothing was written.
          Do:  mend that folder, or repeat with --no-backup --yes
        `
    },
    { through: ['unshare', '-m'], script: `${mount} && exec "$@"` }
  )
})
