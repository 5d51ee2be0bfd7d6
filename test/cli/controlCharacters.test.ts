// Text from outside the program may contain control characters. No command sends them to a terminal.

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe } from 'vitest'
import { folderOf } from '../machine/support/machines.ts'
import { finish } from './support/finish.ts'
import { makeInstalled } from './support/machine.ts'
import { needing } from './support/needing.ts'
import { type Step, sentToTerminal } from './support/onTerminal.ts'
import { BIN, makePlace, type Place } from './support/place.ts'

const test = needing('python3')
const withTools = needing('git', 'patch', 'python3')

// C0 clears the screen, sets the clipboard and a link, rings the bell, sets a color, and deletes. C1 does the same
// with single characters. BIDI changes the direction of text, or is invisible.
const BELL = '\x07'
const C0 = `\x1b[2J\x1b]52;c;ZQ==${BELL}\x1b]8;;http://x${BELL}\x1b[31mred\x08\x7f`
const C1 = '\x9b2J\x9d0;t\x9c\x85'
const BIDI = '\u202eabc\u2066\u061c\u200f\u200b\u2028\u{e0041}'
const ALL = `${C0}${C1}${BIDI}`
// The characters that are also allowed in Nix, XML and file names.
const ALLOWED = `${C1}${BIDI}`

const CLEAN = `{ ... }:\n{\n  # ${ALL}\n  system.stateVersion = "26.05";\n}\n`

interface Call {
  words: string[]
  place: Place
  steps?: Step[]
  env?: Record<string, string>
  /** Whether the output is expected to have no escaped characters. */
  hasNoEscapes?: boolean
}

function inFile(content: string, ...words: string[]): () => Call {
  return () => ({ place: makePlace({ 'configuration.nix': content }), words })
}

/** Creates a program that runs this script; returns the PATH that has it first. */
function program(place: Place, name: string, script: string): Record<string, string> {
  const folder = join(place.top, 'bin')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(folder, name), 0o755)
  return { PATH: `${folder}:${place.env.PATH}` }
}

/** A folder like the root of a machine, with control characters in every text that can have them. */
function machine(place: Place): string {
  const root = join(place.top, 'machine')
  const put = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  const link = (path: string, target: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    symlinkSync(target, join(root, path))
  }
  const devices: [string, string, string, string][] = [
    ['0000:01:00.0', '0x10de', '0x030000', 'nouveau'],
    ['0000:02:00.0', '0x1002', '0x030000', 'amdgpu'],
    ['0000:03:00.0', '0x8086', '0x020000', 'igb'],
    ['0000:04:00.0', '0x144d', '0x010802', 'nvme'],
    ['0000:05:00.0', '0x8086', '0x0c0330', 'xhci_hcd']
  ]
  for (const [i, [address, vendor, code, driver]] of devices.entries()) {
    const folder = `sys/bus/pci/devices/${address}`
    put(`sys/devices/pci0000:00/${address}/vendor`, `${vendor}\n`)
    put(`sys/devices/pci0000:00/${address}/device`, '0x1b80\n')
    put(`sys/devices/pci0000:00/${address}/class`, `${code}\n`)
    put(`sys/devices/pci0000:00/${address}/reset_method`, `flr ${ALL}\n`)
    link(folder, `../../../devices/pci0000:00/${address}`)
    link(`sys/devices/pci0000:00/${address}/driver`, `../../bus/pci/drivers/${driver}${ALL}`)
    link(`sys/devices/pci0000:00/${address}/iommu_group`, `../../kernel/iommu_groups/${i}`)
    mkdirSync(join(root, `sys/kernel/iommu_groups/${i}`), { recursive: true })
  }
  put('sys/devices/pci0000:00/0000:01:00.0/boot_vga', '1\n')
  for (const [i, address] of ['0000:01:00.0', '0000:02:00.0'].entries()) {
    link(`sys/class/drm/card${i}/device`, `../../../devices/pci0000:00/${address}`)
    put(`sys/class/drm/card${i}-DP-1${ALLOWED}/status`, 'connected\n')
  }
  const net = `net${ALLOWED}`
  link(`sys/class/net/${net}`, `../../devices/pci0000:00/0000:03:00.0/net/${net}`)
  const disk = 'devices/pci0000:00/0000:04:00.0/nvme/nvme0/nvme0n1'
  link('sys/class/block/nvme0n1', `../../${disk}`)
  link('sys/dev/block/259:0', `../../${disk}`)
  put('proc/self/mountinfo', `1 0 259:0 / /home/${ALL} rw - ext4 /dev/nvme0n1 rw\n`)
  put('proc/sys/kernel/osrelease', `6.18.2${ALL}\n`)
  put('proc/cpuinfo', `vendor_id\t: GenuineIntel\nmodel name\t: i5 ${ALL}\nflags\t\t: vmx\n`)
  put('proc/cmdline', `quiet intel_iommu=on ${ALLOWED}iommu=x\n`)
  put('etc/os-release', `ID=nixos\nVERSION_ID="26.05${ALL}"\n`)
  put('sys/class/dmi/id/board_name', `Board ${ALL}\n`)
  put(
    'proc/bus/input/devices',
    [
      `N: Name="Keyboard ${ALL}"`,
      'S: Sysfs=/devices/pci0000:00/0000:05:00.0/usb1/1-1/1-1:1.0/0003:1/input/input1',
      'H: Handlers=kbd event1',
      'B: EV=120013',
      'B: KEY=1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe',
      ''
    ].join('\n')
  )
  put('usr/share/hwdata/pci.ids', `8086  Intel ${ALL}\n\t1b80  Card ${ALL}\n`)
  return root
}

