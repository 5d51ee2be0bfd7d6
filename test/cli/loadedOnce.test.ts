// A run reads each file once, parses each text once and reads the machine once. It writes nothing if a file that it
// read has changed since.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { DIFF, small } from './support/guest.ts'
import { needing } from './support/needing.ts'
import { onTerminal } from './support/onTerminal.ts'
import { makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const GUEST = small("<memory unit='GiB'>8</memory><vcpu>4</vcpu>")
const FILES = {
  'configuration.nix': text`
    { ... }:
    {
      imports = [ ./hardware.nix ./users.nix ];

      system.stateVersion = "26.05";
    }
    `,
  'hardware.nix': '{ imports = [ ./disks.nix ]; boot.kernelModules = [ "kvm-amd" ]; }\n',
  'disks.nix': '{ fileSystems."/" = { device = "/dev/sda1"; fsType = "ext4"; }; }\n',
  'users.nix': '{ users.users.alice.isNormalUser = true; }\n'
}

function given(): Place {
  return makePlace({ ...FILES, 'win10.xml': GUEST })
}

// The parser is native code, so a hook wraps its function, whose first argument is the text.
const COUNTING = `
const load = process.dlopen
process.dlopen = (module, ...rest) => {
  load.call(process, module, ...rest)
  const { parse } = module.exports
  if (!parse) return
  const texts = []
  module.exports.parse = (text, ...more) => {
    texts.push(text)
    return parse(text, ...more)
  }
  process.on('exit', () => process.getBuiltinModule('node:fs').writeFileSync(process.env.PARSED, JSON.stringify(texts)))
}
`

/** The texts that a call parses as a whole. */
async function parsedBy(place: Place, words: readonly string[]): Promise<string[]> {
  const [hook, parsed] = [join(place.top, 'count.mjs'), join(place.top, 'parsed.json')]
  writeFileSync(hook, COUNTING)
  const { code, stderr } = await place.run(words, {
    env: { NODE_OPTIONS: `--import=${hook}`, PARSED: parsed }
  })
  if (code !== 1) throw new Error(stderr)
  return JSON.parse(readFileSync(parsed, 'utf8'))
}

test('diff --domain parses each text once', async () => {
  const texts = await parsedBy(given(), DIFF)
  const twice = texts.filter((it, i) => texts.indexOf(it) !== i)
  expect(twice).toEqual([])
  expect(texts).toEqual(expect.arrayContaining(Object.values(FILES)))
})

/** How often a call opens each file below a folder, by the file's path relative to the folder. */
async function openedBy(place: Place, words: readonly string[], folder: string) {
  const log = join(place.top, 'opened')
  const through = ['strace', '-f', '-qq', '-e', 'trace=openat', '-o', log]
  await place.run(words, { through })
  const opened = new Map<string, number>()
  for (const [, path = ''] of readFileSync(log, 'utf8').matchAll(
    / openat\([^"]*"([^"]*)"[^=]*= \d/g
  )) {
    if (!path.startsWith(`${folder}/`)) continue
    const name = path.slice(folder.length + 1)
    opened.set(name, (opened.get(name) ?? 0) + 1)
  }
  return Object.fromEntries(opened)
}

needing('strace')('diff --domain reads each file and the machine once', async () => {
  const place = given()
  const once = Object.fromEntries([...Object.keys(FILES), 'win10.xml'].map(it => [it, 1]))
  expect(await openedBy(place, [...DIFF, '--parse-check=off'], place.nixos)).toEqual(once)
  const [, machine = ''] = DIFF.slice(DIFF.indexOf('--sysfs'))
  const opened = await openedBy(place, DIFF, machine)
  expect(Object.values(opened).filter(it => it !== 1)).toEqual([])
  expect(opened).toHaveProperty('sys.txt', 1)
})

needing('python3')(
  'apply writes nothing if an imported file changes during the question',
  async () => {
    const place = given()
    const before = place.read('configuration.nix')
    const words = [
      'apply',
      'configuration.nix',
      '--ignore-msrs',
      '--parse-check=off',
      '--color=never'
    ]
    const { code, terminal } = await onTerminal(place, words, {
      steps: [{ until: '[y/N] ', run: `echo '{ }' > disks.nix`, send: 'y\n' }]
    })
    expect(code).toBe(5)
    expect(terminal).toContain(
      '/etc/nixos/disks.nix changed while you were deciding. Nothing was written.'
    )
    expect(place.read('configuration.nix')).toBe(before)
    expect(Object.keys(place.files()).sort()).toEqual([...Object.keys(FILES), 'win10.xml'].sort())
  }
)
