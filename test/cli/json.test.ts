// --json: a command prints one document on standard output and nothing else, whether it succeeds or fails.

import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FLAGS } from './support/machine.ts'
import { installedModules, VERSION } from './support/modules.ts'
import { needing } from './support/needing.ts'
import { onTerminal } from './support/onTerminal.ts'
import { makeExample, makePlace, type Place } from './support/place.ts'
import { makeRepository } from './support/repository.ts'
import { patch, text } from './support/text.ts'

const FILE = '/etc/nixos/pc.nix'
const MODULE = '{ ... }:\n{\n  a = 1;\n  b = [ 1 ];\n}\n'
const CHANGED = MODULE.replace('a = 1', 'a = 2')
const OFF = '--parse-check=off'

const HEAD = { schema: 'vfio-patch/plan', schemaVersion: 1, tool: VERSION }
const PLAN = { ...HEAD, specialisation: null, replaced: [] }
const PROVED = { name: 'proof', status: 'ok', detail: '' }
const CHECKS = [PROVED, { name: 'nix-parse', status: 'skipped', detail: 'switched off' }]

const PATCH = patch`
  --- a/pc.nix
  +++ b/pc.nix
  @@ -1,5 +1,5 @@
   { ... }:
   {
  -  a = 1;
  +  a = 2;
     b = [ 1 ];
   }
  `

function given(): Place {
  return makePlace({ 'pc.nix': MODULE })
}

function sha256(content: string): string {
  return createHash('sha256').update(content).digest('hex')
}

/** The document that a call prints on standard output. It must print nothing else. */
async function documentOf(place: Place, words: string[], options = {}) {
  const { code, stdout, stderr } = await place.run([...words, '--json'], options)
  expect(stderr).toBe('')
  expect(stdout.endsWith('}\n')).toBe(true)
  const document = JSON.parse(stdout)
  expect(document.exit).toBe(code)
  return document
}

/** The file in the document of a call that sets `a`. */
function fileOf(place: Place) {
  const { uid, gid } = statSync(place.nixos)
  return {
    path: FILE,
    realpath: FILE,
    action: 'modify',
    before: { sha256: sha256(MODULE), size: MODULE.length, mode: '0644', uid, gid },
    after: { sha256: sha256(CHANGED), size: CHANGED.length },
    edits: [
      {
        line: 3,
        offset: MODULE.indexOf('1;'),
        length: 1,
        content: '2',
        reasons: [{ option: 'a', rule: 'option set' }]
      }
    ],
    patch: PATCH
  }
}

test.concurrent('option set --json reports an edit that is planned, written or already done', async () => {
  const place = given()
  const words = ['option', 'set', 'pc.nix', 'a', '2', OFF]
  const planned = {
    ...PLAN,
    command: 'option set',
    outcome: 'planned',
    exit: 1,
    root: '/',
    files: [fileOf(place)],
    actions: [],
    notes: [],
    checks: CHECKS,
    backup: null,
    earlierRuns: [],
    warnings: [],
    error: null
  }
  expect(await documentOf(place, [...words, '-n'])).toEqual(planned)
  expect(await documentOf(place, [...words, '--yes'])).toEqual({
    ...planned,
    outcome: 'written',
    exit: 0,
    backup: { id: 'RUN-1', dir: '/state/runs/RUN-1' }
  })
  expect(place.read('pc.nix')).toBe(CHANGED)
  expect(await documentOf(place, words)).toEqual({
    ...planned,
    outcome: 'unchanged',
    exit: 0,
    files: [],
    checks: []
  })
})

