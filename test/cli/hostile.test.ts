// Root works in the folder of Alice, who called sudo. She planted symlinks, journals, locks and hard links there to
// make root change root's files. No command changes them.

import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import {
  fileOf,
  GONE,
  journalOf,
  manifestOf,
  snapshotOf,
  temporary
} from '../storage/support/hostile.ts'
import { needing } from './support/needing.ts'
import { makePlace, type Place } from './support/place.ts'

const ALICE = 1234
const OFF = '--parse-check=off'
const CONFIGURATION = '{ ... }:\n{\n  boot.kernelParams = [ "pci=nomsi" ];\n}\n'
const FILE = 'configuration.nix'
const MACHINE = ['--sysfs', join(import.meta.dirname, '../machine/machines/single-gpu')]
const OLD_RUN = '20261122-160312-7'

interface Attacked extends Place {
  decoys: string
  /** The state of root's files: the decoys, and the backup of an old run. */
  filesOfRoot(): string[]
}

/** Alice's folder with her configuration, and root's files around it. */
function given(): Attacked {
  const place = makePlace({ [FILE]: CONFIGURATION })
  const decoys = join(place.top, 'decoys')
  for (const each of ['', 'empty', 'nixos', 'vfio', `private/x/${OLD_RUN}`])
    mkdirSync(join(decoys, each), { recursive: true, mode: 0o755 })
  for (const [name, content] of [
    ['secret', 'secret\n'],
    ['nixos/a.nix', 'new\n'],
    ['nixos/configuration.nix', CONFIGURATION],
    [`nixos/${temporary('a.nix')}`, 'half\n'],
    ['nixos/.vfio-patch.journal', journalOf({ files: [fileOf('a.nix')] })],
    ['nixos/.vfio-patch.journal.new', 'draft\n'],
    ['vfio/default.nix', '{ }\n'],
    [`private/x/${OLD_RUN}/kept`, 'kept\n']
  ] as const)
    writeFileSync(join(decoys, name), content, { mode: 0o600 })
  // Not among the decoys, because its number of hard links may change.
  writeFileSync(join(place.top, 'linked'), 'secret\n', { mode: 0o600 })
  symlinkSync(`${GONE}.`, join(decoys, 'nixos/.vfio-patch.lock'))
  symlinkSync('secret', join(decoys, 'link'))

  const run = join(place.top, 'state/runs', OLD_RUN)
  mkdirSync(run, { recursive: true })
  for (const each of ['state', 'state/runs']) chmodSync(join(place.top, each), 0o700)
  writeFileSync(join(run, '1.before'), 'kept\n')
  writeFileSync(join(run, 'manifest.json'), manifestOf('/etc/nixos/a.nix'))

  for (const each of [place.nixos, join(place.nixos, FILE)]) chownSync(each, ALICE, ALICE)
  return { ...place, decoys, filesOfRoot: () => snapshotOf(decoys, run) }
}

/** What Alice plants in her folder before the commands run. */
const TRAPS: Record<string, (place: Attacked) => void> = {
  'a journal that names a run of root': place =>
    plant(place, '.vfio-patch.journal', journalOf({ run: `../../state/runs/${OLD_RUN}` })),
  'a journal that names another folder as its run': place =>
    plant(place, '.vfio-patch.journal', journalOf({ run: `../../decoys/private/x/${OLD_RUN}` })),
  'a journal with files and folders of root': place =>
    plant(
      place,
      '.vfio-patch.journal',
      journalOf({
        files: [
          fileOf('../../decoys/nixos/a.nix', { spare: `../../decoys/nixos/${temporary('a.nix')}` })
        ],
        ...{ folders: ['../../decoys/empty'], emptied: ['../../decoys/empty'] },
        locked: ['../../decoys/nixos']
      })
    ),
  'a journal that is a symlink': place => link(place, '../../decoys/secret', '.vfio-patch.journal'),
  'a journal that is a pipe': place => pipe(place, '.vfio-patch.journal'),
  'an unfinished journal that is a symlink': place =>
    link(place, '../../decoys/secret', '.vfio-patch.journal.new'),
  'a lock that leads to a folder of root': place =>
    link(place, `${GONE}../../decoys/nixos`, '.vfio-patch.lock'),
  'a lock that is a symlink to a file': place =>
    link(place, '../../decoys/secret', '.vfio-patch.lock'),
  'a lock that is a pipe': place => pipe(place, '.vfio-patch.lock'),
  'a symlink to a folder in place of the modules': place =>
    link(place, '../../decoys/vfio', 'vfio'),
  'a dangling symlink in place of the modules': place => link(place, '../../decoys/new', 'vfio'),
  'symlinks in place of a patch and a dump': place => {
    link(place, '../../decoys/secret', 'out.patch')
    link(place, '../../decoys/empty', 'dump')
  },
  'a hard link to a file of root': place =>
    linkSync(join(place.top, 'linked'), join(place.nixos, 'out.patch')),
  'a symlink to a configuration of root': place => {
    rmSync(join(place.nixos, FILE))
    link(place, '../../decoys/nixos/configuration.nix', FILE)
  },
  'a repository of root': place => {
    spawnSync('git', ['init', '-q', join(place.decoys, 'repository')])
    plant(place, '.git', 'gitdir: ../../decoys/repository/.git\n')
  },
  'another git and nix-instantiate in PATH': place => {
    plant(place, 'bin/git', `#!/bin/sh\necho $(id -u) >>${place.top}/ran\nexec /usr/bin/git "$@"\n`)
    plant(place, 'bin/nix-instantiate', `#!/bin/sh\nid -u >>${place.top}/ran\n`)
    for (const name of ['git', 'nix-instantiate']) chmodSync(join(place.nixos, 'bin', name), 0o755)
    spawnSync('git', ['init', '-q', place.nixos])
    spawnSync('chown', ['-R', `${ALICE}:${ALICE}`, join(place.nixos, '.git')])
  }
}

