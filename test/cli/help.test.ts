import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { COMMANDS, FLAGS } from '../../src/cli/args/flags.ts'
import { renderHelp } from '../../src/cli/args/renderHelp.ts'
import { formatFlag } from '../../src/settings/flag.ts'
import { VERSION } from './support/modules.ts'
import { makePlace } from './support/place.ts'
import { text } from './support/text.ts'

const OVERVIEW = text`
  vfio-patch sets up GPU passthrough in your NixOS configuration.

  Usage: vfio-patch COMMAND [FILE] [FLAGS]

  Commands:
    vfio-patch scan           show which graphics cards a guest can have
    vfio-patch apply [FILE]   set up passthrough: show changes, ask, write them
    vfio-patch diff [FILE]    show what apply would change, and write nothing
    vfio-patch check [FILE]   find problems in FILE, and how to fix them
    vfio-patch remove [FILE]  remove vfio-patch from FILE, keeping your own edits
    vfio-patch undo [FILE]    undo the last run that changed FILE, byte for byte
    vfio-patch option ACTION  read or edit any option, or import a module
    vfio-patch domain FILE    convert a libvirt guest (XML) to Nix, or back

  Flags:
    -h, --help     print this help
    -V, --version  print the version

  "vfio-patch COMMAND --help" lists the flags of a command. Start with "vfio-patch
  scan", which ends with the next step.

  Exit codes:
    0    done, or nothing to do
    1    there are changes that were not written
    2    wrong arguments
    3    refused: the file cannot be edited safely
    4    a file cannot be read or written
    5    a file changed in the meantime
    6    the result failed a check
    7    the change would lock you out
    8    written, but something went wrong afterwards
    130  canceled
  `

test.concurrent('a call without a command prints the overview as an error', async () => {
  expect(await makePlace().run([])).toEqual({ code: 2, stdout: '', stderr: OVERVIEW })
})

test.concurrent.each([['--help'], ['-h'], ['--help', '--color=always']])(
  '%s prints the overview',
  async (...words) => {
    expect(await makePlace().run(words)).toEqual({ code: 0, stdout: OVERVIEW, stderr: '' })
  }
)

test.concurrent.each([[['--version']], [['-V']], [['diff', '-V']]])(
  '%j prints the version',
  async words => {
    const stdout = `vfio-patch ${VERSION}\n`
    expect(await makePlace().run(words)).toEqual({ code: 0, stdout, stderr: '' })
  }
)

test.concurrent.each(COMMANDS)('the help of %s lists all flags in 80 columns', async command => {
  const { code, stdout, stderr } = await makePlace().run([command, '--help'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const widest = Math.max(...stdout.split('\n').map(it => it.length))
  expect(widest).toBeLessThanOrEqual(80)

  const flags = FLAGS.filter(it => it.commands.includes(command) && it.name !== 'version')
  const listed = [...stdout.matchAll(/^(?: {2}(-\w), | {6})(--[\w-]+)/gm)]
  expect(listed.map(([, short, long]) => [short, long]).sort()).toEqual(
    flags.map(it => [it.short && `-${it.short}`, formatFlag(it)]).sort()
  )
  // The help does not depend on the file or on other flags.
  expect((await makePlace().run([command, '/no/such/file', '-h', '--color', 'never'])).stdout).toBe(
    stdout
  )
})

test.each([undefined, ...COMMANDS])(
  'the help of %s that the build contains is the one that yargs renders',
  async it => {
    const file = new URL('../../dist/cli/args/help.json', import.meta.url)
    expect(JSON.parse(readFileSync(file, 'utf8'))[it ?? '']).toBe(await renderHelp(it))
  }
)

test('the help of apply shows arguments, defaults, groups and the --no- form', async () => {
  const help = await renderHelp('apply')
  for (const line of [
    'Usage: vfio-patch apply [FILE] [FLAGS]',
    '  FILE  the configuration; default $NIXOS_CONFIG or /etc/nixos/configuration.nix',
    'Settings of the host (a switch also has a --no- form, e.g. --no-disable-efifb):',
    '      --iommu intel|amd               the vendor of the CPU',
    '      --hugepages SIZE:COUNT  huge pages for guests, e.g. 1G:16',
    '  -U, --unified N         lines of context in the diff; default 3',
    '      --no-backup         save no backup, so undo is impossible; needs --yes',
    '  vfio-patch apply --gpu 0000:01:00.0  pass this card through to guests'
  ]) {
    expect(help.split('\n')).toContain(line)
  }
})