test.concurrent('apply and diff --json list each file in the order in which it is written', async () => {
  const place = makeExample()
  const words = ['configuration.nix', ...FLAGS, OFF]
  const { stdout } = await place.run(['diff', ...words])
  const document = await documentOf(place, ['diff', ...words])
  expect(document).toMatchObject({ ...HEAD, command: 'diff', outcome: 'planned', exit: 1 })
  const { files } = document
  const own = files.at(-1)
  expect(files.map((it: { path: string; action: string }) => [it.path, it.action])).toEqual([
    ...Object.keys(installedModules()).map(it => [`/etc/nixos/vfio/${it}`, 'create']),
    ['/etc/nixos/configuration.nix', 'modify']
  ])
  expect([own, ...files.slice(0, -1)].map(it => it.patch).join('')).toBe(stdout)
  expect(files[0]).toMatchObject({ before: null, edits: [] })
  expect(own.edits.flatMap((it: { reasons: unknown[] }) => it.reasons)).toEqual([
    { option: 'imports', rule: 'modules' },
    { option: 'virtualisation.vfio.enable', rule: 'always' },
    { option: 'virtualisation.vfio.IOMMUType', rule: '--iommu' },
    { option: 'virtualisation.vfio.devices', rule: '--device' },
    { option: 'virtualisation.vfio.blacklistNvidia', rule: '--blacklist-nvidia' },
    { option: 'virtualisation.vfio.ignoreMSRs', rule: '--ignore-msrs' },
    { option: 'virtualisation.vfio.users', rule: '--user' },
    ...['looking-glass', 'scream'].flatMap(name =>
      ['user', 'group', 'mode'].map(it => ({
        option: `virtualisation.sharedMemoryFiles.${name}.${it}`,
        rule: '--shared-memory'
      }))
    )
  ])
  // The reported edits lead to the reported content.
  let after = place.read('configuration.nix')
  for (const { offset, length, content } of own.edits.toReversed()) {
    after = after.slice(0, offset) + content + after.slice(offset + length)
  }
  expect(own.after).toEqual({ sha256: sha256(after), size: Buffer.byteLength(after) })

  expect(await documentOf(place, ['apply', '-y', ...words])).toMatchObject({
    command: 'apply',
    outcome: 'written',
    backup: { id: 'RUN-1' }
  })
  expect(place.read('configuration.nix')).toBe(after)
})

test.concurrent('undo --json reports the change, and undo --list --json the runs', async () => {
  const place = given()
  await place.run(['option', 'set', '-qy', 'pc.nix', 'a', '2', OFF])
  expect(await documentOf(place, ['undo', '--list'])).toEqual({
    ...HEAD,
    schema: 'vfio-patch/runs',
    command: 'undo',
    outcome: 'found',
    exit: 0,
    runs: [
      {
        id: 'RUN-1',
        command: 'option set',
        tool: VERSION,
        started: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        done: true,
        state: 'current',
        undoes: null,
        redoes: null,
        target: FILE,
        files: [FILE]
      }
    ],
    damaged: [],
    earlierRuns: [],
    warnings: [],
    error: null
  })
  const { uid, gid } = statSync(place.nixos)
  const planned = {
    ...PLAN,
    command: 'undo',
    outcome: 'planned',
    exit: 1,
    root: '/',
    files: [
      {
        path: FILE,
        realpath: FILE,
        action: 'modify',
        before: { sha256: sha256(CHANGED), size: CHANGED.length, mode: '0644', uid, gid },
        after: { sha256: sha256(MODULE), size: MODULE.length },
        edits: [],
        patch: expect.stringMatching(/^--- a\/.*- {2}a = 2;\n\+ {2}a = 1;\n/s)
      }
    ],
    actions: [],
    notes: [],
    checks: [],
    backup: null,
    earlierRuns: [],
    warnings: [],
    error: null
  }
  expect(await documentOf(place, ['undo', 'pc.nix', '-n'])).toEqual(planned)
  expect(await documentOf(place, ['undo', 'pc.nix', '-y'])).toEqual({
    ...planned,
    outcome: 'written',
    exit: 0,
    backup: { id: 'RUN-2', dir: '/state/runs/RUN-2' }
  })
  expect(place.read('pc.nix')).toBe(MODULE)
})

test.concurrent('undo --list --json has an empty list if there are no runs', async () => {
  expect(await documentOf(makePlace(), ['undo', '--list'])).toMatchObject({
    outcome: 'not-found',
    exit: 0,
    runs: []
  })
})