const GUEST = (inner: string, name = 'win10') =>
  `<domain type='kvm'><name>${name}</name><title>a\u202eb\u009bc</title><os><type arch='x86_64' machine='q35'>hvm</type></os>${inner}</domain>\n`

const HOSTDEV = (bus: string) =>
  `<devices><hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='${bus}' slot='0x00' function='0x0'/></source></hostdev></devices>`

function onMachine(...words: string[]): () => Call {
  return () => {
    const place = makePlace({ 'configuration.nix': CLEAN })
    return { place, words: [...words, '--sysfs', machine(place)] }
  }
}

const OFF = '--parse-check=off'
const APPLY = ['apply', 'configuration.nix', '--iommu', 'amd', OFF]

/** A configuration after `apply`, with control characters in the record of the run. */
async function applied(): Promise<Place> {
  const place = makePlace({ 'configuration.nix': CLEAN })
  await place.run([...APPLY, '--yes'])
  const runs = join(place.top, 'state/runs')
  for (const run of readdirSync(runs)) {
    const manifest = join(runs, run, 'manifest.json')
    const record = JSON.parse(readFileSync(manifest, 'utf8'))
    const planted = { ...record, command: `apply${ALL}`, started: `2026-12-01T00:00${ALL}` }
    writeFileSync(manifest, JSON.stringify(planted))
  }
  return place
}

