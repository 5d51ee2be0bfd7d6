// Colors and line widths on a terminal.

import { expect } from 'vitest'
import { makeInstalled } from './support/machine.ts'
import { installedModules, namesOfModules, patchOfModules } from './support/modules.ts'
import { needing } from './support/needing.ts'
import { onTerminal } from './support/onTerminal.ts'
import { makePlace } from './support/place.ts'
import { readable, text } from './support/text.ts'

const test = needing('python3')

const CONFIGURATION = text`
  { ... }:
  {
    imports = [ ./vfio ];
    virtualisation.vfio.IOMMUType = "amd"; # a Ryzen
    system.stateVersion = "26.05";
  }
  `
const DIFF = ['diff', '-U0', 'configuration.nix', '--iommu', 'intel', '--parse-check=off']
const CHECKED = 'Checked: parses (built-in parser only; switched off).'
const HEADLINE = '/etc/nixos/configuration.nix: 2 changes\n'

const PLAIN = text`
  --- a/configuration.nix
  +++ b/configuration.nix
  @@ -4,1 +4,2 @@
  -  virtualisation.vfio.IOMMUType = "amd"; # a Ryzen
  +  virtualisation.vfio.IOMMUType = "intel"; # a Ryzen
  +  virtualisation.vfio.enable = true;
  `
const COLORED = text`
  <bold>--- a/configuration.nix</>
  <bold>+++ b/configuration.nix</>
  <cyan>@@ -4,1 +4,2 @@</>
  <red>-  virtualisation.vfio.IOMMUType = "amd"; # a Ryzen</>
  <green>+  virtualisation.vfio.IOMMUType = "intel"; # a Ryzen</>
  <green>+  virtualisation.vfio.enable = true;</>
  `

test('diff prints colors on a terminal, but not in a pipe', async () => {
  const place = makeInstalled(CONFIGURATION)
  expect(await onTerminal(place, DIFF)).toMatchObject({
    code: 1,
    terminal: `${HEADLINE}${COLORED}${CHECKED}\n`
  })
  expect(await onTerminal(place, DIFF, { pipes: ['stdout'] })).toMatchObject({
    stdout: PLAIN,
    terminal: `${HEADLINE}${CHECKED}\n`
  })
})

// Each row takes precedence over the rows below it.
test.each<[string, string[], Record<string, string>, 'colored' | 'plain']>([
  ['--color=never', ['--color=never'], { FORCE_COLOR: '1' }, 'plain'],
  ['--color=always', ['--color=always'], { FORCE_COLOR: '0', NO_COLOR: '1' }, 'colored'],
  ['FORCE_COLOR=1', [], { FORCE_COLOR: '1', NO_COLOR: '1', TERM: 'dumb' }, 'colored'],
  ['FORCE_COLOR=0', [], { FORCE_COLOR: '0' }, 'plain'],
  ['NO_COLOR', [], { NO_COLOR: '1' }, 'plain'],
  ['an empty NO_COLOR', ['--color=auto'], { NO_COLOR: '', FORCE_COLOR: '' }, 'colored'],
  ['TERM=dumb', [], { TERM: 'dumb' }, 'plain']
])('flags and variables decide on colors: %s', async (_, flags, env, kind) => {
  const place = makeInstalled(CONFIGURATION)
  const { terminal } = await onTerminal(place, [...DIFF, ...flags], { env, pipes: ['stderr'] })
  expect(terminal).toBe(kind === 'colored' ? COLORED : PLAIN)
})

test('diff prints colors in a pipe with --color always or FORCE_COLOR=1', async () => {
  const place = makeInstalled(CONFIGURATION)
  expect(readable((await place.run([...DIFF, '--color', 'always'])).stdout)).toBe(COLORED)
  expect(readable((await place.run(DIFF, { env: { FORCE_COLOR: '1' } })).stdout)).toBe(COLORED)
})

test('diff highlights the words that differ if one line replaces another', async () => {
  const place = makeInstalled(
    CONFIGURATION.replace('IOMMUType', 'enable = true;\n  virtualisation.vfio.IOMMUType')
  )
  expect((await onTerminal(place, DIFF)).terminal).toBe(
    text`
      /etc/nixos/configuration.nix: 1 change
      <bold>--- a/configuration.nix</>
      <bold>+++ b/configuration.nix</>
      <cyan>@@ -5,1 +5,1 @@</>
      <red>-  virtualisation.vfio.IOMMUType = "<reverse>amd</reverse>"; # a Ryzen</>
      <green>+  virtualisation.vfio.IOMMUType = "<reverse>intel</reverse>"; # a Ryzen</>
      ${CHECKED}
      `
  )
})

