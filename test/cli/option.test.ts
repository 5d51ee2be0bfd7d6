// The toolkit on the command line: any option of any module.

import { expect, test } from 'vitest'
import { CHECKED } from './support/machine.ts'
import { needing } from './support/needing.ts'
import { onTerminal } from './support/onTerminal.ts'
import { expectRefusal, makePlace, type Outcome, type Place } from './support/place.ts'
import { patch, text } from './support/text.ts'

const FILE = '/etc/nixos/pc.nix'
const SUDO = process.getuid?.() === 0 ? 'sudo ' : ''
const HELP = 'vfio-patch option --help'
const STRING = `a string needs quotes of its own, e.g. '"text"', or --string`

const MODULE = text`
  { config, lib, pkgs, ... }:
  let
    mine = { hidden = 1; };
  in
  {
    imports = [ ./hardware.nix ];

    boot.kernelParams = [ "quiet" ]; # no noise
    boot.extraModprobeConfig = ''
      options kvm nested=1
    '';

    services = {
      openssh = {
        enable = true;
        ports = [ 22 ];
      };
      printing = { };
    };

    networking = lib.mkIf config.my.on {
      hostName = "pc";
      firewall = lib.mkDefault { enable = false; };
    };

    users.users.\${config.my.name}.extraGroups = [ "wheel" ];
    environment = lib.mkMerge [
      { homeBinInPath = true; }
      config.my.environment
    ];
    inherit (mine) hidden;
  }
  `

function given(content = MODULE): Place {
  return makePlace({ 'pc.nix': content })
}

/** What a call says that writes this patch, or shows it only. */
function changed(stdout: string, written: boolean): Outcome {
  const wrote = text`
    Wrote ${FILE}.
    Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo ${FILE}
    `
  const shown = `${FILE}: 1 change\n${CHECKED}\n`
  return { code: written ? 0 : 1, stdout, stderr: shown + (written ? wrote : '') }
}

function nothing(why = 'says all this already'): Outcome {
  return { code: 0, stdout: '', stderr: `Nothing to do: ${FILE} ${why}.\n` }
}

/** The call changes one piece of the module into another, and then has nothing to do. */
async function check(
  words: readonly string[],
  before: string,
  after: string,
  done = nothing()
): Promise<void> {
  const place = given()
  expect(MODULE.split(before)).toHaveLength(2)
  const outcome = await place.run(['option', ...words, '--yes'])
  expect(outcome).toEqual(changed(outcome.stdout, true))
  expect(outcome.stdout).toMatch(/^--- a\/pc\.nix\n\+\+\+ b\/pc\.nix\n@@ /)
  expect(place.files()).toEqual({ 'pc.nix': MODULE.replace(before, () => after) })
  const written = place.snapshot()
  expect(await place.run(['option', ...words])).toEqual(done)
  expect(place.snapshot()).toEqual(written)
}

test.concurrent.each([
  ['dotted', 'boot.kernelParams', `:8:3 boot.kernelParams = [ "quiet" ]`],
  ['nested', 'services.openssh.ports', ':16:7 services.openssh.ports = [ 22 ]'],
  [
    'whole, over several lines',
    'services',
    ':13:3 services = {\n    openssh = {\n      enable = true;\n      ports = [ 22 ];\n    };\n    printing = { };\n  }'
  ],
  [
    'in parts',
    'boot',
    `:8:3 boot.kernelParams = [ "quiet" ]\n${FILE}:9:3 boot.extraModprobeConfig = ''\n    options kvm nested=1\n  ''`
  ],
  [
    'under a condition',
    'networking.hostName',
    ':22:5 networking.hostName = "pc" # only if config.my.on'
  ],
  [
    'under a condition, with a priority',
    'networking.firewall.enable',
    ':23:32 networking.firewall.enable = false # only if config.my.on; with lib.mkDefault'
  ],
  ['computed', 'users', ':26:3 users.users.${…}.extraGroups = [ "wheel" ]'],
  ['inherited', 'hidden', ':31:18 hidden = hidden # inherited'],
  ['a name in quotes', '"services" . "printing"', ':18:5 services.printing = { }']
])('get: %s', async (_, path, block) => {
  const place = given()
  const before = place.snapshot()
  const expected = { code: 0, stdout: `${FILE}${block}\n`, stderr: '' }
  expect(await place.run(['option', 'get', 'pc.nix', path])).toEqual(expected)
  expect(place.snapshot()).toEqual(before)
})