const COMMANDS: string[][] = [
  ['diff', FILE, '--iommu', 'amd', '-o', 'out.patch'],
  ['check', FILE, '--fix', '--yes'],
  ['option', 'set', FILE, 'a', '1', '--yes'],
  ['apply', FILE, '--iommu', 'amd', '--yes', '-o', 'out.patch'],
  ['undo', FILE, '--list'],
  ['undo', FILE, '--yes'],
  ['apply', FILE, '--iommu', 'amd', '--yes'],
  ['remove', FILE, '--yes'],
  ['scan', ...MACHINE, '--dump', 'dump']
]

needing('root', 'git').each(Object.keys(TRAPS))(
  'no command as root changes files of root through %s',
  { timeout: 120_000 },
  async trap => {
    const place = given()
    TRAPS[trap]?.(place)
    const before = place.filesOfRoot()
    const env = { SUDO_UID: String(ALICE), PATH: `${place.nixos}/bin:${place.env.PATH}` }
    for (const words of COMMANDS) {
      const { code, stdout, stderr } = await place.run(words, { env })
      // No command waits for a pipe, has an internal error, or prints a secret.
      expect([words, code, stderr]).toEqual([words, expect.any(Number), expect.anything()])
      expect([0, 1, 2, 3, 4, 5, 6, 8]).toContain(code)
      expect(stdout + stderr).not.toMatch(/internal error|secret\n/)
      expect([words, place.filesOfRoot()]).toEqual([words, before])
    }
    expect(existsSync(join(place.decoys, 'new'))).toBe(false)
    const { uid, mode } = lstatSync(join(place.top, 'linked'))
    expect([uid, mode & 0o777, readFileSync(join(place.top, 'linked'), 'utf8')]).toEqual([
      0,
      0o600,
      'secret\n'
    ])
    expect(lstatSync(join(place.nixos, FILE)).uid).toBe(ALICE)
    // Alice's programs may run only as Alice.
    const ran = join(place.top, 'ran')
    if (existsSync(ran)) expect(readFileSync(ran, 'utf8')).not.toMatch(/^0$/m)
  }
)

/** Exchanges Alice's folder with a symlink to a folder of root and back, as fast as possible. */
const EXCHANGE = `
  const { renameSync, symlinkSync, unlinkSync } = require('node:fs')
  const [, folder, decoy] = process.argv
  for (;;) {
    try { renameSync(folder, folder + '.away'); symlinkSync(decoy, folder) } catch {}
    try { unlinkSync(folder) } catch {}
    try { renameSync(folder + '.away', folder) } catch {}
  }`

needing('root', 'node as nobody').each([
  { folder: 'pc', decoy: 'nixos' },
  { folder: 'pc/vfio', decoy: 'vfio' }
])(
  'apply and undo as root change no files of root while $folder is exchanged with a symlink',
  { timeout: 240_000 },
  async ({ folder, decoy }) => {
    const place = given()
    mkdirSync(join(place.nixos, 'pc/vfio'), { recursive: true })
    writeFileSync(join(place.nixos, 'pc', FILE), CONFIGURATION)
    spawnSync('chown', ['-R', `${ALICE}:${ALICE}`, join(place.nixos, 'pc')])
    // The locks and journals of the decoys are no traps in this test.
    for (const name of readdirSync(join(place.decoys, 'nixos')))
      if (name.startsWith('.')) rmSync(join(place.decoys, 'nixos', name))
    const before = place.filesOfRoot()
    const paths = [join(place.nixos, folder), join(place.decoys, decoy)]
    const user = [`--reuid=${ALICE}`, `--regid=${ALICE}`, '--clear-groups']
    const attacker = spawn('setpriv', [...user, process.execPath, '-e', EXCHANGE, ...paths])
    try {
      const env = { SUDO_UID: String(ALICE) }
      for (let round = 0; round < 6; round++) {
        const path = join(place.nixos, 'pc', FILE)
        await place.run(['apply', path, '--iommu', 'amd', '-qy', OFF], { env })
        expect(place.filesOfRoot()).toEqual(before)
        await place.run(['undo', path, '-qy'], { env })
        expect(place.filesOfRoot()).toEqual(before)
      }
    } finally {
      attacker.kill('SIGKILL')
    }
  }
)

function plant({ nixos }: Place, name: string, content: string): void {
  mkdirSync(join(nixos, name, '..'), { recursive: true })
  writeFileSync(join(nixos, name), content)
  for (const each of [join(nixos, name, '..'), join(nixos, name)]) chownSync(each, ALICE, ALICE)
}

function link({ nixos }: Place, target: string, name: string): void {
  symlinkSync(target, join(nixos, name))
  lchownSync(join(nixos, name), ALICE, ALICE)
}

function pipe({ nixos }: Place, name: string): void {
  spawnSync('mkfifo', [join(nixos, name)])
  chownSync(join(nixos, name), ALICE, ALICE)
}
