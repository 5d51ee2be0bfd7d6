import { type Entry, spellingOf, type View } from './configuration.ts'
import { findingAt } from './find.ts'
import type { Finding } from './finding.ts'
import { stringsIn } from './values.ts'

const PLACE = /^(?:\/?etc\/)?libvirt\/hooks(?:\/|$)/

/** Scripts that libvirt calls around the start and stop of a guest. */
export function lintHooks(view: View): Finding[] {
  const hooks = [
    ...view.below('virtualisation.libvirtd.hooks'),
    ...view
      .below('virtualisation.vfio.guests')
      .filter(it => !/hostCPUs$/.test(it.path.at(-1) ?? ''))
  ]
  const misplaced = view.below('environment.etc').filter(it => PLACE.test(it.path[2] ?? ''))
  // Told once for each, at what it holds and not at its mode.
  const places = [...new Set(misplaced.map(it => it.path[2]))].flatMap(name => {
    const parts = misplaced.filter(it => it.path[2] === name)
    return parts.find(it => /^(?:source|text)$/.test(it.path[3] ?? '')) ?? parts.slice(0, 1)
  })
  return [
    ...places.map(it =>
      findingAt(it, {
        code: 'HOOK_PLACE',
        level: 'problem',
        message: 'libvirt does not look for hooks in /etc/libvirt/hooks on NixOS',
        why: 'it reads those in /var/lib/libvirt/hooks, so this one is never called.',
        remedy: 'give it to virtualisation.libvirtd.hooks.qemu.NAME, as a path or a package'
      })
    ),
    ...[...hooks, ...misplaced].flatMap(it => [...virsh(it), ...shell(it)])
  ]
}

function virsh(entry: Entry): Finding[] {
  return stringsIn(entry.file.doc.text, entry.value).flatMap(({ text, start }) => {
    // A command, and no word of a comment or a message.
    const found = /^(?![ \t]*#)(?:[^\n#]*?[\s;&|(/\ue000])?(virsh)[ \t]/m.exec(text)
    if (!found || /\becho\b/.test(found[0])) return []
    const at = start + found.index + found[0].lastIndexOf('virsh')
    return [
      {
        code: 'HOOK_CALLS_VIRSH',
        level: 'problem',
        path: entry.file.path,
        range: { start: at, end: at + 'virsh'.length },
        message: 'a hook must not call virsh',
        why: 'libvirt waits for the hook, and the hook would wait for libvirt.',
        remedy:
          "leave it out: with <hostdev managed='yes'> libvirt takes devices from the host and gives them back itself"
      }
    ]
  })
}

function shell(entry: Entry): Finding[] {
  // This gives a script a first line of its own, and another is only a comment.
  if (spellingOf(entry).includes('writeShell')) return []
  return stringsIn(entry.file.doc.text, entry.value).flatMap(({ text, start }) => {
    const found = /^\s*#!(\/(?:usr\/)?bin\/(?!sh\b|env\b)\w+|\/usr\/bin\/env\s+bash)/.exec(text)
    if (!found) return []
    const at = start + found[0].indexOf('#!')
    const isEnv = /env/.test(found[1] ?? '')
    return [
      {
        code: 'HOOK_SHELL',
        level: 'problem',
        path: entry.file.path,
        range: { start: at, end: start + found[0].length },
        message: isEnv ? 'env finds no bash where libvirt runs a hook' : `NixOS has no ${found[1]}`,
        why: isEnv
          ? "libvirt's service has a short PATH, without the programs of the system."
          : 'programs are in the Nix store; only /bin/sh and /usr/bin/env are where others have them.',
        remedy: 'write the script with pkgs.writeShellScript, which puts the right line there'
      }
    ]
  })
}
