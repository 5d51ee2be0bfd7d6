// Paths to programs that hold on one system only, and into the store.

import { attributeOf, textContent } from '../xml/tree.ts'
import { type Draft, draftsIn, type Modernized, setAttribute, setText } from './change.ts'

const EMULATOR =
  /^(?:\/nix\/store\/[^/]+\/bin|\/run\/current-system\/sw\/bin|\/usr(?:\/local)?\/(?:s?bin|libexec)|\/bin)\/(qemu-system-[\w]+|qemu-kvm|kvm|kvm-spice)$/

/** An emulator of another distribution or of one build of QEMU gives way to the one that NixOS links. */
export function modernizeEmulator(root: Draft, { changes }: Modernized): void {
  const [devices] = draftsIn(root, 'devices')
  for (const emulator of draftsIn(devices, 'emulator')) {
    const before = textContent(emulator).trim()
    const program = EMULATOR.exec(before)?.[1]
    if (program === undefined) continue
    const name = program.startsWith('qemu-system-') ? program : `qemu-system-${architecture(root)}`
    const after = `/run/libvirt/nix-emulators/${name}`
    setText(emulator, after)
    const why = before.startsWith('/nix/store/')
      ? 'this one QEMU goes when the store is cleaned; NixOS links the current one there'
      : 'NixOS has its QEMU there'
    const { start } = emulator
    changes.push({ code: 'EMULATOR', path: 'devices/emulator', before, after, why, start })
  }
}

function architecture(root: Draft): string {
  const [os] = draftsIn(root, 'os')
  const [type] = draftsIn(os, 'type')
  return (type && attributeOf(type, 'arch')) ?? 'x86_64'
}

const VIRTIOFSD =
  /^(?:\/nix\/store\/[^/]+\/(?:bin|libexec)|\/usr\/(?:lib|libexec|lib\/qemu|lib\/kvm|bin))\/virtiofsd$/

/** The program that shares folders; of other paths into the store a person is warned. */
export function modernizeStorePaths(root: Draft, done: Modernized): void {
  const [devices] = draftsIn(root, 'devices')
  for (const binary of draftsIn(devices, 'filesystem').flatMap(it => draftsIn(it, 'binary'))) {
    const before = attributeOf(binary, 'path')
    if (before === undefined || !VIRTIOFSD.test(before)) continue
    const after = '/run/current-system/sw/bin/virtiofsd'
    setAttribute(binary, 'path', after)
    done.changes.push({
      ...{ code: 'PROGRAM', path: 'devices/filesystem/binary', before, after },
      why: 'it is there with: environment.systemPackages = [ pkgs.virtiofsd ]',
      start: binary.start
    })
  }
  warnOfStorePaths(root, [], done)
}

function warnOfStorePaths(element: Draft, path: readonly string[], done: Modernized): void {
  const texts = [
    ...element.attributes.map(it => it.value),
    ...element.children.map(it => (it.kind === 'text' ? it.text : ''))
  ]
  for (const text of texts) {
    const found = /\/nix\/store\/[^\s,"]+/.exec(text)?.[0]
    if (found === undefined || path.at(-1) === 'loader') continue
    const what = `${found} goes when the store is cleaned; name the package in the Nix instead, like "\${pkgs.virtio-win}/…", or copy the file`
    done.warnings.push({ code: 'STORE_PATH', path: path.join('/'), what, start: element.start })
  }
  for (const it of element.children) {
    if (it.kind === 'element') warnOfStorePaths(it, [...path, it.name], done)
  }
}
