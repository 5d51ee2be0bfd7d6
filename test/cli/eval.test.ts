// --eval: runs the user's command on a copy with the change, before the question.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { installedModules } from './support/modules.ts'
import { needing } from './support/needing.ts'
import { onTerminal } from './support/onTerminal.ts'
import { makePlace, type Place } from './support/place.ts'
import { makeRepository } from './support/repository.ts'
import { text } from './support/text.ts'

const MODULE = '{ ... }:\n{\n  a = 1;\n}\n'
const FILE = '/etc/nixos/pc.nix'
const OFF = '--parse-check=off'
const SET = ['option', 'set', 'pc.nix', 'a', '2', OFF]
const SUDO = process.getuid?.() === 0 ? 'sudo ' : ''

const HEAD = `${FILE}: 1 change\n`
const CHECKED = 'Checked: parses (built-in parser only; switched off).\n'
const WROTE = text`
  Wrote ${FILE}.
  Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo ${FILE}
  `

function given(files: Record<string, string> = {}): Place {
  return withTemporary(makePlace({ 'pc.nix': MODULE, ...files }))
}

/** The same place, with temporary files in a folder of its own. */
function withTemporary<T extends Place>(place: T): T {
  mkdirSync(join(place.top, 'tmp'), { mode: 0o777 })
  place.env.TMPDIR = join(place.top, 'tmp')
  return place
}

/** The copies that were not deleted. */
function left(place: Place): string[] {
  return readdirSync(join(place.top, 'tmp'))
}

/** Expects that a call fails with exactly this output, changes no file and deletes its copy. */
async function expectFailure(
  place: Place,
  words: readonly string[],
  expected: { code: number; stderr: unknown }
): Promise<void> {
  const before = place.files()
  expect(await place.run(words)).toEqual({ stdout: '', ...expected })
  expect({ files: place.files(), left: left(place) }).toEqual({ files: before, left: [] })
}

/** The names in the copy that a call makes, as the command of `--eval` lists them. */
async function copied(place: Place, words: readonly string[]): Promise<string[]> {
  const list = `find . -mindepth 1 | sort >${place.top}/names`
  const { code } = await place.run([...words, '-n', '--eval', list])
  expect({ code, left: left(place) }).toEqual({ code: 1, left: [] })
  return readFileSync(join(place.top, 'names'), 'utf8').split('\n').filter(Boolean)
}

test.concurrent('--eval runs the command on a copy with the change before the change is written', async () => {
  const place = given()
  const command = `cp "$VFIO_PATCH_FILE" ../../seen && test "$VFIO_PATCH_FILE" = "$VFIO_PATCH_TREE/pc.nix" && test "$(pwd)" = "$VFIO_PATCH_TREE"`
  const { code, stderr } = await place.run([...SET, '-y', '--eval', command])
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: `${HEAD}${CHECKED}Evaluating a copy: ${command}\nChecked: evaluates.\n${WROTE}`
  })
  expect(readFileSync(join(place.top, 'seen'), 'utf8')).toBe(MODULE.replace('1', '2'))
  expect(left(place)).toEqual([])
})

test.concurrent('--eval does not let changes to the copy reach the original files', async () => {
  const place = given()
  const before = place.snapshot().filter(it => !/ (tmp|\.)$/.test(it))
  await place.run([...SET, '-n', '--eval', 'rm -rf ./* && echo damaged >pc.nix'])
  expect(place.snapshot().filter(it => !/ (tmp|\.)$/.test(it))).toEqual(before)
})

test.concurrent('--eval prints the last five lines of a command that fails, and writes nothing', async () => {
  const place = given()
  const command = 'for i in 1 2 3 4 5 6; do echo line $i; done; echo >&2; grep -q 1 pc.nix'
  await expectFailure(place, [...SET, '-qy', '--eval', command], {
    code: 6,
    stderr: text`
      vfio-patch: the system does not evaluate with this change. Nothing was written.
          line 2
          line 3
          line 4
          line 5
          line 6
        Do:  fix the error; -v shows the whole output of the command
      `
  })
})

test.concurrent('--eval says so if the command also fails without the change', async () => {
  const place = given()
  await expectFailure(place, [...SET, '-qn', '--eval', 'echo never; exit 3'], {
    code: 6,
    stderr: text`
      vfio-patch: the system does not evaluate with this change. Nothing was written.
          never
        Why: it does not evaluate without the change either.
        Do:  fix that error first, or omit --eval; -v shows the whole output of the command
      `
  })
  await expectFailure(place, [...SET, '-qn', '--eval', 'no-such-program-at-all'], {
    code: 6,
    stderr: expect.stringContaining('no-such-program-at-all: ')
  })
})

