// The table of stress runs, which `npm run stress` prints and CONTRIBUTING.md contains.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const project = fileURLToPath(new URL('../../', import.meta.url))

function stress(...args: string[]) {
  const run = spawnSync(process.execPath, ['stress/run.js', ...args], {
    cwd: project,
    encoding: 'utf8'
  })
  return { status: run.status, stdout: run.stdout, stderr: run.stderr }
}

it('npm run stress without a name prints the table of CONTRIBUTING.md', () => {
  const { status, stdout, stderr } = stress()
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(readFileSync(`${project}CONTRIBUTING.md`, 'utf8')).toContain(`\n\n${stdout}\n`)
})

it('the table of stress runs has a row for each script', () => {
  const scripts = readdirSync(`${project}stress`).filter(it => it.endsWith('.js'))
  const names = [...stress().stdout.matchAll(/^\| `(\w+)/gm)].map(it => `${it[1]}.js`)
  expect([...names, 'run.js'].sort()).toEqual(scripts.sort())
})

it.each([
  [['corpsu'], 'there is no stress run "corpsu": did you mean "corpus"?\n'],
  [
    ['nothing'],
    'there is no stress run "nothing": one of corpus, operations, definitions, removals, evaluate, formatted, packages, flakes, toolkits, random, fuzz, domains, mutations, lints, releases, crashes, powercut\n'
  ],
  [['corpus'], 'usage: npm run stress -- corpus FOLDER...\n'],
  [['lints', '/no/such/folder'], 'there is no /no/such/folder\n'],
  [['fuzz', 'x'], '"x" is not expected\nusage: npm run stress -- fuzz [COUNT [SEED]]\n'],
  [
    ['powercut', 'check'],
    '"check" is not expected\nusage: npm run stress -- powercut [apply] [undo] [remove]\n'
  ]
])('npm run stress refuses %j', (args, stderr) => {
  expect(stress(...args)).toEqual({ status: 2, stdout: '', stderr })
})