const CALLS: Record<string, () => Call | Promise<Call>> = {
  'a comment in a diff': inFile(CLEAN, 'diff', 'configuration.nix', '--iommu', 'amd', OFF),
  'a comment in a verbose dry run': inFile(CLEAN, ...APPLY, '-n', '-v'),
  'a comment in a diff before the question': () => ({
    ...inFile(CLEAN, ...APPLY)(),
    steps: [{ until: '[y/N] ', send: 'n\n' }]
  }),
  'a value that changes': inFile(
    `{ ... }: { a.b = "${ALL}"; }\n`,
    ...['option', 'set', 'configuration.nix', 'a.b', `"${ALLOWED}x"`, '-n', OFF]
  ),
  'all values in option get --flat': inFile(
    `{ ... }: { a.b = "${ALL}"; "c${ALLOWED}" = 1; }\n`,
    ...['option', 'get', 'configuration.nix', '--flat']
  ),
  'a value in option get': inFile(
    `{ ... }: { a.b = "${ALL}"; }\n`,
    ...['option', 'get', 'configuration.nix', 'a']
  ),
  'the name of an option that is not defined': inFile(
    '{ ... }: { }\n',
    ...['option', 'get', 'configuration.nix', `"x${ALL}"`]
  ),
  'a syntax error': inFile(`{ ... }: { a = [ "${ALL}" ; }\n`, ...APPLY),
  'an encoding error': inFile(`{ ... }: { a = 1; # ${C0}\r${C1} }\n`, ...APPLY),
  'a refused edit': inFile(
    `{ lib, ... }: { "a${ALLOWED}".b = lib.f "${ALLOWED}"; }\n`,
    ...['option', 'add', 'configuration.nix', `"a${ALLOWED}".b`, '"x"', OFF]
  ),
  'a finding of check': inFile(
    `{ ... }: { boot.kernelParams = [ "pci=nomsi" /* ${ALL} */ ]; boot.extraModprobeConfig = "${ALL}"; }\n`,
    ...['check', 'configuration.nix', OFF]
  ),
  'a value that apply replaces': inFile(
    `{ ... }: { boot.kernelParams = [ "pci=nomsi" /* ${ALL} */ ]; }\n`,
    ...[...APPLY, '-n']
  ),
  'a file name': () => {
    const place = makePlace({ [`a${ALL}.nix`]: CLEAN })
    return { place, words: ['apply', `a${ALL}.nix`, '--iommu', 'amd', OFF, '--yes'] }
  },
  'a folder name in a finding': () => {
    const name = `d${ALL}/configuration.nix`
    const place = makePlace({ [name]: '{ ... }: { boot.kernelParams = [ "pci=nomsi" ]; }\n' })
    return { place, words: ['check', name] }
  },
  'the name of a file that does not exist': inFile('{ }', 'check', `no${ALL}.nix`),
  'a file name with line breaks': () => {
    const name = 'a\nvfio-patch: all is well\r.nix'
    return {
      place: makePlace({ [name]: 'nonsense' }),
      words: ['check', name],
      hasNoEscapes: true
    }
  },
  'the folder of the backups': () => {
    const place = makePlace({ 'configuration.nix': CLEAN })
    const env = { VFIO_PATCH_STATE: join(place.top, `state${ALL}`) }
    return { place, words: [...APPLY, '--yes'], env }
  },
  'an unknown command': inFile(CLEAN, `com${ALL}`),
  'an unknown flag': inFile(CLEAN, 'apply', `--fl${ALL}`),
  'the value of --color': inFile(CLEAN, 'scan', '--color', `x${ALL}`),
  'the value of --release': inFile(CLEAN, 'check', 'configuration.nix', '--release', `26${ALL}`),
  'the value of --user': inFile(
    CLEAN,
    'apply',
    'configuration.nix',
    '--user',
    `al${ALL}`,
    OFF,
    '-n'
  ),
  'the value of --gpu': inFile(CLEAN, 'apply', 'configuration.nix', '--gpu', `0000:01${ALL}`),
  'a value that is not Nix': inFile(
    CLEAN,
    ...['option', 'set', 'configuration.nix', 'a', `[ "${ALL}"`]
  ),
  'the machine in scan': onMachine('scan', '--verbose'),
  'the machine in scan --dump': onMachine('scan', '--dump', `dump${ALL}`),
  'a --sysfs folder that does not exist': inFile(CLEAN, 'scan', '--sysfs', `x${ALL}`),
  'a damaged dump': () => {
    const place = makePlace({ 'dump/sys.txt': `non${ALL}sense\n` })
    return { place, words: ['scan', '--sysfs', 'dump'] }
  },
  'a card that is passed through': onMachine(
    'diff',
    'configuration.nix',
    '--gpu',
    '0000:02:00.0',
    OFF
  ),
  'a disk that is refused': onMachine(
    'diff',
    'configuration.nix',
    '--address',
    '0000:04:00.0',
    OFF
  ),
  'a network card that is refused': onMachine(
    'diff',
    'configuration.nix',
    '--address',
    '0000:03:00.0',
    OFF
  ),
  'a keyboard whose controller is refused': onMachine(
    'diff',
    'configuration.nix',
    '--address',
    '0000:05:00.0',
    OFF
  ),
  'the machine in check': () => {
    const place = makePlace({
      'configuration.nix': `{ ... }: { boot.kernelParams = [ "vfio-pci.ids=10de:1b80" ]; boot.initrd.kernelModules = [ "m${ALLOWED}" "vfio_pci" ]; }\n`
    })
    return { place, words: ['check', 'configuration.nix', '--sysfs', machine(place)] }
  },
  'the accounts in the question about users': () => {
    const place = makePlace({ 'configuration.nix': '{ ... }: { }\n' })
    writeFileSync(
      join(place.top, 'etc/passwd'),
      `al${ALLOWED}:x:1000:100::/home/al:/bin/sh\nbo:x:1001:100::/home/bo:/bin/sh\n`
    )
    return {
      place,
      words: ['apply', '--root', place.top, '--sysfs', folderOf('three-cards'), OFF],
      steps: [
        { until: 'Number: ', send: '1\n' },
        { until: 'Number [1]: ', send: '\n' },
        { until: 'Number [1]: ', send: '\n' },
        { until: 'Number [1]: ', send: '1\n' },
        { until: '[y/N] ', send: 'n\n' }
      ],
      // An account with such a name is not offered.
      hasNoEscapes: true
    }
  },
  'a domain as Nix': () => ({
    place: makePlace({ 'win10.xml': GUEST('') }),
    words: ['domain', 'win10.xml']
  }),
  'a domain as XML': () => ({
    place: makePlace({ 'win10.xml': GUEST('') }),
    words: ['domain', 'win10.xml', '--to', 'xml', '--mend']
  }),
  'a malformed domain': () => ({
    place: makePlace({ 'win10.xml': `<domain ${ALL}` }),
    words: ['domain', 'win10.xml']
  }),
  'XML that is not a domain': () => ({
    place: makePlace({ 'win10.xml': `<x${ALLOWED}><y></x>` }),
    words: ['domain', 'win10.xml']
  }),
  'the name of a guest': () => ({
    place: makePlace({
      'configuration.nix': CLEAN,
      'win10.xml': GUEST(HOSTDEV('0x0c'), `w${ALLOWED}`)
    }),
    words: [
      'apply',
      'configuration.nix',
      '--domain',
      'win10.xml',
      '--sysfs',
      folderOf('x570-two-makers'),
      '-n',
      '-v',
      OFF
    ]
  }),
  'an error message of Nix': () => {
    const place = makePlace({ 'configuration.nix': CLEAN })
    const env = program(
      place,
      'nix-instantiate',
      `{ cat; echo "$*"; } | grep -q vfio || exit 0; printf '%s' "$OUTPUT" >&2; exit 1`
    )
    return {
      place,
      words: APPLY.filter(it => it !== OFF),
      env: { ...env, OUTPUT: `error: ${ALL}\n` }
    }
  },
  'the output of the --eval command': () => {
    const place = makePlace({ 'configuration.nix': CLEAN })
    const env = { OUTPUT: `error: ${ALL}\r\n50%\r60%\n` }
    return { place, words: [...APPLY, '-y', '-v', '--eval', 'printf %s "$OUTPUT"; false'], env }
  },
  'an error message of git': () => {
    const place = makePlace({ 'configuration.nix': CLEAN })
    const script = `case "$*" in *rev-parse*|*ls-files*) exec /usr/bin/git "$@";; esac; cat >/dev/null; printf '%s' "$OUTPUT" >&2; exit 1`
    spawnSync('git', ['init', '-q', place.nixos])
    const env = program(place, 'git', script)
    return { place, words: [...APPLY, '--yes'], env: { ...env, OUTPUT: `fatal: ${ALL}\n` } }
  },
  'a list of runs': async () => ({ place: await applied(), words: ['undo', '--list'] }),
  'a run that is undone': async () => ({
    place: await applied(),
    words: ['undo', 'configuration.nix', '--yes']
  }),
  'the diff of remove': async () => ({
    place: await applied(),
    words: ['remove', 'configuration.nix', '-n', '-v', OFF]
  }),
  'a damaged record of an interrupted run': async () => {
    const place = makePlace({ 'configuration.nix': CLEAN })
    writeFileSync(join(place.nixos, '.vfio-patch.journal'), `{ "x": "${ALLOWED}`)
    return { place, words: [...APPLY, '--yes'], hasNoEscapes: true }
  },
  'the document of scan --json': onMachine('scan', '--json'),
  'an error in --json': inFile(CLEAN, 'check', `no${ALL}.nix`, '--json')
}

