// Disks that fail or are full: the message reports the state of the files.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CHECKED } from './support/machine.ts'
import { installedModules } from './support/modules.ts'
import { needing } from './support/needing.ts'
import { makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const CONFIGURATION = '{ ... }:\n{\n  system.stateVersion = "26.05";\n}\n'
const CALL = ['apply', '--yes', 'configuration.nix', '--iommu', 'amd']
const SUDO = process.getuid?.() === 0 ? 'sudo ' : ''

function given(): Place {
  return makePlace({ 'configuration.nix': CONFIGURATION })
}

/** The number of these system calls in a run. */
async function countOf(call: 'fsync' | 'rename'): Promise<number> {
  const place = given()
  const log = join(place.top, 'log')
  await place.run(CALL, {
    through: ['strace', '-f', '--seccomp-bpf', '-o', log, '-e', `trace=${call}`]
  })
  return readFileSync(log, 'utf8').split(`${call}(`).length - 1
}

needing('strace')('apply refuses if the folder of the modules cannot be read', async () => {
  const place = given()
  mkdirSync(join(place.nixos, 'vfio'))
  const only = ['-P', join(place.nixos, 'vfio'), '-e', 'trace=getdents64']
  const failing = ['strace', '-f', '-o', '/dev/null', ...only, '-e', 'inject=getdents64:error=EIO']
  expect(await place.run([...CALL, '-q'], { through: failing })).toEqual({
    code: 4,
    stdout: '',
    stderr: text`
      vfio-patch: error on /etc/nixos/vfio (scandir: EIO).
        Do:  check the disk (dmesg) before trying again
      `
  })
})

needing('strace')('apply writes nothing if the disk fails before the change', async () => {
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
    // The last rename is that of the configuration.
    `inject=rename:error=EIO:when=${await countOf('rename')}`
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

needing('strace')('apply warns if the disk fails after the change', async () => {
  const place = given()
  // The last four calls are for the configuration's folder after the change, the record that marks the run as done,
  // the folder of that record, and the configuration's folder after the journal is deleted.
  const when = (await countOf('fsync')) - 3
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
      /etc/nixos/configuration.nix: 2 changes; vfio/: 12 new files
      ${CHECKED}
      vfio-patch: warning: the change was written, but there is a problem: error on /etc/nixos (fsync: EIO).
      Wrote /etc/nixos/vfio/ (new) and /etc/nixos/configuration.nix.
      Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo /etc/nixos/configuration.nix
      Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
              If the screen stays dark, choose the previous generation in the boot menu.
      `
  })
  expect(Object.keys(place.files())).toContain('vfio/vfio.nix')
  expect((await place.run(['undo', '-qy', 'configuration.nix'])).code).toBe(0)
  expect(place.files()).toEqual({ 'configuration.nix': CONFIGURATION })
})

needing('root', 'unshare')('apply writes nothing if the disk is full', async () => {
  const place = given()
  mkdirSync(join(place.top, 'full'))
  const needed = Math.ceil((installedModules()['vfio.nix']?.length ?? 0) / 1024)
  const mount = 'mount -t tmpfs -o size=16k,mode=755 none ../../full'
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

needing('root', 'unshare')('apply writes nothing if there is no space for the backup', async () => {
  const place = given()
  mkdirSync(join(place.top, 'state'))
  const mount = 'mount -t tmpfs -o size=4k,mode=700 none ../../state'
  const before = place.files()
  const options = { through: ['unshare', '-m'], script: `${mount} && exec "$@"` }
  expect(await place.run([...CALL, '-q'], options)).toEqual({
    code: 4,
    stdout: '',
    stderr: text`
      vfio-patch: could not save a backup in /state: no space left for /state/runs/RUN-1/manifest.json (needs 4 KB). Nothing was written.
        Do:  free space there, or repeat with --no-backup --yes
      `
  })
  expect(place.files()).toEqual(before)
})

test.concurrent('undo works if the parser cannot be loaded', async () => {
  const place = given()
  await place.run([...CALL, '-q'])
  const fault = join(place.top, 'fault.mjs')
  writeFileSync(fault, 'process.dlopen = () => { throw new Error("wrong machine") }')
  const env = { NODE_OPTIONS: `--import=${fault}` }
  expect(await place.run([...CALL, '-q'], { env })).toMatchObject({
    code: 70,
    stderr: expect.stringContaining('internal error: wrong machine')
  })
  const readOnly = [['--help'], ['undo', '--list', '--json'], ['undo', '-n', 'configuration.nix']]
  for (const words of readOnly) expect((await place.run(words, { env })).code).toBeLessThan(2)
  const undo = ['undo', '-qy', 'configuration.nix']
  expect(await place.run(undo, { env })).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(place.files()).toEqual({ 'configuration.nix': CONFIGURATION })
})

test.concurrent('undo prints a general next step if the parser cannot be loaded', async () => {
  const place = given()
  await place.run([...CALL, '-q'])
  const fault = join(place.top, 'fault.mjs')
  writeFileSync(fault, 'process.dlopen = () => { throw new Error("wrong machine") }')
  const env = { NODE_OPTIONS: `--import=${fault}` }
  const { code, stderr } = await place.run(['undo', '-y', 'configuration.nix'], { env })
  expect([code, stderr.split('\n').at(-2)]).toEqual([
    0,
    'Next:   build the system again, with nixos-rebuild boot'
  ])
})
