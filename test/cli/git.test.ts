// In a git work tree, new files are registered, because Nix sees only those files of a flake that git tracks.

import { chownSync, existsSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { patchOfModules } from './support/modules.ts'
import { AS_NOBODY, needing } from './support/needing.ts'
import { makePlace, type Outcome } from './support/place.ts'
import { asRepository, makeRepository, OWNER, type Repository } from './support/repository.ts'
import { text } from './support/text.ts'

const test = needing('git')
const asRoot = needing('git', 'root')

const CONFIGURATION = '{ ... }:\n{\n  system.stateVersion = "26.05";\n}\n'
const FILE = '/etc/nixos/configuration.nix'
const OFF = '--parse-check=off'
const APPLY = ['apply', '--yes', 'configuration.nix', '--iommu', 'amd', OFF]
const UNDO = ['undo', '--yes', 'configuration.nix']
const SUDO = process.getuid?.() === 0 ? 'sudo ' : ''
const NAMES = [
  'default',
  'vfio',
  'binding',
  'checks',
  'guests',
  'guestService',
  'hooks',
  'libvirt',
  'virtualisation',
  '_lib/defineGuests',
  '_lib/domain',
  '_lib/domainTables'
]
  .map(name => `vfio/${name}.nix`)
  .join(' ')
const LISTED = NAMES.replaceAll(' ', ', ')

const HEAD = `${FILE}: 2 changes; vfio/: 12 new files\n`
const REGISTERS = 'git: 12 new files will be registered (git add -N), not committed.\n'
const CHECKED = 'Checked: parses (built-in parser only; switched off).\n'
const WROTE = text`
  Wrote /etc/nixos/vfio/ (new) and ${FILE}.
  Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo ${FILE}
  Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
          If the screen stays dark, choose the previous generation in the boot menu.
  `

const REGISTERED = [
  ' M configuration.nix',
  ' A vfio/_lib/defineGuests.nix',
  ' A vfio/_lib/domain.nix',
  ' A vfio/_lib/domainTables.nix',
  ' A vfio/binding.nix',
  ' A vfio/checks.nix',
  ' A vfio/default.nix',
  ' A vfio/guestService.nix',
  ' A vfio/guests.nix',
  ' A vfio/hooks.nix',
  ' A vfio/libvirt.nix',
  ' A vfio/vfio.nix',
  ' A vfio/virtualisation.nix'
]

/** The exit code and the messages, without the patch. */
async function messagesOf(
  place: Repository,
  words: string[],
  env = {}
): Promise<Omit<Outcome, 'stdout'>> {
  const { code, stderr } = await place.run(words, { env })
  return { code, stderr }
}

test('apply registers new files in git without staging or committing them', async () => {
  const place = makeRepository({ 'configuration.nix': CONFIGURATION })
  expect(await messagesOf(place, APPLY)).toEqual({
    code: 0,
    stderr: HEAD + REGISTERS + CHECKED + WROTE
  })
  expect(place.status()).toEqual(REGISTERED)
  expect(place.git('diff', '--cached', '--name-only')).toBe('')
  expect(place.git('log', '--format=%s')).toBe('as it was\n')
})

test('diff announces the registration and does not change the git index', async () => {
  const place = makeRepository({ 'configuration.nix': CONFIGURATION })
  const before = place.snapshot()
  expect(await messagesOf(place, ['diff', ...APPLY.slice(2)])).toEqual({
    code: 1,
    stderr: HEAD + REGISTERS + CHECKED
  })
  expect(place.snapshot()).toEqual(before)
})

test('undo removes registered files from the git index, and undo --redo registers them again', async () => {
  const place = makeRepository({ 'configuration.nix': CONFIGURATION })
  await place.run(APPLY)
  const { code, stderr } = await place.run(UNDO)
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: text`
      Run RUN-1 (apply) will be undone:
        ${FILE} as it was
        /etc/nixos/vfio/: 12 files are deleted
      git: 12 registered files will be removed from the index (git rm --cached).
      Undid run RUN-1.
      Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
      `
  })
  expect(place.status()).toEqual([])
  expect((await place.run([...UNDO, '--redo'])).code).toBe(0)
  expect(place.status()).toEqual(REGISTERED)
})

test('remove takes registered files out of the git index, and does not register an edited module that it keeps', async () => {
  const place = makeRepository({ 'configuration.nix': CONFIGURATION })
  await place.run(APPLY)
  place.write('vfio/vfio.nix', `${place.read('vfio/vfio.nix')}# mine\n`)
  const { code, stderr } = await place.run(['remove', '-y', 'configuration.nix', OFF])
  expect(code).toBe(0)
  expect(stderr).toContain(
    'git: 12 registered files will be removed from the index (git rm --cached).\n'
  )
  expect(place.status()).toEqual(['?? vfio/vfio.nix.edited'])
})