test.concurrent('option get --json lists the definitions', async () => {
  const place = makePlace({
    'pc.nix':
      '{ config, lib, ... }:\n{\n  a.${x} = lib.mkIf y 1;\n  a.b = lib.mkIf y {\n    c = 2;\n  };\n}\n'
  })
  const found = {
    ...HEAD,
    schema: 'vfio-patch/option',
    command: 'option get',
    outcome: 'found',
    exit: 0,
    path: FILE,
    earlierRuns: [],
    warnings: [],
    error: null
  }
  const always = { conditions: [], priorities: [], inherited: false }
  const c = { option: 'a.b.c', names: ['a', 'b', 'c'], line: 5, column: 5, source: '2' }
  expect(await documentOf(place, ['option', 'get', 'pc.nix', 'a.b.c'])).toEqual({
    ...found,
    definitions: [{ ...c, ...always, conditions: ['y'] }]
  })
  expect(await documentOf(place, ['option', 'get', 'pc.nix', 'a', '--flat'])).toEqual({
    ...found,
    definitions: [
      {
        option: 'a.${…}',
        names: ['a', null],
        line: 3,
        column: 12,
        source: 'lib.mkIf y 1'
      },
      { ...c, column: 9 }
    ]
  })
  expect(await documentOf(place, ['option', 'get', 'pc.nix', 'sound'])).toEqual({
    ...found,
    outcome: 'not-found',
    exit: 1,
    definitions: []
  })
})

test.concurrent('option set and get --json read from - and print the JSON document, not the Nix text', async () => {
  const script = `printf '{ a = 1; }' | "$@"`
  const words = ['option', 'set', '-', 'a', '2', OFF]
  expect(await documentOf(makePlace(), words, { script })).toMatchObject({
    outcome: 'planned',
    exit: 0,
    files: [
      {
        path: '-',
        before: { sha256: sha256('{ a = 1; }'), size: 10 },
        after: { sha256: sha256('{ a = 2; }'), size: 10 },
        edits: [{ offset: 6, length: 1, content: '2' }]
      }
    ]
  })
  expect(await documentOf(makePlace(), ['option', 'get', '-', 'a'], { script })).toMatchObject({
    path: '-',
    definitions: [{ option: 'a', source: '1' }]
  })
})

needing('git')('apply and undo --json list the files that git registers and forgets', async () => {
  const place = makeRepository({ 'configuration.nix': '{ ... }: { }\n', '.gitignore': 'vfio/v*\n' })
  const words = ['apply', '-y', 'configuration.nix', '--iommu', 'amd', OFF]
  const { uid } = statSync(place.nixos)
  const registered = [
    'default.nix',
    'binding.nix',
    'checks.nix',
    'guests.nix',
    'guestService.nix',
    'hooks.nix',
    'libvirt.nix',
    '_lib/defineGuests.nix',
    '_lib/domain.nix',
    '_lib/domainTables.nix'
  ]
  expect(await documentOf(place, words)).toMatchObject({
    outcome: 'written-with-warnings',
    exit: 8,
    actions: registered.map(it => {
      return { kind: 'git-add-intent', path: `/etc/nixos/vfio/${it}`, uid }
    }),
    warnings: [
      {
        code: 'GIT_IGNORED',
        exit: 8,
        message:
          'warning: the change was written, but there is a problem: git could not register vfio/vfio.nix, vfio/virtualisation.nix: a .gitignore rule excludes them.',
        why: 'a flake only sees files known to git.'
      }
    ],
    error: null
  })
  expect((await documentOf(place, ['undo', '-y', 'configuration.nix'])).actions).toEqual(
    registered.toReversed().map(it => {
      return { kind: 'git-forget', path: `/etc/nixos/vfio/${it}`, uid }
    })
  )
})

/** An error without a place. */
function errorOf(code: string, exit: number, message: string, hint: string | null = null) {
  return { code, exit, message, excerpt: null, why: null, hint, at: null }
}

test.concurrent('--json reports invalid arguments', async () => {
  expect(await documentOf(makePlace(), ['undo', '--lst'])).toEqual({
    ...HEAD,
    schema: 'vfio-patch/error',
    command: null,
    outcome: 'failed',
    exit: 2,
    earlierRuns: [],
    warnings: [],
    error: errorOf(
      'USAGE',
      2,
      'unknown flag "--lst". Did you mean "--list"?',
      'vfio-patch undo --help'
    )
  })
  expect(await documentOf(makePlace(), [])).toMatchObject({
    schema: 'vfio-patch/error',
    exit: 2,
    error: errorOf('USAGE', 2, 'a command is missing.', 'vfio-patch --help')
  })
})

test.concurrent('option set --json reports a file that does not exist', async () => {
  expect(await documentOf(makePlace(), ['option', 'set', 'pc.nix', 'a', '2'])).toEqual({
    ...PLAN,
    command: 'option set',
    outcome: 'failed',
    exit: 4,
    root: null,
    files: [],
    actions: [],
    notes: [],
    checks: [],
    backup: null,
    earlierRuns: [],
    warnings: [],
    error: errorOf('NOT_FOUND', 4, `${FILE} does not exist.`, 'check the file name')
  })
})