test.concurrent('--eval with -v shows the output of the command, and --json has its end', async () => {
  const place = given()
  const { stderr } = await place.run([...SET, '-nv', '--eval', 'echo one; echo two >&2'])
  expect(stderr).toContain(
    'Evaluating a copy: echo one; echo two >&2\none\ntwo\nChecked: evaluates.\n'
  )
  const { stdout } = await place.run([...SET, '-n', '--json', '--eval', 'echo no; exit 1'])
  const { checks, error, outcome, exit } = JSON.parse(stdout)
  expect({ check: checks.at(-1), code: error.code, outcome, exit }).toEqual({
    check: { name: 'eval', status: 'failed', detail: 'no' },
    code: 'EVAL_FAILED',
    outcome: 'refused',
    exit: 6
  })
})

needing('nix-instantiate')('--eval can evaluate a whole small system with Nix', async () => {
  const place = given({
    'default.nix': 'f: (import f { }).a + (import ./other.nix)',
    'other.nix': '1'
  })
  const command = 'nix-instantiate --store dummy:// --eval -E "import ./. $VFIO_PATCH_FILE" >&2'
  const good = await place.run([...SET, '-nv', '--eval', command])
  expect(good).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('\n3\nChecked: evaluates.\n')
  })
  const call = ['option', 'set', 'pc.nix', 'a', '"text"', OFF, '-y', '-q']
  const bad = await place.run([...call, '--eval', command])
  expect(bad).toMatchObject({ code: 6, stderr: expect.stringContaining('cannot') })
  expect(place.read('pc.nix')).toBe(MODULE)
})

test.concurrent('--eval copies the folder of the file if there is no git repository', async () => {
  const place = given({ 'hosts/a.nix': '1', '../other/b.nix': '2' })
  place.write('.git-like', '')
  symlinkSync('hosts/a.nix', join(place.nixos, 'inside'))
  symlinkSync('../other/b.nix', join(place.nixos, 'outside'))
  symlinkSync(join(place.nixos, 'hosts'), join(place.nixos, 'absolute'))
  symlinkSync('nowhere', join(place.nixos, 'dangling'))
  expect(await copied(place, SET)).toEqual([
    './.git-like',
    './absolute',
    './dangling',
    './hosts',
    './hosts/a.nix',
    './inside',
    './outside',
    './pc.nix'
  ])
  const command = `readlink inside outside absolute dangling; cat inside outside absolute/a.nix; realpath absolute | grep -q "^$VFIO_PATCH_TREE/hosts" && exit 1`
  const { stderr } = await place.run([...SET, '-nv', '--eval', command])
  expect(stderr).toContain('vfio-patch: the system does not evaluate')
  expect(stderr).toMatch(
    /\nhosts\/a\.nix\n\/etc\/other\/b\.nix\n\/tmp\/vfio-patch-eval-\w+\/hosts\nnowhere\n1(\n?)2\n?1/
  )
})

needing('git')('--eval copies a git repository without the folders that git ignores', async () => {
  const place = withTemporary(
    makeRepository({
      'hosts/pc.nix': MODULE,
      'lib/x.nix': '1',
      '.gitignore': 'secret.nix\nresult/\n'
    })
  )
  place.write('lib/new.nix', '2')
  place.write('hosts/secret.nix', '3')
  place.write('result/big', '4')
  const words = ['option', 'set', 'hosts/pc.nix', 'a', '2', OFF]
  expect(await copied(place, words)).toEqual([
    './.gitignore',
    './hosts',
    './hosts/pc.nix',
    './hosts/secret.nix',
    './lib',
    './lib/new.nix',
    './lib/x.nix'
  ])
})

needing('git')('--eval copies only files of a flake that git knows or adds', async () => {
  const place = withTemporary(
    makeRepository({ 'flake.nix': '{ }', 'hosts/pc.nix': '{ ... }: { }\n', 'gone.nix': '' })
  )
  place.write('new.nix', '2')
  unlinkSync(join(place.nixos, 'gone.nix'))
  const words = ['apply', 'hosts/pc.nix', '--iommu', 'amd', OFF]
  const modules = ['_lib', ...Object.keys(installedModules())]
    .sort()
    .map(it => `./hosts/vfio/${it}`)
  const known = ['./flake.nix', './hosts', './hosts/pc.nix']
  expect(await copied(place, words)).toEqual([...known, './hosts/vfio', ...modules])
  // Ignored files are never registered, so Nix will not see them.
  place.write('.gitignore', 'vfio/\n')
  expect(await copied(place, words)).toEqual(known)
  expect(await copied(place, [...words, '--no-git-add'])).toEqual([
    ...known,
    './hosts/vfio',
    ...modules
  ])
})