test('undo leaves files in the git index that were staged or committed since', async () => {
  const place = makeRepository({ 'configuration.nix': CONFIGURATION })
  await place.run(APPLY)
  place.git('add', 'vfio/default.nix')
  place.git('commit', '-qm', 'first', 'vfio/default.nix')
  place.git('add', 'vfio/vfio.nix')
  const { stderr } = await place.run(UNDO)
  expect(stderr).toContain(
    'git: 10 registered files will be removed from the index (git rm --cached).\n'
  )
  expect(place.status()).toEqual([' D vfio/default.nix', 'AD vfio/vfio.nix'])
})

test('apply --no-git-add registers nothing in git', async () => {
  const place = makeRepository({ 'configuration.nix': CONFIGURATION })
  expect(await messagesOf(place, [...APPLY, '--no-git-add'])).toEqual({
    code: 0,
    stderr: HEAD + CHECKED + WROTE
  })
  expect(place.status().filter(it => it.startsWith('??'))).toHaveLength(12)
})

asRoot('apply as root registers files as the owner, who keeps the index', async () => {
  const place = makeRepository({ 'configuration.nix': CONFIGURATION }, OWNER)
  const env = { SUDO_UID: String(OWNER) }
  expect(await messagesOf(place, APPLY, env)).toEqual({
    code: 0,
    stderr: `${HEAD}${REGISTERS}${CHECKED}Note: /etc/nixos belongs to user ${OWNER}, who can change it while this runs.\n${WROTE}`
  })
  const owners = ['.git/index', 'vfio/vfio.nix', 'vfio'].map(it => {
    const { uid, gid } = lstatSync(join(place.nixos, it))
    return [uid, gid]
  })
  expect(owners).toEqual([
    [OWNER, OWNER],
    [OWNER, OWNER],
    [OWNER, OWNER]
  ])
  expect(place.status()).toEqual(REGISTERED)
  expect((await place.run([...UNDO, '-q'], { env })).stderr).toBe('')
  expect(place.status()).toEqual([])
  expect(lstatSync(join(place.nixos, '.git/index')).uid).toBe(OWNER)
})

asRoot(
  'apply as root does not run fsmonitor of the repository, and ignores GIT_DIR and GIT_INDEX_FILE',
  async () => {
    const place = makeRepository({ 'configuration.nix': CONFIGURATION }, OWNER)
    const mark = join(place.top, 'mark')
    mkdirSync(mark, { mode: 0o777 })
    place.git('config', 'core.fsmonitor', `id -u >${mark}/fsmonitor; false`)
    writeFileSync(
      join(place.nixos, '.git/hooks/post-index-change'),
      `#!/bin/sh\nid -u >${mark}/hook\n`,
      { mode: 0o755 }
    )
    const env = { SUDO_UID: String(OWNER), GIT_DIR: '/nowhere', GIT_INDEX_FILE: '/nowhere/index' }
    expect((await place.run([...APPLY, '-q'], { env })).code).toBe(0)
    expect(existsSync(join(mark, 'fsmonitor'))).toBe(false)
    expect(existsSync('/nowhere')).toBe(false)
  }
)

test('apply writes files that git ignores, with a warning', async () => {
  const place = makeRepository({ 'configuration.nix': CONFIGURATION, '.gitignore': 'vfio/\n' })
  const report = text`
    vfio-patch: warning: the change was written, but there is a problem: git could not register ${LISTED}: a .gitignore rule excludes them.
      Why: a flake only sees files known to git.
      Do:  find the rule and remove it: git -C /etc/nixos check-ignore -v ${NAMES}
           then: git -C /etc/nixos add -N ${NAMES}
           or, if this is not a flake, add next time: --no-git-add
    `
  const ignores = 'git: 12 new files will not be registered, because git ignores them.\n'
  expect(await messagesOf(place, APPLY)).toEqual({
    code: 8,
    stderr: HEAD + ignores + CHECKED + report + WROTE
  })
  expect(place.status()).toEqual([' M configuration.nix'])
  expect(await place.run([...UNDO, '-q'])).toEqual({ code: 0, stdout: '', stderr: '' })
})

test('apply warns if git fails after the files are written', async () => {
  const place = makeRepository({ 'configuration.nix': CONFIGURATION })
  place.write('.git/index.lock', '')
  const { code, stderr } = await place.run([...APPLY, '-q'])
  expect({ code, stderr }).toEqual({
    code: 8,
    stderr: text`
      vfio-patch: warning: the change was written, but there is a problem: git could not register ${LISTED}: Unable to create '/etc/nixos/.git/index.lock': File exists.
        Why: a flake only sees files known to git.
        Do:  git -C /etc/nixos add -N ${NAMES}
      `
  })
  expect(place.read('configuration.nix')).toContain('./vfio')
})