test.concurrent('get: several definitions of one option', async () => {
  const place = given('{\n  a.b = 1;\n  a = { b = 2; };\n}\n')
  expect(await place.run(['option', 'get', 'pc.nix', 'a.b'])).toEqual({
    code: 0,
    stdout: `${FILE}:2:3 a.b = 1\n${FILE}:3:9 a.b = 2\n`,
    stderr: ''
  })
})

test.concurrent('get: an option that is not defined', async () => {
  const stderr = `vfio-patch: ${FILE} does not define sound.enable.\n`
  await expectRefusal(given(), ['option', 'get', 'pc.nix', 'sound.enable'], { code: 1, stderr })
  await expectRefusal(given(), ['option', 'get', 'pc.nix', 'sound.enable', '-q'], {
    code: 1,
    stderr: ''
  })
  await expectRefusal(given('{ }\n'), ['option', 'get', 'pc.nix', '--flat'], {
    code: 1,
    stderr: `vfio-patch: ${FILE} does not define anything.\n`
  })
})

test.concurrent('get --flat: a line for each option', async () => {
  const place = given()
  expect(await place.run(['option', 'get', 'pc.nix', '--flat'])).toEqual({
    code: 0,
    stdout: text`
      imports = [ ./hardware.nix ]
      boot.kernelParams = [ "quiet" ]
      boot.extraModprobeConfig = '' …
      services.openssh.enable = true
      services.openssh.ports = [ 22 ]
      services.printing = { }
      networking.hostName = "pc"
      networking.firewall.enable = false
      users.users.\${…}.extraGroups = [ "wheel" ]
      environment.homeBinInPath = true
      environment = config.my.environment
      hidden = hidden
      `,
    stderr: ''
  })
  expect((await place.run(['option', 'get', 'pc.nix', 'services', '--flat'])).stdout).toBe(text`
    services.openssh.enable = true
    services.openssh.ports = [ 22 ]
    services.printing = { }
    `)
})

test.concurrent('get --flat: what stands in config is named without it', async () => {
  const place = given(text`
    { config, lib, ... }:
    {
      options.my.on = lib.mkEnableOption "it";
      config = lib.mkIf config.my.on (if true then { a.b = f { c = 1; }; } else { "d e" = x // { f = 2; }; });
    }
    `)
  expect(await place.run(['option', 'get', 'pc.nix', '--flat'])).toEqual({
    code: 0,
    stdout: text`
      options.my.on = lib.mkEnableOption "it"
      a.b = f { c = 1; }
      "d e" = x
      "d e".f = 2
      `,
    stderr: ''
  })
})

test.concurrent('set: the value is replaced', async () => {
  await check(
    ['set', 'pc.nix', 'services.openssh.enable', 'false'],
    'enable = true;\n      ports',
    'enable = false;\n      ports'
  )
})

test.concurrent('set: a new option goes beside its relatives', async () => {
  const place = given()
  const stdout = patch`
    --- a/pc.nix
    +++ b/pc.nix
    @@ -14,6 +14,7 @@
         openssh = {
           enable = true;
           ports = [ 22 ];
    +      settings.X11Forwarding = false;
         };
         printing = { };
       };
    `
  const words = ['option', 'set', 'pc.nix', 'services.openssh.settings.X11Forwarding', 'false']
  expect(await place.run([...words, '--yes'])).toEqual(changed(stdout, true))
  expect(await place.run(words)).toEqual(nothing())
})

test.concurrent('set: a piece of Nix stands as it was given, without the comments around it', async () => {
  await check(
    ['set', 'pc.nix', 'services.openssh.ports', '[ 22 config.my.port ] # mine'],
    'ports = [ 22 ]',
    'ports = [ 22 config.my.port ]'
  )
})

