// `option set`, `add`, `remove` and `import`: the resulting modules.

import { expect, test } from 'vitest'
import { changed, check, given, MODULE, nothing } from './support/option.ts'
import { patch } from './support/text.ts'

const GONE = nothing('has nothing to remove')

test.concurrent('option set replaces the value', async () => {
  await check(
    ['set', 'pc.nix', 'services.openssh.enable', 'false'],
    'enable = true;\n      ports',
    'enable = false;\n      ports'
  )
})

test.concurrent('option set adds a new option next to related ones', async () => {
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

test.concurrent('option set writes Nix as given, but drops a trailing comment', async () => {
  await check(
    ['set', 'pc.nix', 'services.openssh.ports', '[ 22 config.my.port ] # mine'],
    'ports = [ 22 ]',
    'ports = [ 22 config.my.port ]'
  )
})

test.concurrent('option set --string writes the exact text, without interpolation', async () => {
  const value = 'say "hi" to ${USER} at $5 \\o/'
  await check(
    ['set', 'pc.nix', 'services.openssh.ports', '--string', value],
    'ports = [ 22 ]',
    'ports = "say \\"hi\\" to \\${USER} at $5 \\\\o/"'
  )
})

test.concurrent('option set reads true after a switch as the value to set, and with --string as text', async () => {
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
  const place = given()
  const words = ['option', 'set', '-y', 'pc.nix', 'services.openssh.ports', '-v', 'true']
  const { stderr } = await place.run(words)
  expect(stderr).toContain('\npc.nix:16: services.openssh.ports (option set)\n')
  expect(place.read('pc.nix')).toBe(MODULE.replace('[ 22 ]', 'true'))
})

test.concurrent.each([[['-1']], [['--', '-1']], [['--no-input', '--', '-1']]])(
  'option set accepts a value that begins with a dash: %j',
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

test.concurrent('option add adds missing items at the end or the start', async () => {
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

test.concurrent('option add adds a line to a multi-line string', async () => {
  await check(
    ['add', 'pc.nix', 'boot.extraModprobeConfig', '"options kvm ignore_msrs=1"'],
    'nested=1\n',
    'nested=1\n    options kvm ignore_msrs=1\n'
  )
})

test.concurrent('option add --lines adds lines to a one-line string, and sets an option that is not defined', async () => {
  const place = given("{ boot.extraModprobeConfig = 'x'; }\n".replaceAll("'", '"'))
  const words = ['add', 'pc.nix', 'boot.extraModprobeConfig', '--lines', 'options kvm nested=1']
  const outcome = await place.run(['option', ...words, '--yes'])
  expect(outcome).toEqual(changed(outcome.stdout, true))
  expect(place.files()).toEqual({
    'pc.nix': '{ boot.extraModprobeConfig = "x\\noptions kvm nested=1"; }\n'
  })
  expect(await place.run(['option', ...words])).toEqual(nothing())

  const udev = ['option', 'add', 'pc.nix', 'services.udev.extraRules', '--lines', 'a', 'b']
  expect((await place.run([...udev, '--yes'])).code).toBe(0)
  expect(place.files()).toEqual({
    'pc.nix':
      '{ boot.extraModprobeConfig = "x\\noptions kvm nested=1"; services.udev.extraRules = "a\\nb"; }\n'
  })
})

test.concurrent('option remove removes an item, a line or an option', async () => {
  await check(
    ['remove', 'pc.nix', 'services.openssh.ports', '22'],
    'ports = [ 22 ]',
    'ports = [ ]',
    nothing('contains this', 'no list or string of services.openssh.ports in ')
  )
  await check(
    ['remove', 'pc.nix', 'boot.extraModprobeConfig', '--string', 'options kvm nested=1'],
    "''\n    options kvm nested=1\n",
    "''\n",
    nothing('contains this', 'no list or string of boot.extraModprobeConfig in ')
  )
  await check(
    ['remove', 'pc.nix', 'boot.kernelParams'],
    '  boot.kernelParams = [ "quiet" ]; # no noise\n',
    '',
    GONE
  )
})

test.concurrent('option import --remove removes a module, in any spelling', async () => {
  await check(
    ['import', '--remove', 'pc.nix', '././hardware.nix'],
    '[ ./hardware.nix ]',
    '[ ]',
    GONE
  )
  expect(await given().run(['option', 'import', '--remove', 'pc.nix', './vfio'])).toEqual(GONE)
})

test.concurrent('option rename moves an option to another path', async () => {
  await check(
    ['rename', 'pc.nix', 'boot.kernelParams', 'boot.params'],
    'boot.kernelParams',
    'boot.params',
    GONE
  )
  expect(await given().run(['option', 'rename', 'pc.nix', 'a', 'b'])).toEqual(GONE)
})

test.concurrent('option import adds a module unless an equivalent path is already imported', async () => {
  await check(['import', 'pc.nix', './vfio'], './hardware.nix ]', './hardware.nix ./vfio ]')
  expect(await given().run(['option', 'import', 'pc.nix', '././hardware.nix'])).toEqual(nothing())
})