test('apply warns if git is not installed', async () => {
  const place = makeRepository({ 'configuration.nix': CONFIGURATION })
  const folder = join(place.top, 'bin')
  mkdirSync(folder)
  symlinkSync(process.execPath, join(folder, 'node'))
  expect(await messagesOf(place, APPLY, { PATH: folder })).toEqual({
    code: 8,
    stderr:
      HEAD +
      'git: 12 new files cannot be registered: git was not found.\n' +
      CHECKED +
      text`
        vfio-patch: warning: the change was written, but there is a problem: git could not register ${LISTED}: git was not found.
          Why: a flake only sees files known to git.
          Do:  git -C /etc/nixos add -N ${NAMES}
        ` +
      WROTE
  })
})

test('apply registers new files in a linked work tree and in a submodule', async () => {
  const main = makeRepository({ 'configuration.nix': CONFIGURATION })
  const tree = join(main.top, 'tree')
  main.git('worktree', 'add', '-q', tree)
  const inTree = asRepository(main, tree)
  expect((await main.run([...APPLY, '-q'], { cwd: tree })).code).toBe(0)
  expect(inTree.status()).toEqual(REGISTERED)
  expect(main.status()).toEqual([])

  const outer = makePlace()
  const all = asRepository(outer, outer.nixos)
  all.git('init', '-q')
  all.git('-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', main.nixos, 'pc')
  const inner = asRepository(outer, join(outer.nixos, 'pc'))
  expect((await outer.run([...APPLY, '-q'], { cwd: join(outer.nixos, 'pc') })).code).toBe(0)
  expect(inner.status()).toEqual(REGISTERED)
})

test('apply ignores a .git folder that is not a repository, and takes names that look like pathspecs literally', async () => {
  const odd = makePlace({ 'configuration.nix': CONFIGURATION })
  mkdirSync(join(odd.nixos, '.git'))
  expect((await odd.run([...APPLY, '-q'])).code).toBe(0)

  const place = makeRepository({ ':(top)[a]/configuration.nix': CONFIGURATION, 'a/x.nix': '{ }\n' })
  const words = ['apply', '-qy', '--iommu', 'amd', OFF, '--', ':(top)[a]/configuration.nix']
  expect(await place.run(words)).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(place.status().map(it => it.slice(0, 2))).toEqual([' M', ...Array(12).fill(' A')])
})

test('apply warns if the git index is damaged', async () => {
  const place = makeRepository({ 'configuration.nix': CONFIGURATION })
  place.write('.git/index', 'damaged')
  const { code, stderr } = await place.run(APPLY)
  expect(code).toBe(8)
  expect(stderr).toMatch(/^git: 12 new files cannot be registered: .*index.*\.$/m)
  expect(stderr).toMatch(
    /^vfio-patch: warning: the change was written, but there is a problem: git could not register .*index.*\.$/m
  )
})

asRoot('diff says if git does not trust the owner of the repository', async () => {
  const place = makeRepository({ 'configuration.nix': CONFIGURATION }, OWNER)
  chownSync(place.nixos, 0, 0)
  const words = ['diff', ...APPLY.slice(2), '-U0']
  expect((await place.run(words)).stderr).toBe(
    `${HEAD}git: 12 new files cannot be registered: detected dubious ownership in repository at '/etc/nixos'.\n${CHECKED}`
  )
  chownSync(place.nixos, OWNER, OWNER)
  expect((await place.run(words)).stderr).toBe(HEAD + REGISTERS + CHECKED)
})

needing(
  'git',
  'root',
  'nobody'
)('diff says that sudo is needed to register files in the repository of another user', async () => {
  const place = makeRepository({ 'configuration.nix': CONFIGURATION })
  const words = ['diff', ...APPLY.slice(2), '-U0']
  const { code, stderr } = await place.run(words, { through: AS_NOBODY })
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: `${HEAD}git: sudo is needed to register 12 new files, because the repository belongs to another user.\n${CHECKED}`
  })
})

test('apply works in a bare repository', async () => {
  const place = makePlace({ 'configuration.nix': CONFIGURATION })
  asRepository(place, place.nixos).git('init', '-q', '--bare', '.git')
  const { code, stdout } = await place.run(APPLY)
  expect({ code, ofModules: stdout.endsWith(patchOfModules()) }).toEqual({
    code: 0,
    ofModules: true
  })
})

needing('git', 'strace')('the next command registers files that a killed run did not', async () => {
  const place = makeRepository({ 'configuration.nix': CONFIGURATION })
  // The run first unlinks the journal, when only the registration is left to do.
  const injection = 'inject=unlink:signal=SIGKILL:when=1'
  const through = ['strace', '-f', '-o', '/dev/null', '-e', 'trace=unlink', '-e', injection]
  await place.run(APPLY, { through })
  expect(place.status()).toContain('?? vfio/default.nix')
  const { stderr } = await place.run(APPLY)
  expect(stderr).toContain('; it was finished.\n')
  expect(place.status()).toEqual(REGISTERED)
})