test.concurrent('set --string: what stands there, and nothing is computed', async () => {
  const value = 'say "hi" to ${USER} at $5 \\o/'
  await check(
    ['set', 'pc.nix', 'services.openssh.ports', '--string', value],
    'ports = [ 22 ]',
    'ports = "say \\"hi\\" to \\${USER} at $5 \\\\o/"'
  )
})

test.concurrent('set --string: true is a word like others, also behind a switch', async () => {
  for (const words of [
    ['--string', 'true'],
    ['true', '--string']
  ]) {
    await check(
      ['set', 'pc.nix', 'services.openssh.ports', ...words],
      'ports = [ 22 ]',
      'ports = "true"'
    )
  }
  await check(
    ['set', 'pc.nix', 'services.openssh.ports', '-v', 'true'],
    'ports = [ 22 ]',
    'ports = true'
  )
})

test.concurrent.each([[['-1']], [['--', '-1']], [['--no-input', '--', '-1']]])(
  'set: a value that begins with a dash: %j',
  async words => {
    const place = given('{ }\n')
    expect(await place.run(['option', 'set', '-qy', 'pc.nix', 'a', ...words])).toEqual({
      code: 0,
      stdout: '',
      stderr: ''
    })
    expect(place.files()).toEqual({ 'pc.nix': '{\n  a = -1;\n}\n' })
  }
)

test.concurrent('add: items that are not there yet, at the end or the start', async () => {
  await check(
    ['add', 'pc.nix', 'boot.kernelParams', '"debug"', '"quiet"', "''splash''"],
    '[ "quiet" ]',
    '[ "quiet" "debug" "splash" ]'
  )
  await check(
    ['add', 'pc.nix', 'boot.kernelParams', '--string', '--at', 'start', 'debug', 'a b'],
    '[ "quiet" ]',
    '[ "debug" "a b" "quiet" ]'
  )
  await check(
    ['add', 'pc.nix', 'services.openssh.ports', '2222', 'config.my.port', 'lib.id 3'],
    '[ 22 ]',
    '[ 22 2222 config.my.port (lib.id 3) ]'
  )
})

test.concurrent('add: lines of a text', async () => {
  await check(
    ['add', 'pc.nix', 'boot.extraModprobeConfig', '"options kvm ignore_msrs=1"'],
    'nested=1\n',
    'nested=1\n    options kvm ignore_msrs=1\n'
  )
})

test.concurrent('remove: an item, a line, an option', async () => {
  const gone = nothing('does not say any of this')
  await check(
    ['remove', 'pc.nix', 'services.openssh.ports', '22'],
    'ports = [ 22 ]',
    'ports = [ ]',
    gone
  )
  await check(
    ['remove', 'pc.nix', 'boot.extraModprobeConfig', '--string', 'options kvm nested=1'],
    "''\n    options kvm nested=1\n",
    "''\n",
    gone
  )
  await check(
    ['remove', 'pc.nix', 'boot.kernelParams'],
    '  boot.kernelParams = [ "quiet" ]; # no noise\n',
    '',
    gone
  )
})

test.concurrent('import: a module, in any spelling', async () => {
  await check(['import', 'pc.nix', './vfio'], './hardware.nix ]', './hardware.nix ./vfio ]')
  expect(await given().run(['option', 'import', 'pc.nix', '././hardware.nix'])).toEqual(nothing())
})

test.concurrent('-n shows the change, -o keeps it, and undo takes it back', async () => {
  const place = given()
  const before = place.snapshot()
  const words = ['option', 'set', 'pc.nix', 'services.openssh.enable', 'false']
  const stdout = patch`
    --- a/pc.nix
    +++ b/pc.nix
    @@ -15,1 +15,1 @@
    -      enable = true;
    +      enable = false;
    `
  expect(await place.run([...words, '-n', '-U0'])).toEqual(changed(stdout, false))
  expect(place.snapshot()).toEqual(before)
  expect(await place.run([...words, '-U0', '-nqo', 'a.patch'])).toEqual({
    code: 1,
    stdout: '',
    stderr: ''
  })
  expect(place.read('a.patch')).toBe(stdout)

  expect(await place.run([...words, '-yU0'])).toEqual(changed(stdout, true))
  expect((await place.run(['undo', '--list'])).stdout).toBe(`RUN-1  option set  ${FILE}\n`)
  expect(await place.run(['undo', '-qy', 'pc.nix'])).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(place.read('pc.nix')).toBe(MODULE)
})