/** Control characters other than the program's own styles, tabs, and line endings of the terminal. */
function foreignIn(sent: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it searches for control characters
  const rest = sent.replace(/\x1b\[(?:0|1|2|7|27|31|32|36|1;31)m|\r+\n/g, '')
  return rest.match(/(?!\u200c|\u200d|[\t\n])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu) ?? []
}

withTools('only main.ts and output.ts write to stdout or stderr', async ({ expect }) => {
  const src = fileURLToPath(new URL('../../src/', import.meta.url))
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(it =>
    /std(?:out|err)\.write|console\.(?:log|error|warn)/.test(
      it.endsWith('.ts') ? readFileSync(join(src, it), 'utf8') : ''
    )
  )
  // main.ts writes only JSON documents, in which control characters are escaped.
  expect(files.sort()).toEqual(['cli/main.ts', 'cli/output/output.ts'])
})

describe('no command sends control characters to a terminal', () => {
  for (const [name, prepare] of Object.entries(CALLS)) {
    test(`no control character of ${name} reaches the terminal`, async ({ expect }) => {
      const { place, words, steps = [], env = {}, hasNoEscapes = false } = await prepare()
      for (const color of ['always', 'never']) {
        const flag =
          words.includes('--color') || words[0]?.startsWith('com') ? [] : [`--color=${color}`]
        const again = color === 'never' ? await prepare() : { place, env, words }
        const { sent } = await sentToTerminal(again.place, [...again.words, ...flag], {
          steps,
          env: again.env ?? {}
        })
        expect(foreignIn(sent)).toEqual([])
        // Planted text must not look like a message of vfio-patch.
        expect(sent).not.toContain('\x1b[31mred')
        expect(sent).not.toMatch(/^vfio-patch: all is well/m)
        if (!hasNoEscapes) expect(sent).toMatch(/\\u\{[0-9a-f]+\}|\\u[0-9a-f]{4}/)
      }
    })
  }
})

describe('output to a pipe', () => {
  withTools('diff prints an exact patch, which git applies', async ({ expect }) => {
    const place = makePlace({ 'configuration.nix': CLEAN.replaceAll('\n', '\r\n') })
    const call = ['diff', 'configuration.nix', '--iommu', 'amd', OFF]
    const { stdout } = await place.run(call)
    expect(
      stdout.startsWith(
        `--- a/configuration.nix\n+++ b/configuration.nix\n@@ -1,5 +1,12 @@\n { ... }:\r\n {\r\n`
      )
    ).toBe(true)
    expect(stdout).toContain(` ${'  '}# ${ALL}\r\n`)
    await place.run([...call, '-o', 'a.patch', '-q'])
    expect(place.read('a.patch')).toBe(stdout)
    const onScreen = await sentToTerminal(place, [...call, '-o', 'b.patch'])
    expect(foreignIn(onScreen.sent)).toEqual([])
    expect(place.read('b.patch')).toBe(stdout)
    const done = spawnSync('git', ['apply', 'a.patch'], { cwd: place.nixos, encoding: 'utf8' })
    expect(done).toMatchObject({ status: 0, stderr: '' })
    expect(place.read('configuration.nix')).toContain(`# ${ALL}\r\n`)
  })

  withTools('a patch quotes a file name with a line break as git does', async ({ expect }) => {
    const name = 'a\n+++ b"x\\y\x1b.nix'
    const place = makePlace({ [name]: '{ ... }: { }\n' })
    const call = ['option', 'set', name, 'a', '1', '-n', OFF]
    const { stdout } = await place.run(call)
    expect(stdout.split('\n').slice(0, 3)).toEqual([
      String.raw`--- "a/a\n+++ b\"x\\y\033.nix"`,
      String.raw`+++ "b/a\n+++ b\"x\\y\033.nix"`,
      '@@ -1,1 +1,3 @@'
    ])
    for (const program of [
      ['git', 'apply'],
      ['patch', '-p1', '-R', '-s']
    ]) {
      const [command = '', ...args] = program
      const done = spawnSync(command, args, { cwd: place.nixos, input: stdout, encoding: 'utf8' })
      expect({ program, ...done }).toMatchObject({ status: 0, stderr: '' })
      expect(place.read(name).includes('a = 1;')).toBe(command === 'git')
    }
  })

  test('diff --color=always escapes control characters', async ({ expect }) => {
    const place = makeInstalled(CLEAN)
    const call = ['diff', 'configuration.nix', '--iommu', 'amd', OFF, '--color=always']
    expect(foreignIn((await place.run(call)).stdout)).toEqual([])
  })

  test('option get prints the exact value', async ({ expect }) => {
    const place = makePlace({ 'configuration.nix': `{ ... }: { a = "${ALL}"; }\n` })
    const { stdout } = await place.run(['option', 'get', 'configuration.nix', 'a'])
    expect(stdout).toBe(`/etc/nixos/configuration.nix:1:12 a = "${ALL}"\n`)
  })

  test('option set and domain keep control characters of their input', async ({ expect }) => {
    const place = makePlace({ 'win10.xml': GUEST('') })
    const module = `{ ... }: { a = 1; # ${ALL}\n}\n`
    const command = [process.execPath, BIN, 'option', 'set', '-', 'a', '2', OFF]
    const outcome = await finish(command, { cwd: place.nixos, env: place.env, input: module })
    expect(outcome.stdout).toBe(module.replace('a = 1', 'a = 2'))
    const domain = await place.run(['domain', 'win10.xml', '--to', 'xml'])
    expect(domain.stdout).toContain('<title>a\u202eb\u009bc</title>')
  })

  test('--json has the exact text, with control characters escaped as JSON', async ({ expect }) => {
    const place = makePlace({ 'configuration.nix': CLEAN })
    const name = `no${ALL}.nix`
    for (const words of [
      ['diff', 'configuration.nix', '--iommu', 'amd', OFF, '--json'],
      ['check', name, '--json']
    ]) {
      const { stdout } = await place.run(words)
      expect(foreignIn(stdout)).toEqual([])
      const document = JSON.parse(stdout)
      const patches = document.files.map((it: { patch?: string }) => it.patch).join('')
      const exact = words[0] === 'check' ? document.error.message : patches
      expect(exact).toContain(ALL.replace('//', words[0] === 'check' ? '/' : '//'))
    }
  })

  test('an error message escapes control characters', async ({ expect }) => {
    const { stderr } = await makePlace().run(['check', `no${ALL}.nix`])
    expect(stderr).toContain(
      String.raw`/no\u{1b}[2J\u{1b}]52;c;ZQ==\u{7}\u{1b}]8;;http:/x\u{7}\u{1b}[31mred\u{8}\u{7f}\u{9b}2J\u{9d}0;t\u{9c}\u{85}\u{202e}abc\u{2066}\u{61c}\u{200f}\u{200b}\u{2028}\u{e0041}.nix does not exist.`
    )
    expect(foreignIn(stderr)).toEqual([])
  })
})
