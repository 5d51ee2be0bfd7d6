// Findings about the scripts that libvirt runs when a guest starts and stops.

import type { FindingText } from '../finding.ts'

export function hookInEtc(): FindingText {
  return {
    code: 'HOOK_PLACE',
    level: 'problem',
    message: 'libvirt on NixOS does not run hooks from /etc/libvirt/hooks',
    why: 'it runs only hooks in /var/lib/libvirt/hooks, so this hook is never called.',
    remedy: 'set virtualisation.libvirtd.hooks.qemu.NAME to the path or package of the hook'
  }
}

export function hookCallsVirsh(): FindingText {
  return {
    code: 'HOOK_CALLS_VIRSH',
    level: 'problem',
    message: 'a hook must not call virsh',
    why: 'libvirt waits for the hook to end, and virsh waits for libvirt.',
    remedy:
      "remove the call: with <hostdev managed='yes'>, libvirt takes devices from the host and returns them itself"
  }
}

/** The hook starts with `#!/usr/bin/env bash`. */
export function hookFindsNoBash(): FindingText {
  return hookShell(
    'env finds no bash when libvirt runs the hook',
    "the PATH of libvirt's service does not include the programs of the system."
  )
}

/** `path` is an interpreter that NixOS does not have, such as `/bin/bash`. */
export function hookInterpreterMissing(path: string): FindingText {
  return hookShell(
    `NixOS has no ${path}`,
    'programs are in the Nix store; only /bin/sh and /usr/bin/env are where other systems have them.'
  )
}

function hookShell(message: string, why: string): FindingText {
  return {
    code: 'HOOK_SHELL',
    level: 'problem',
    message,
    why,
    remedy: 'write the script with pkgs.writeShellScript, which adds a working shebang line'
  }
}
