import { expect, test } from 'vitest'
import { COMMANDS, FLAGS } from '../../src/cli/args/flags.ts'
import { formatFlag } from '../../src/settings/flag.ts'
import { VERSION } from './support/modules.ts'
import { makePlace } from './support/place.ts'
import { text } from './support/text.ts'

const OVERVIEW = text`
  vfio-patch sets up GPU passthrough in the NixOS configuration that you have.

  Usage: vfio-patch COMMAND [FILE] [FLAGS]

  Commands:
    scan    show the graphics cards of this machine, and which a guest can have
    apply   show what would change, ask, and write it
    diff    show what would change, and write nothing (as "apply --dry-run")
    check   tell what in FILE does not work, why, and what to do about it
    remove  take everything of ours out of FILE again, and keep your edits
    undo    take the last run that changed FILE back, byte for byte
    option  get, set, add to or remove any option of any module, or import one
    domain  turn a guest of libvirt (its XML) into Nix, or back

  Begin with "vfio-patch scan"; it ends with what to do next.
  FILE is $NIXOS_CONFIG or /etc/nixos/configuration.nix unless you name one.

    vfio-patch COMMAND --help    the flags of a command
    vfio-patch --version

  Exit codes: 0 done or nothing to do, 1 differences that were not written,
  2 usage, 3 refused (this file can not be edited safely), 4 can not read or
  write, 5 changed meanwhile, 6 the result failed a check, 7 it would lock
  you out, 8 written with trouble, 130 cancelled.
  `

test.concurrent('without a command, the help is an error', async () => {
  expect(await makePlace().run([])).toEqual({ code: 2, stdout: '', stderr: OVERVIEW })
})

test.concurrent.each([['--help'], ['-h'], ['--help', '--color=always']])(
  '%s %s',
  async (...words) => {
    expect(await makePlace().run(words)).toEqual({ code: 0, stdout: OVERVIEW, stderr: '' })
  }
)

test.concurrent.each([[['--version']], [['-V']], [['diff', '-V']]])('%j', async words => {
  const stdout = `vfio-patch ${VERSION}\n`
  expect(await makePlace().run(words)).toEqual({ code: 0, stdout, stderr: '' })
})

test.concurrent.each(COMMANDS)('the help of %s', async command => {
  const { code, stdout, stderr } = await makePlace().run([command, '--help'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const widest = Math.max(...stdout.split('\n').map(it => it.length))
  expect(widest).toBeLessThanOrEqual(80)

  const flags = FLAGS.filter(it => it.commands.includes(command) && it.name !== 'version')
  const listed = [...stdout.matchAll(/^ +(?:(-\w), )?(--[\w-]+)/gm)]
  expect(listed.map(([, short, long]) => [short, long]).sort()).toEqual(
    flags.map(it => [it.short && `-${it.short}`, formatFlag(it)]).sort()
  )
  // Also where the file is wrong, and beside other flags.
  expect((await makePlace().run([command, '/no/such/file', '-h', '--color', 'never'])).stdout).toBe(
    stdout
  )
})