test('diff lists new modules without their text on a terminal, but prints the text with -v or in a pipe', async () => {
  const place = makePlace({ 'configuration.nix': '{ ... }: { }\n' })
  const call = ['diff', 'configuration.nix', '--iommu', 'amd', '--parse-check=off']
  const own = (await onTerminal(place, call)).terminal
  expect(own).toContain(`${namesOfModules()}${CHECKED}\n`)
  expect(own).not.toContain('/dev/null')

  const verbose = (await onTerminal(place, [...call, '-v', '--color=never'])).terminal
  const why = text`
    configuration.nix:1: imports (modules)
    configuration.nix:1: virtualisation.vfio.enable (always)
    configuration.nix:1: virtualisation.vfio.IOMMUType (--iommu)
    `
  expect(verbose).toContain(`${patchOfModules()}${why}${CHECKED}\n`)
  expect((await place.run(call)).stdout).toContain(patchOfModules())
})

test('diff --replace-modules shows edits of modules that would be lost', async () => {
  const place = makeInstalled(CONFIGURATION)
  const lines = (installedModules()['default.nix'] ?? '').split('\n').length - 1
  place.write('vfio/default.nix', `${installedModules()['default.nix']}# mine\n`)
  const call = [
    'diff',
    '-U0',
    'configuration.nix',
    '--replace-modules',
    '--color=never',
    '--parse-check=off'
  ]
  expect((await onTerminal(place, call)).terminal).toBe(text`
    vfio/: 1 file updated
    --- a/vfio/default.nix
    +++ b/vfio/default.nix
    @@ -${lines + 1},1 +${lines},0 @@
    -# mine
    ${CHECKED}
    `)
})

const LONG = `{ ... }: { boot.kernelParams = [ "quiet" "a" "list" "that" "goes" "on" "and" "on" "and" "on" ; networking.hostName = "workstation"; time.timeZone = "Europe/Berlin"; boot.loader.systemd-boot.enable = true; }\n`
const WIDE = '{ ... }: { networking.hostName = "日本語日本語日本語" [ ; }\n'

test.each<[number, string, string]>([
  [
    40,
    LONG,
    text`
          1 | …"and" "on" ; networking.hostNa…
                         ^
      `
  ],
  [
    80,
    LONG,
    text`
          1 | …" "and" "on" "and" "on" ; networking.hostName = "workstation"; time.ti…
                                      ^
      `
  ],
  [
    200,
    LONG,
    text`
          1 | …= [ "quiet" "a" "list" "that" "goes" "on" "and" "on" "and" "on" ; networking.hostName = "workstation"; time.timeZone = "Europe/Berlin"; boot.loader.systemd-boot.enable = true; }
                                                                              ^
      `
  ],
  [
    40,
    WIDE,
    text`
          1 | …語日本語" [ ; }
                         ^
      `
  ]
])(
  'the caret points to the error on a terminal with %i columns',
  async (width, content, excerpt) => {
    const place = makePlace({ 'configuration.nix': content })
    const call = ['diff', 'configuration.nix', '--iommu', 'amd', '--color', 'never']
    const { terminal } = await onTerminal(place, call, { width })
    const [, source = '', caret = ''] = terminal.split('\n')
    expect(`${source}\n${caret}\n`).toBe(excerpt)
    expect(source.length).toBeLessThanOrEqual(width)
  }
)

test('COLUMNS sets the width of errors in a pipe', async () => {
  const place = makePlace({ 'configuration.nix': LONG })
  const call = ['diff', 'configuration.nix', '--iommu', 'amd']
  const { stderr } = await place.run(call, { env: { COLUMNS: '40' } })
  expect(stderr.split('\n')[1]).toBe('    1 | …"and" "on" ; networking.hostNa…')
})

test('the caret has a color on a terminal', async () => {
  const place = makePlace({ 'configuration.nix': '{ ... }: { a = [ ; }\n' })
  const call = ['diff', 'configuration.nix', '--iommu', 'amd']
  expect(await onTerminal(place, call)).toMatchObject({
    code: 3,
    terminal: text`
      vfio-patch: /etc/nixos/configuration.nix:1:17: "]" is missing here. Nothing was written.
          <dim>1 | </>{ ... }: { a = [ ; }
              <bold red>                ^</>
        Why: a file that Nix can't parse can't be edited safely.
        Do:  fix it, and check it with: nix-instantiate --parse /etc/nixos/configuration.nix
      `
  })
})