test.concurrent('undo refuses after an edit', async () => {
  const place = given()
  await place.run(['option', 'set', '-qy', 'pc.nix', 'sound.enable', 'true'])
  place.write('pc.nix', '{ }\n')
  await expectRefusal(place, ['undo', '--yes', 'pc.nix'], {
    code: 5,
    stderr: text`
      vfio-patch: ${FILE} was edited after the last option set, so undo would lose those edits. Nothing was written.
        Do:  take the change out by hand
      `
  })
})

test.concurrent('--no-backup keeps nothing to go back to', async () => {
  const place = given()
  const words = ['option', 'set', 'pc.nix', 'sound.enable', 'true', '--yes', '--no-backup']
  const { code, stderr } = await place.run(words)
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: `${FILE}: 1 change\n${CHECKED}\nWrote ${FILE}.\n`
  })
  expect((await place.run(['undo', '--yes', 'pc.nix'])).code).toBe(4)
})

test.concurrent('modules of every kind, below --root too', async () => {
  const content = '{ pkgs, ... }:\n{\n  home.packages = [ pkgs.vim ];\n}\n'
  const place = makePlace({ 'home.nix': content })
  const words = ['option', 'add', '-qy', `${place.nixos}/home.nix`, 'home.packages', 'pkgs.git']
  expect(await place.run([...words, '--root', place.top])).toEqual({
    code: 0,
    stdout: '',
    stderr: ''
  })
  expect(place.read('home.nix')).toBe(content.replace('pkgs.vim', 'pkgs.vim pkgs.git'))
})

needing('python3')('the question is asked on a terminal', async () => {
  const place = given('{\n  a = 1;\n}\n')
  const words = ['option', 'set', 'pc.nix', 'a', '2', '--parse-check=off', '--color=never']
  const steps = [{ until: '[y/N] ', send: 'y\r' }]
  expect(await onTerminal(place, words, { steps })).toEqual({
    terminal: text`
      ${FILE}: 1 change
      --- a/pc.nix
      +++ b/pc.nix
      @@ -1,3 +1,3 @@
       {
      -  a = 1;
      +  a = 2;
       }
      Checked: parses (own parser only; switched off).
      Write these changes? [y/N] y
      Wrote ${FILE}.
      Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo ${FILE}
      `,
    stdout: '',
    stderr: '',
    code: 0,
    restored: true
  })
  expect(place.read('pc.nix')).toBe('{\n  a = 2;\n}\n')
})

test.concurrent('without a terminal, nothing is written unless --yes says so', async () => {
  const place = given('{\n  a = 1;\n}\n')
  const { code, stderr } = await place.run(['option', 'set', 'pc.nix', 'a', '2'])
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: text`
      ${FILE}: 1 change
      ${CHECKED}
      vfio-patch: cannot ask for confirmation: standard input is not a terminal. Nothing was written.
        Do:  look at the change with --dry-run, then add --yes
      `
  })
  expect(place.files()).toEqual({ 'pc.nix': '{\n  a = 1;\n}\n' })
})

/** Calls with the module on standard input. */
function filter(words: readonly string[], input: string): Promise<Outcome> {
  const script = `printf %s '${input.replaceAll("'", "'\\''")}' | "$@"`
  return makePlace().run(['option', ...words], { script })
}

test.concurrent('-: from standard input to standard output', async () => {
  expect(await filter(['set', '-', 'services.printing.enable', 'true'], MODULE)).toEqual({
    code: 0,
    stdout: MODULE.replace('printing = { };', 'printing = {\n      enable = true;\n    };'),
    stderr: ''
  })
  expect(await filter(['remove', '-', 'services'], '{ services.a = 1;\r\n}')).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^\{\s*\}$/),
    stderr: ''
  })
  expect(await filter(['import', '-', './hardware.nix'], MODULE)).toEqual({
    code: 0,
    stdout: MODULE,
    stderr: 'Nothing to do: standard input says all this already.\n'
  })
  expect(await filter(['get', '-', 'services.printing'], MODULE)).toEqual({
    code: 0,
    stdout: '-:18:5 services.printing = { }\n',
    stderr: ''
  })
})

