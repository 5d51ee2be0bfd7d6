// A module for the tests of `option`, and the expected outcomes of its calls.

import { expect } from 'vitest'
import { CHECKED } from './machine.ts'
import { makePlace, type Outcome, type Place } from './place.ts'
import { text } from './text.ts'

export const FILE = '/etc/nixos/pc.nix'
export const SUDO = process.getuid?.() === 0 ? 'sudo ' : ''
export const HELP = 'vfio-patch option --help'
export const STRING = `a text value needs Nix quotes inside the shell quotes, e.g. '"text"', or --string`

export const MODULE = text`
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

export function given(content = MODULE): Place {
  return makePlace({ 'pc.nix': content })
}

/** The outcome of a call that shows this patch and, if `isWritten`, writes the change. */
export function changed(stdout: string, isWritten: boolean): Outcome {
  const wrote = text`
    Wrote ${FILE}.
    Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo ${FILE}
    `
  const shown = `${FILE}: 1 change\n${CHECKED}\n`
  return { code: isWritten ? 0 : 1, stdout, stderr: shown + (isWritten ? wrote : '') }
}

export function nothing(why = 'is already up to date', where = ''): Outcome {
  return { code: 0, stdout: '', stderr: `Nothing to do: ${where}${FILE} ${why}.\n` }
}

/** Expects that a call replaces `before` in the module with `after`, and that a second call has nothing to do. */
export async function check(
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
