// A definition that moves to another file: both files together still mean the same.

import { expect, it } from 'vitest'
import { moveDefinition, parseDocument } from '../../src/nix/index.ts'
import { nix } from '../nix/support.ts'
import { describeWithOracle, evalConfigs } from './evalModules.ts'

const FROM = nix`
  { config, lib, pkgs, ... }:
  let
    port = 8080;
  in
  {
    # The editor.
    environment.packages = with pkgs; [ vim git ]; # both

    boot = {
      loader.timeout = lib.mkForce 3;
      # Quiet.
      params = [ "quiet" ] ++ lib.optional config.on "splash";
    };
    services.web = rec {
      host = "a";
      url = "http://${'$'}{host}/";
    };
    services.port = port;
    script = ''
      echo a
        echo b
    '';
    on = true;
  }
`

const TO = nix`
  { ... }:
  {
    networking.hostName = "pc";
    boot.loader.timeout2 = 4;
    boot.extra = {
      a = 1;
    };
  }
`

const AROUND = `{ lib, ... }: {
  freeformType = lib.types.lazyAttrsOf lib.types.anything;
  options.on = lib.mkOption { type = lib.types.bool; };
  options.boot.loader.timeout = lib.mkOption { type = lib.types.int; };
  config.boot.loader.timeout = 1;
  config._module.args.pkgs = { vim = "the editor"; git = "the tool"; };
}`

describeWithOracle('a definition that moves to another file', oracle => {
  const options = ['environment.packages', 'boot.loader.timeout', 'boot.params', 'script', 'on']
  const texts = options.map(option => {
    const move = moveDefinition(parseDocument(FROM), option, parseDocument(TO), {
      addFormals: true
    })
    if (!move.ok) throw new Error(move.error.render())
    expect(move.value.from.changed && move.value.to.changed).toBe(true)
    return [move.value.from.text, move.value.to.text] as const
  })
  const view = 'config: builtins.removeAttrs config [ "_module" ]'
  const outcomes = evalConfigs(
    oracle,
    view,
    [[FROM, TO] as const, ...texts].map(it => ({ modules: [AROUND, ...it] }))
  )

  it('is read by Nix at all', () => {
    expect(outcomes[0]?.value).toMatchObject({
      boot: { loader: { timeout: 3 }, params: ['quiet', 'splash'] },
      environment: { packages: ['the editor', 'the tool'] }
    })
  })

  it.each(options.map((it, i) => [it, i] as const))('has the same value in both: %s', (_, i) => {
    expect(outcomes[i + 1]).toEqual(outcomes[0])
  })

  it('is refused where a variable of a let would be missing', () => {
    const move = moveDefinition(parseDocument(FROM), 'services.port', parseDocument(TO))
    expect(move.ok ? '' : move.error.code).toBe('BAD_VALUE')
  })
})