test.concurrent('-: a refusal puts nothing out', async () => {
  expect(await filter(['add', '-', 'a', '2'], '{ a = { }; }\n')).toEqual({
    code: 3,
    stdout: '',
    stderr: expect.stringMatching(/^vfio-patch: -:1:7: .*\n {4}1 \| \{ a = \{ \}; \}\n {14}\^/)
  })
  expect(await filter(['get', '-', 'a'], '')).toEqual({
    code: 3,
    stdout: '',
    stderr: text`
      vfio-patch: standard input is empty. Nothing was written.
        Do:  pass a module, that is a file like { config, pkgs, ... }: { … }
      `
  })
  for (const flag of ['--dry-run', '--output=a.patch']) {
    expect(await filter(['set', '-', 'a', '2', flag], '{ }')).toEqual({
      code: 2,
      stdout: '',
      stderr: text`
        vfio-patch: ${flag.replace(/=.*/, '')} does not go with "-".
          Why: nothing is written to a file then; the result goes to standard output.
          Do:  name the file, or leave the flag away
        `
    })
  }
})

test.concurrent('what can not be edited safely is refused, with its place', async () => {
  await expectRefusal(given(), ['option', 'set', 'pc.nix', 'networking.hostName', '"a"', '-y'], {
    code: 3,
    stderr: text`
      vfio-patch: ${FILE}:22:5: networking.hostName is defined here only if config.my.on. Nothing was written.
          22 |     hostName = "pc";
                   ^^^^^^^^^^^^^^^^
        Do:  define it in a module of its own and import that, or choose this definition
      `
  })
  await expectRefusal(given('{\n  a = [ 1 ;\n}\n'), ['option', 'get', 'pc.nix', 'a'], {
    code: 3,
    stderr: text`
      vfio-patch: ${FILE}:2:10: "]" is missing here.
          2 |   a = [ 1 ;
                       ^
        Why: a file that Nix can not parse can not be edited safely either.
        Do:  mend it, and check it with: nix-instantiate --parse ${FILE}
      `
  })
  const { code, stderr } = await given().run(['option', 'add', 'pc.nix', 'services', '1', '-y'])
  expect({ code, stderr }).toEqual({
    code: 3,
    stderr: expect.stringMatching(
      /^vfio-patch: \/etc\/nixos\/pc\.nix:13:\d+: .*\n {4}13 \| .*\n +\^/
    )
  })
})

needing('nix-instantiate')('a word without quotes is a name, and Nix knows none such', async () => {
  const place = given('{ ... }:\n{\n  boot.kernelParams = [ "quiet" ];\n}\n')
  const before = place.snapshot()
  const words = ['option', 'add', 'pc.nix', 'boot.kernelParams', 'debug', '--yes']
  const { code, stdout, stderr } = await place.run(words)
  expect({ code, stdout }).toEqual({ code: 6, stdout: '' })
  expect(stderr).toContain("undefined variable 'debug'")
  const [first, ...more] = stderr.trimEnd().split('\n')
  expect([first, more.at(-1)]).toEqual([
    `vfio-patch: Nix would not accept what ${FILE} would become. Nothing was written.`,
    '  Do:  see whether a name in the value is defined there; text needs quotes, or --string'
  ])
  expect(place.snapshot()).toEqual(before)
})

test.concurrent('a file that is not there', async () => {
  await expectRefusal(given(), ['option', 'set', 'p.nix', 'a', '1'], {
    code: 4,
    stderr: text`
      vfio-patch: /etc/nixos/p.nix does not exist.
        Do:  see whether the name is right
      `
  })
  const place = makePlace({ 'hosts/pc.nix': '{ }\n' })
  await expectRefusal(place, ['option', 'add', 'hosts', '--string', '--', 'a', '-b c'], {
    code: 4,
    stderr: text`
      vfio-patch: there is no configuration.nix in /etc/nixos/hosts.
        Do:  pass the file: vfio-patch option add /etc/nixos/hosts/YOUR-FILE.nix --string -- a '-b c'
      `
  })
})

