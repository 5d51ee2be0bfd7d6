// `apply` without settings on a terminal asks for the card, who runs guests, Looking Glass and the boot entry.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { folderOf } from '../machine/support/machines.ts'
import { needing } from './support/needing.ts'
import { onTerminal, type Step } from './support/onTerminal.ts'
import { makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const test = needing('python3')

const GIVEN = '{ ... }:\n{\n  system.stateVersion = "26.05";\n}\n'
const PEOPLE = [
  'root:x:0:0:System administrator:/root:/run/current-system/sw/bin/bash',
  'nixbld1:x:30001:30000::/var/empty:/run/current-system/sw/bin/nologin',
  'bob:x:1001:100::/home/bob:/run/current-system/sw/bin/bash',
  'alice:x:1000:100::/home/alice:/run/current-system/sw/bin/bash'
]

/** A system with these accounts. */
function given(people: readonly string[] = PEOPLE): Place {
  const place = makePlace({ 'configuration.nix': GIVEN })
  mkdirSync(join(place.top, 'etc'), { recursive: true })
  writeFileSync(join(place.top, 'etc/passwd'), `${people.join('\n')}\n`)
  return place
}

function apply(place: Place, machine: string, ...more: string[]): string[] {
  const sysfs = ['--sysfs', folderOf(machine)]
  return ['apply', '--root', place.top, ...sysfs, '--color=never', '--parse-check=off', ...more]
}

const NUMBER = 'Number: '
const FIRST = 'Number [1]: '
const SECOND = 'Number [2]: '
const WRITE = 'Write these changes? [y/N] '

/** Answers to successive prompts. */
function answers(...steps: [until: string, send: string][]): Step[] {
  return steps.map(([until, send]) => ({ until, send }))
}

const CARDS = text`

  Which card should the guest have?
    1) 0000:0a:00.0 NVIDIA GA106 [GeForce RTX 3060 Lite Hash Rate]
    2) 0000:01:00.0 NVIDIA GP104 [GeForce GTX 1080]
  The host keeps these cards:
    -  0000:0c:00.0 AMD Raphael: it is part of the processor; your only keyboard
       is plugged into 0000:0c:00.3 (USB); it shows your screen (HDMI-A-1)
  `
const WHO = text`

  Who may run guests? (Type a number or a name. Such a user can become root.)
    1) alice
    2) bob
    3) nobody but root
  `
const WINDOW = text`

  Prepare to view the guest in a window of the host, with Looking Glass?
    1) no
    2) yes
  `
const ENTRY = text`

  Use a separate boot entry, so that the default boot entry does not change?
    1) no
    2) yes
  `

test('apply asks four questions and prints the flags that do the same', async () => {
  const place = given()
  const words = apply(place, 'three-cards')
  const steps = answers(
    [NUMBER, '2\r'],
    [NUMBER, '1\r'],
    [FIRST, '2\r'],
    [FIRST, '1\r'],
    [WRITE, 'y\r']
  )
  const shown = await onTerminal(place, words, { steps })
  const flags = '--gpu 0000:01:00.0 --user alice --shared-memory looking-glass'
  const same = place.plain(`vfio-patch ${words.join(' ')} ${flags}`)
  expect(shown.terminal.split('/etc/nixos/configuration.nix: ')[0]).toBe(
    `${CARDS}${NUMBER}2\n${WHO}${NUMBER}1\n${WINDOW}${FIRST}2\n${ENTRY}${FIRST}1\nThe same without questions: ${same}\n`
  )
  expect({ code: shown.code, restored: shown.restored }).toEqual({ code: 0, restored: true })
  const written = place.read('configuration.nix')
  expect(written).toContain('"10de:1b80" # NVIDIA GP104 [GeForce GTX 1080]')
  expect(written).toContain('users = [ "alice" ];')
  expect(written).toContain('looking-glass = {')

  // The printed flags write the same files.
  const other = given()
  const call = apply(other, 'three-cards', ...flags.split(' '), '--yes')
  expect((await other.run(call)).code).toBe(0)
  expect(other.files()).toEqual(place.files())
})

test('apply accepts an address, a user name, and yes or no instead of numbers', async () => {
  const place = given()
  const steps = answers(
    [NUMBER, '0000:01:00.0\r'],
    [NUMBER, 'Alice\r'],
    [FIRST, 'perhaps\r'],
    [FIRST, 'y\r'],
    [FIRST, 'no\r'],
    [WRITE, 'n\r']
  )
  const shown = await onTerminal(place, apply(place, 'three-cards'), { steps })
  expect(shown.terminal.split('The same without questions: ')[0]).toBe(
    `${CARDS}${NUMBER}0000:01:00.0\n${WHO}${NUMBER}Alice\n${WINDOW}${FIRST}perhaps\n` +
      `Please type a number from 1 to 2.\n${FIRST}y\n${ENTRY}${FIRST}no\n`
  )
  expect(shown.terminal).toContain(
    ' --gpu 0000:01:00.0 --user alice --shared-memory looking-glass\n'
  )
})

test('Enter selects the default of each question of apply, and writes nothing at the last one', async () => {
  const place = given([PEOPLE[0] ?? '', PEOPLE[3] ?? ''])
  const steps = answers([FIRST, '\r'], [FIRST, '\r'], [FIRST, '\r'], [FIRST, '\r'], [WRITE, '\r'])
  const shown = await onTerminal(place, apply(place, 'x570-two-makers'), { steps })
  expect(shown.terminal).toContain(
    text`

      Which card should the guest have?
        1) 0000:01:00.0 NVIDIA GP104 [GeForce GTX 1080]
        2) 0000:0a:00.0 AMD Lexa XT [Radeon PRO WX 3100]: it shows your screen (DP-1)
      ${FIRST}
      `
  )
  expect(shown.terminal).toContain(' --gpu 0000:01:00.0 --user alice\n')
  expect(shown.terminal.endsWith(`${WRITE}\nNothing was written.\n`)).toBe(true)
  expect(shown.code).toBe(1)
})

test('apply proposes the user who called sudo', async () => {
  const place = given()
  const steps = answers([NUMBER, '1\r'], ['Number [2]: ', '\r'], [FIRST, '\x03'])
  const env = { SUDO_USER: 'bob' }
  const shown = await onTerminal(place, apply(place, 'three-cards'), { steps, env })
  expect(shown.terminal).toContain(`${WHO}Number [2]: \n${WINDOW}`)
})

/** A system whose configuration declares people in two files, with these accounts. */
function declaring(people: readonly string[], more = ''): Place {
  const place = given(people)
  place.write(
    'configuration.nix',
    `{ ... }:\n{\n  imports = [ ./users.nix ];\n  users.users.carol = { isNormalUser = true; };\n${more}}\n`
  )
  place.write(
    'users.nix',
    '{ lib, ... }: { users.users = { dave.isNormalUser = lib.mkDefault true; nginx.isSystemUser = true; erin.isNormalUser = false; "jörg".isNormalUser = true; "my user".isNormalUser = true; }; }\n'
  )
  return place
}

const DECLARED = text`

  Who may run guests? (Type a number or a name. Such a user can become root.)
    1) carol
    2) dave
    3) nobody but root
  `

test('apply offers the normal users that the configuration declares, also in imported files', async () => {
  for (const [people, answer, flag] of [
    [PEOPLE, '2', ' --user dave'],
    [[], 'dave', ' --user dave'],
    [PEOPLE, 'Carol', ' --user carol'],
    [PEOPLE, 'root', '']
  ] as const) {
    const place = declaring(people)
    const steps = answers(
      [NUMBER, '2\r'],
      [NUMBER, `${answer}\r`],
      [FIRST, '1\r'],
      [FIRST, '1\r'],
      [WRITE, 'n\r']
    )
    const { terminal } = await onTerminal(place, apply(place, 'three-cards'), { steps })
    expect(terminal).toContain(`${CARDS}${NUMBER}2\n${DECLARED}${NUMBER}${answer}\n${WINDOW}`)
    expect(terminal).toContain(` --gpu 0000:01:00.0${flag}\n`)
  }
})

test('apply accepts another user of the system, and asks again for an unknown name', async () => {
  const place = declaring(PEOPLE)
  const steps = answers(
    [NUMBER, '2\r'],
    [NUMBER, 'no such user\r'],
    [NUMBER, '-rf\r'],
    [NUMBER, 'bbo\r'],
    [NUMBER, '4\r'],
    [NUMBER, 'bob\r'],
    [FIRST, '1\r'],
    [FIRST, '1\r'],
    [WRITE, 'n\r']
  )
  const { terminal } = await onTerminal(place, apply(place, 'three-cards'), { steps })
  expect(terminal).toContain(
    [
      `${DECLARED}${NUMBER}no such user`,
      '"no such user" is not a user name; a user name looks like alice.',
      `${NUMBER}-rf`,
      '"-rf" is not a user name; a user name looks like alice.',
      `${NUMBER}bbo`,
      'Neither the configuration nor this system has a user called bbo.',
      `${NUMBER}4`,
      'Please type a number from 1 to 3, or a name.',
      `${NUMBER}bob`,
      WINDOW
    ].join('\n')
  )
  expect(terminal).toContain(' --user bob\n')
})

test('apply accepts any user name if the name of a declared user is computed', async () => {
  const place = declaring([], '  users.users.${config.me}.isNormalUser = true;\n')
  const steps = answers([NUMBER, '2\r'], [NUMBER, 'zoe\r'], [FIRST, '\x03'])
  const { terminal } = await onTerminal(place, apply(place, 'three-cards'), { steps })
  expect(terminal).toContain(`${NUMBER}zoe\n${WINDOW}`)
})

test('apply does not ask for a user if there is none', async () => {
  const place = given([])
  const steps = answers([NUMBER, '1\r'], [FIRST, '\r'], [FIRST, '\r'], [WRITE, '\r'])
  const { terminal } = await onTerminal(place, apply(place, 'three-cards'), { steps })
  expect(terminal).toContain(' --gpu 0000:0a:00.0\n')
})

test('apply asks again after an invalid answer', async () => {
  const place = given()
  const nonsense = [
    '\r',
    '0\r',
    '3\r',
    '-1\r',
    '1.5\r',
    'y\r',
    '0000:07:00.0\r',
    '9999999999\r',
    '\x1b[A\r'
  ]
  const steps = [
    ...answers(...nonsense.map((it): [string, string] => [NUMBER, it])),
    ...answers([NUMBER, ' 1 \r'], [NUMBER, '\x04'])
  ]
  const shown = await onTerminal(place, apply(place, 'three-cards'), { steps })
  expect(shown.terminal.match(/Please type a number from 1 to 2\.\n/g)).toHaveLength(
    nonsense.length
  )
  expect(shown.terminal).toContain(WHO)
  expect(shown.code).toBe(1)
})

const QUESTIONS: [string, Step[]][] = [
  ['the card', []],
  ['who runs guests', answers([NUMBER, '1\r'])],
  ['Looking Glass', answers([NUMBER, '1\r'], [NUMBER, '3\r'])],
  ['the boot entry', answers([NUMBER, '1\r'], [NUMBER, '3\r'], [FIRST, '\r'])]
]

test.each(
  QUESTIONS.flatMap(([question, before]) =>
    (
      [
        ['Ctrl-C', '\x03', '^C\nCancelled. Nothing was written.\n', 130],
        ['Ctrl-D', '\x04', '\nNothing was written.\n', 1]
      ] as const
    ).map(([key, send, last, code]) => ({ question, before, key, send, last, code }))
  )
)('$key at the question about $question writes nothing', async ({ before, send, last, code }) => {
  const place = given()
  const state = place.snapshot()
  const prompt = before.length >= 2 ? FIRST : NUMBER
  const steps = [...before, ...answers([prompt, send])]
  const shown = await onTerminal(place, apply(place, 'three-cards'), { steps })
  expect(shown.terminal.endsWith(`${prompt}${last}`)).toBe(true)
  expect({ code: shown.code, restored: shown.restored }).toEqual({ code, restored: true })
  expect(place.snapshot()).toEqual(state)
})

const SCREEN = text`

  Which card should the guest have?
    1) 0000:01:00.0 AMD Ellesmere [Radeon RX 470/480/570/570X/580/580X/590]: it
       shows your screen (DP-2)
  The host keeps these cards:
    -  0000:00:02.0 Intel AlderLake-S GT1: it is part of the processor
  ${NUMBER}1
  ${WHO}${NUMBER}3
  ${WINDOW}${FIRST}

  It shows your screen. Use a separate boot entry, so that the default boot entry
  does not change?
    1) yes
  Or type 0000:01:00.0 to pass it through in every boot entry: the screen then
  stays dark, unless you plug the monitor into a card that the host keeps.
  `
const BEFORE = answers([NUMBER, '1\r'], [NUMBER, '3\r'], [FIRST, '\r'])

test('apply proposes a separate boot entry for the card with the screen', async () => {
  const place = given()
  const words = apply(place, 'amd-reset')
  const steps = [...BEFORE, ...answers([FIRST, '\r'], [WRITE, 'y\r'])]
  const shown = await onTerminal(place, words, { steps })
  const flags = '--gpu 0000:01:00.0 --specialisation vfio'
  const same = place.plain(`vfio-patch ${words.join(' ')} ${flags}`)
  expect(shown.terminal.split('/etc/nixos/configuration.nix: ')[0]).toBe(
    `${SCREEN}${FIRST}\nThe same without questions: ${same}\n`
  )
  expect(place.read('configuration.nix')).toContain('  specialisation.vfio.configuration = {\n')
  const other = given()
  const call = apply(other, 'amd-reset', ...flags.split(' '), '--yes')
  expect((await other.run(call)).code).toBe(0)
  expect(other.files()).toEqual(place.files())
})

test('apply passes the card with the screen through in every boot entry only if its address is typed', async () => {
  const place = given()
  const steps = [...BEFORE, ...answers([FIRST, '2\r'], [FIRST, 'no\r'], [FIRST, '0000:01:00.0\r'])]
  const shown = await onTerminal(place, apply(place, 'amd-reset'), {
    steps: [...steps, ...answers([WRITE, '\r'])]
  })
  const again = 'Please type 1, or 0000:01:00.0.\n'
  expect(shown.terminal).toContain(
    `${SCREEN}${FIRST}2\n${again}${FIRST}no\n${again}${FIRST}0000:01:00.0\n`
  )
  expect(shown.terminal).toContain(' --gpu 0000:01:00.0 --confirm 0000:01:00.0\n')
  expect(place.read('configuration.nix')).toBe(GIVEN)
})

test('apply preselects a separate boot entry on a laptop, and if the IOMMU is off', async () => {
  for (const machine of ['laptop-mux', 'iommu-off']) {
    const place = given([])
    const steps = answers([FIRST, '\r'], [FIRST, '\r'], [SECOND, '\r'], [WRITE, '\r'])
    const { terminal } = await onTerminal(place, apply(place, machine), { steps })
    expect(terminal).toContain(`${ENTRY}${SECOND}\n`)
    expect(terminal).toContain(' --gpu 0000:01:00.0 --specialisation vfio\n')
  }
})

test('apply does not ask for a boot entry that --specialisation names, and proposes a name that no boot entry has', async () => {
  const named = given([])
  const steps = answers([NUMBER, '1\r'], [FIRST, '\r'], [WRITE, '\r'])
  const words = apply(named, 'three-cards', '--specialisation', 'games')
  const shown = await onTerminal(named, words, { steps })
  expect(shown.terminal).not.toContain('separate boot entry')
  expect(shown.terminal).toContain('\n+  specialisation.games.configuration = {\n')

  const taken = given([])
  taken.write(
    'configuration.nix',
    GIVEN.replace('  system', '  specialisation.vfio.configuration = { };\n  system')
  )
  const { terminal } = await onTerminal(taken, apply(taken, 'three-cards'), {
    steps: answers([NUMBER, '1\r'], [FIRST, '\r'], [FIRST, '2\r'], [WRITE, '\r'])
  })
  expect(terminal).toContain(' --gpu 0000:0a:00.0 --specialisation vfio2\n')
})

test('apply offers a separate boot entry for the only card, and suggests --bind hooks if the user declines', async () => {
  const place = given([])
  const asked = text`

    Which card should the guest have?
      1) 0000:0a:00.0 NVIDIA GP104 [GeForce GTX 1080]: the host has no other card
         for its display output
    ${NUMBER}1
    ${WINDOW}${FIRST}

    The host has no other card for its display output. Use a separate boot entry, so
    that the default boot entry does not change?
      1) no
      2) yes
    `
  const before = answers([NUMBER, '1\r'], [FIRST, '\r'])
  const call = place.plain(apply(place, 'single-gpu').join(' '))
  const no = await onTerminal(place, apply(place, 'single-gpu'), {
    steps: [...before, ...answers([SECOND, '1\r'])]
  })
  expect(no).toMatchObject({
    terminal: text`
      ${asked}${SECOND}1
      vfio-patch: 0000:0a:00.0 is not passed through. Nothing was written.
        Why: without this card, the default boot entry would have no display output.
        Do:  to pass it through only while the guest runs: vfio-patch ${call} --gpu 0000:0a:00.0 --bind hooks
      `,
    code: 7
  })
  const yes = await onTerminal(place, apply(place, 'single-gpu'), {
    steps: [...before, ...answers([SECOND, '\r'], [WRITE, '\r'])]
  })
  expect(yes.terminal).toContain(' --gpu 0000:0a:00.0 --specialisation vfio\n')
  expect(yes.terminal).toContain(
    text`
      Note: in that boot entry the host has no display output; make sure that you can
        reach it over SSH.
      `
  )
})

test('apply explains why no card can be passed through', async () => {
  const place = given()
  for (const name of ['sys.txt', 'proc.txt', 'etc.txt', 'run.txt', 'pci.ids']) {
    const given = readFileSync(join(folderOf('dirty-group'), name), 'utf8')
    // The remaining card shares its IOMMU group.
    place.write(`machine/${name}`, given.replace(/^\/.*0000:0a:00\..*\n(?:\t.*\n)*/gm, ''))
  }
  const words = ['apply', '--root', place.top, '--sysfs', 'machine', '--color=never']
  expect(await onTerminal(place, words)).toMatchObject({
    terminal: text`
        -  0000:08:00.0 AMD Ellesmere [Radeon RX 470/480/570/570X/580/580X/590]: the
           host has no other card for its display output; it shares IOMMU group 15
           with 0000:02:00.0 (USB), 0000:02:00.1 (SATA) and 0000:04:00.0 (network)
      vfio-patch: no card of this machine can be passed through. Nothing was written.
        Why: the host needs each card, see above.
        Do:  vfio-patch scan
      `,
    code: 7
  })
})

test.each([20, 40, 60])('apply wraps questions to %d columns, but at least 40', async width => {
  const place = given()
  const steps = answers([NUMBER, '1\r'], [NUMBER, '1\r'], [FIRST, '\x03'])
  const shown = await onTerminal(place, apply(place, 'three-cards'), { steps, width })
  const widest = Math.max(...shown.terminal.split('\n').map(it => it.length))
  expect(widest).toBeLessThanOrEqual(Math.max(40, width))
  expect(shown.code).toBe(130)
})

test('apply asks only on a terminal and without --yes, --no-input and --json, and diff never asks', async () => {
  const place = given()
  const why = expect.stringContaining('no card or setting was chosen')
  const words = apply(place, 'three-cards')
  expect(await place.run(words)).toMatchObject({ code: 2, stderr: why })
  expect(await place.run(words, { script: 'yes | "$@"' })).toMatchObject({ code: 2, stderr: why })
  for (const flag of ['--yes', '--no-input']) {
    expect(await onTerminal(place, [...words, flag])).toMatchObject({ code: 2, terminal: why })
  }
  const diff = ['diff', ...words.slice(1)]
  expect(await onTerminal(place, diff)).toMatchObject({ code: 2, terminal: why })
  const piped = await onTerminal(place, words, { pipes: ['stderr'] })
  expect(piped).toMatchObject({ code: 2, stderr: why })
  const json = await onTerminal(place, [...words, '--json'])
  expect(JSON.parse(json.terminal).error.code).toBe('NOTHING_CHOSEN')
})
