// `option get`: where an option is defined.

import { expect, test } from 'vitest'
import { FILE, given } from './support/option.ts'
import { expectRefusal } from './support/place.ts'
import { text } from './support/text.ts'

test.concurrent.each([
  ['a dotted option', 'boot.kernelParams', `:8:3 boot.kernelParams = [ "quiet" ]`],
  ['a nested option', 'services.openssh.ports', ':16:7 services.openssh.ports = [ 22 ]'],
  [
    'an attribute set over several lines',
    'services',
    ':13:3 services = {\n    openssh = {\n      enable = true;\n      ports = [ 22 ];\n    };\n    printing = { };\n  }'
  ],
  [
    'an option in several parts',
    'boot',
    `:8:3 boot.kernelParams = [ "quiet" ]\n${FILE}:9:3 boot.extraModprobeConfig = ''\n    options kvm nested=1\n  ''`
  ],
  [
    'an option under a condition',
    'networking.hostName',
    ':22:5 networking.hostName = "pc" # only if config.my.on'
  ],
  [
    'an option under a condition, with a priority',
    'networking.firewall.enable',
    ':23:32 networking.firewall.enable = false # only if config.my.on; with lib.mkDefault'
  ],
  ['a computed name', 'users', ':26:3 users.users.${…}.extraGroups = [ "wheel" ]'],
  ['an inherited value', 'hidden', ':31:18 hidden = hidden # inherited'],
  ['a name in quotes', '"services" . "printing"', ':18:5 services.printing = { }']
])('option get prints %s', async (_, path, block) => {
  const place = given()
  const before = place.snapshot()
  const expected = { code: 0, stdout: `${FILE}${block}\n`, stderr: '' }
  expect(await place.run(['option', 'get', 'pc.nix', path])).toEqual(expected)
  expect(place.snapshot()).toEqual(before)
})

test.concurrent('option get prints several definitions of one option', async () => {
  const place = given('{\n  a.b = 1;\n  a = { b = 2; };\n}\n')
  expect(await place.run(['option', 'get', 'pc.nix', 'a.b'])).toEqual({
    code: 0,
    stdout: `${FILE}:2:3 a.b = 1\n${FILE}:3:9 a.b = 2\n`,
    stderr: ''
  })
})

test.concurrent('option get refuses an option that is not defined', async () => {
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

test.concurrent('option get --flat prints a line for each option', async () => {
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

test.concurrent('option get --flat omits the prefix config', async () => {
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