/** The words behind `option`, what is said of them, and the lines behind that. */
type Case = [words: string[], what: string, ...more: string[]]

const GET = 'Do:  vfio-patch option get FILE PATH'
const ALL = '     or all of a file: vfio-patch option get FILE --flat'
const SET = 'Do:  vfio-patch option set FILE PATH VALUE'
const BLANKS = 'Why: a value with blanks needs quotes around it for the shell.'

test.concurrent.each<Case>([
  [[], '"option" needs to know what to do: get, set, add, remove or import.', `Do:  ${HELP}`],
  [['sett'], 'unknown command "option sett". Did you mean "option set"?', `Do:  ${HELP}`],
  [['pc.nix', 'a'], 'unknown command "option pc.nix".', `Do:  ${HELP}`],
  [['get'], '"option get" needs a file.', GET, ALL],
  [['get', 'pc.nix'], '"option get" needs the path of an option.', GET, ALL],
  [['get', 'pc.nix', 'a', 'b'], '"b" is one too many for "option get".', BLANKS, GET],
  [['set', 'pc.nix'], '"option set" needs the path of an option.', SET],
  [['set', 'pc.nix', 'a'], '"option set" needs a value for a.', SET],
  [['set', 'pc.nix', 'a', 'f', 'x'], '"x" is one too many for "option set".', BLANKS, SET],
  [
    ['add', 'pc.nix', 'a'],
    '"option add" needs a value for a.',
    'Do:  vfio-patch option add FILE PATH VALUE...'
  ],
  [
    ['remove', 'pc.nix'],
    '"option remove" needs the path of an option.',
    'Do:  vfio-patch option remove FILE PATH [VALUE...]'
  ],
  [
    ['import', 'pc.nix'],
    '"option import" needs the module to import.',
    'Do:  vfio-patch option import FILE MODULE'
  ],
  [['set', 'pc.nix', 'a', ''], 'the value "" says nothing.', `Do:  ${STRING}`],
  [
    ['set', 'pc.nix', 'a', '[ 1'],
    'the value is not Nix: "]" is missing here.',
    '  1 | [ 1',
    '         ^',
    `Do:  ${STRING}`
  ],
  [['add', 'pc.nix', 'a', '1', '--at', '2'], '--at takes end or start, got "2".'],
  [['get', 'pc.nix', 'a', '--yes'], '--yes does not go with "option get".', `Do:  ${HELP}`],
  [['set', 'pc.nix', 'a', '1', '--flat'], '--flat does not go with "option set".', `Do:  ${HELP}`],
  [['set', 'pc.nix', 'a', '1', '--at=end'], '--at does not go with "option set".', `Do:  ${HELP}`],
  [['set', 'pc.nix', 'a', '1', '--user', 'b'], '--user does not go with "option".', `Do:  ${HELP}`],
  [
    ['set', 'pc.nix', 'a', '1', '--strng'],
    'unknown option "--strng". Did you mean "--string"?',
    `Do:  ${HELP}`
  ],
  [
    ['set', 'pc.nix', 'a', '1', '-q'],
    '--quiet does not go with a question.',
    'Do:  add --yes, or leave --quiet away'
  ]
])('calls that can not be meant: %j', async (words, ...said) => {
  const stderr = `vfio-patch: ${said.join('\n  ')}\n`
  await expectRefusal(given(), ['option', ...words], { code: 2, stderr })
})

test.concurrent.each([
  [['set', 'pc.nix', 'a..b', '1'], /a\.\.b.* is not an attribute path/],
  [['import', 'pc.nix', 'vfio'], /"vfio" is not a path that can be imported/],
  [
    ['add', 'pc.nix', 'boot.extraModprobeConfig', '3'],
    /boot\.extraModprobeConfig is a string.*\n {2}Do: {2}give lines, each as one value, with --string\n$/
  ]
])('words that are none: %j', async (words, what) => {
  const place = given()
  const before = place.snapshot()
  const outcome = await place.run(['option', ...words])
  expect(outcome).toEqual({ code: 2, stdout: '', stderr: expect.stringMatching(what) })
  expect(place.snapshot()).toEqual(before)
})