needing('root')('--eval keeps file modes in the copy, and deletes it', async () => {
  const place = given({ password: 'x' })
  chmodSync(join(place.nixos, 'password'), 0o600)
  const command = 'stat -c %a . password >../../modes'
  expect((await place.run([...SET, '-n', '--eval', command])).code).toBe(1)
  expect(readFileSync(join(place.top, 'modes'), 'utf8')).toBe('700\n600\n')
  expect(left(place)).toEqual([])
})

needing('git')('--eval refuses a repository with more than 50000 files', async () => {
  const place = withTemporary(makeRepository({ 'pc.nix': MODULE, 'flake.nix': '{ }' }))
  const empty = 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
  await place.run([], {
    script: `awk 'BEGIN { for (i = 0; i < 50001; i++) printf "100644 ${empty}\\tcache/%d\\n", i }' | git update-index --index-info`
  })
  await expectFailure(place, [...SET, '-qy', '--eval', 'true'], {
    code: 4,
    stderr: text`
      vfio-patch: /etc/nixos contains more than 50000 files, too many to copy for --eval. Nothing was written.
        Do:  keep the configuration in a folder or git repository of its own, or omit --eval
      `
  })
})

needing('root', 'unshare')('--eval refuses if there is no space for the copy', async () => {
  const place = given({ 'big.nix': 'x'.repeat(100_000) })
  const outcome = await place.run([...SET, '-qy', '--eval', 'true'], {
    through: ['unshare', '-m'],
    script: 'mount -t tmpfs -o size=16k none ../../tmp && "$@"; code=$?; ls ../../tmp; exit $code'
  })
  expect(outcome).toEqual({
    code: 4,
    stdout: '',
    stderr: expect.stringMatching(
      /^vfio-patch: could not copy \/etc\/nixos\/pc\.nix and the files around it to \/tmp\/vfio-patch-eval-\w+\/\S* \(\w+: ENOSPC\)\. Nothing was written\.\n {2}Do: {2}set TMPDIR to a folder with more space, or omit --eval\n$/
    )
  })
})

const terminal = needing('python3')
const EVAL = [
  ...SET,
  '--color=never',
  '--eval',
  'printf be%s\\\\n gun; sleep 60; echo done >&2; touch ../../after'
]
const SHOWN =
  HEAD +
  text`
    --- a/pc.nix
    +++ b/pc.nix
    @@ -1,4 +1,4 @@
     { ... }:
     {
    -  a = 1;
    +  a = 2;
     }
    ` +
  CHECKED

terminal.each([
  ['Ctrl-C', { send: '\x03' }, '^C', 'Cancelled. Nothing was written.\n', 130],
  ['SIGTERM', { signal: 'SIGTERM' }, '', 'Cancelled. Nothing was written.\n', 143],
  ['SIGHUP', { signal: 'SIGHUP' }, '', '', -1]
] as const)('%s ends --eval and deletes the copy', async (_, act, echo, last, code) => {
  const place = given()
  const steps = [{ until: 'begun', ...act }]
  const outcome = await onTerminal(place, [...EVAL, '-v'], { steps })
  expect(outcome.code).toBe(code)
  expect(outcome.terminal.endsWith(`begun\n${echo}${last}`)).toBe(true)
  expect({ left: left(place), after: existsSync(join(place.top, 'after')) }).toEqual({
    left: [],
    after: false
  })
  expect(place.read('pc.nix')).toBe(MODULE)
})

terminal('--eval ends processes that the command leaves running', async () => {
  const place = given()
  const command = '(sleep 3; touch ../../after) & echo started'
  const { code } = await place.run([...SET, '-qn', '--eval', command])
  expect(code).toBe(1)
  await new Promise(resolve => setTimeout(resolve, 3_500))
  expect({ left: left(place), after: existsSync(join(place.top, 'after')) }).toEqual({
    left: [],
    after: false
  })
})

terminal('--eval runs the command before the question', async () => {
  const place = given()
  const steps = [{ until: '[y/N] ', send: 'n\r' }]
  const words = [...SET, '--color=never', '--eval', 'echo unseen']
  expect(await onTerminal(place, words, { steps })).toMatchObject({
    terminal: `${SHOWN}Evaluating a copy: echo unseen\nChecked: evaluates.\nWrite these changes? [y/N] n\nNothing was written.\n`,
    code: 1
  })
})

test.concurrent('--eval refuses to write a file that changed during the evaluation', async () => {
  const place = given()
  writeFileSync(join(place.top, 'other.nix'), '{ }\n')
  const command = `cp ${place.top}/other.nix ${place.nixos}/pc.nix`
  expect(await place.run([...SET, '-qy', '--eval', command])).toEqual({
    code: 5,
    stdout: '',
    stderr: text`
      vfio-patch: ${FILE} changed while you were deciding. Nothing was written.
        Do:  run vfio-patch option set again to see the new diff
      `
  })
  expect(place.read('pc.nix')).toBe('{ }\n')
})