test.concurrent('option set --json reports a refusal with its place and without colors', async () => {
  const place = makePlace({ 'pc.nix': '{\n  a = [ 1 ;\n}\n' })
  const words = ['option', 'set', 'pc.nix', 'a', '2', '--color=always']
  expect(await documentOf(place, words)).toMatchObject({
    outcome: 'refused',
    exit: 3,
    error: {
      code: 'SYNTAX',
      exit: 3,
      message: `${FILE}:2:10: "]" is missing here. Nothing was written.`,
      excerpt: '2 |   a = [ 1 ;\n             ^',
      why: "a file that Nix can't parse can't be edited safely.",
      hint: `fix it, and check it with: nix-instantiate --parse ${FILE}`,
      at: { path: FILE, line: 2, column: 10 }
    }
  })
})

test.concurrent('option set --json without --yes reports the plan and writes nothing', async () => {
  const place = given()
  const before = place.snapshot()
  expect(await documentOf(place, ['option', 'set', 'pc.nix', 'a', '2', OFF])).toEqual({
    ...PLAN,
    command: 'option set',
    outcome: 'failed',
    exit: 2,
    root: '/',
    files: [fileOf(place)],
    actions: [],
    notes: [],
    checks: CHECKS,
    backup: null,
    earlierRuns: [],
    warnings: [],
    error: errorOf(
      'USAGE',
      2,
      'cannot ask for confirmation: --json was given. Nothing was written.',
      'check the change with --dry-run, then add --yes'
    )
  })
  expect(place.snapshot()).toEqual(before)
})

needing('python3')('option set --json does not ask on a terminal', async () => {
  const place = given()
  const words = ['option', 'set', 'pc.nix', 'a', '2', OFF, '--json']
  const { terminal, code } = await onTerminal(place, words)
  expect({ code, error: JSON.parse(terminal).error.message }).toEqual({
    code: 2,
    error: 'cannot ask for confirmation: --json was given. Nothing was written.'
  })
})

test.concurrent('--help and --version ignore --json', async () => {
  const help = await makePlace().run(['undo', '--help'])
  expect(await makePlace().run(['undo', '--help', '--json'])).toEqual(help)
  expect((await makePlace().run(['--version', '--json'])).stdout).toBe(`vfio-patch ${VERSION}\n`)
})

test.concurrent('--json exits with 4 if the document is lost, or with 8 if the change was written', async () => {
  const place = given()
  const script = '"$@" >/dev/full'
  const lost = text`
    vfio-patch: the output could not be written (ENOSPC).
      Do:  check whether the output device has space left
    `
  const words = ['option', 'set', 'pc.nix', 'a', '2', OFF, '--json']
  expect(await place.run([...words, '-n'], { script })).toEqual({
    code: 4,
    stdout: '',
    stderr: lost
  })
  expect(await place.run([...words, '-y'], { script })).toEqual({
    code: 8,
    stdout: '',
    stderr: lost.replace(
      'the output',
      'warning: the change was written, but there is a problem: the output'
    )
  })
  expect(place.read('pc.nix')).toBe(CHANGED)
  expect((await place.run(words, { script })).code).toBe(4)
})

test.concurrent('docs/json.md describes each field of the documents', async () => {
  const described = readFileSync(join(import.meta.dirname, '../../docs/json.md'), 'utf8')
  const place = given()
  await place.run(['option', 'set', '-qy', 'pc.nix', 'a', '2', OFF])
  const documents = [
    await documentOf(place, ['undo', 'pc.nix', '-n']),
    await documentOf(place, ['undo', '--list']),
    await documentOf(place, ['option', 'get', 'pc.nix', 'a']),
    await documentOf(place, ['option', 'set', 'pc.nix', 'a', '3', OFF]),
    await documentOf(place, ['undo', '--lst'])
  ]
  const names = new Set<string>()
  const collect = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    if (!Array.isArray(value)) for (const name of Object.keys(value)) names.add(name)
    for (const it of Object.values(value)) collect(it)
  }
  for (const it of documents) collect(it)
  const missing = [...names].filter(
    it => !described.includes(`\`${it}\``) && !described.includes(`"${it}"`)
  )
  expect(missing).toEqual([])
})
