// Paths to programs and firmware that hold on one system only.

import { attributeOf, textOf } from '../tree.ts'
import {
  type Change,
  type Draft,
  draftsIn,
  type Mended,
  place,
  removeChild,
  setAttribute,
  setText
} from './change.ts'

const EMULATOR =
  /^(?:\/nix\/store\/[^/]+\/bin|\/run\/current-system\/sw\/bin|\/usr(?:\/local)?\/(?:s?bin|libexec)|\/bin)\/(qemu-system-[\w]+|qemu-kvm|kvm|kvm-spice)$/

/** An emulator of another distribution or of one build of QEMU gives way to the one that NixOS links. */
export function mendEmulator(root: Draft): Mended {
  const [devices] = draftsIn(root, 'devices')
  const changes = draftsIn(devices, 'emulator').flatMap((emulator): Change[] => {
    const before = textOf(emulator).trim()
    const program = EMULATOR.exec(before)?.[1]
    if (program === undefined) return []
    const name = program.startsWith('qemu-system-') ? program : `qemu-system-${architecture(root)}`
    const after = `/run/libvirt/nix-emulators/${name}`
    setText(emulator, after)
    const why = before.startsWith('/nix/store/')
      ? 'this one QEMU goes when the store is cleaned; NixOS links the current one there'
      : 'NixOS has its QEMU there'
    return [{ code: 'EMULATOR', path: 'devices/emulator', before, after, why, ...place(emulator) }]
  })
  return { changes, remarks: [] }
}

function architecture(root: Draft): string {
  const [os] = draftsIn(root, 'os')
  const [type] = draftsIn(os, 'type')
  return (type && attributeOf(type, 'arch')) ?? 'x86_64'
}

const FIRMWARE_FOLDER =
  /^(?:\/nix\/store\/[^/]+\/(?:FV|share\/[\w/-]+)|\/usr\/share\/(?:OVMF|ovmf|edk2|edk2-ovmf|qemu)(?:\/[\w-]+)*)\//
// NixOS had these until 25.11.
const FORMER_LINK = /^\/run\/libvirt\/nix-ovmf\/(?:OVMF|AAVMF)_/
const CODE_IMAGE = /\/(?:OVMF_CODE|OVMF\.|OVMF-|ovmf-|edk2-x86_64-)[\w.-]*\.(fd|bin)$/i

/**
 * A firmware image by its path gives way to `<os firmware='efi'>`, with which libvirt finds the one of
 * this system. The guest's own variables stay where they are.
 */
export function mendFirmware(root: Draft): Mended {
  const [os] = draftsIn(root, 'os')
  const [loader] = draftsIn(os, 'loader')
  if (!os || !loader) return { changes: [], remarks: [] }
  const before = textOf(loader).trim()
  if (!FIRMWARE_FOLDER.test(before) && !FORMER_LINK.test(before)) {
    return { changes: [], remarks: [] }
  }
  const path = 'os/loader'
  if (attributeOf(loader, 'type') !== 'pflash' || !CODE_IMAGE.test(before)) {
    const what = `${before} is not there on NixOS, or goes when the store is cleaned; see what fits from /run/libvirt/nix-ovmf`
    return { changes: [], remarks: [{ code: 'FIRMWARE', path, what, ...place(loader) }] }
  }
  const isSecure = attributeOf(loader, 'secure') === 'yes'
  setAttribute(os, 'firmware', 'efi')
  if (isSecure) {
    loader.attributes = [{ name: 'secure', value: 'yes' }]
    setText(loader, '')
  } else removeChild(os, loader)
  const after = `<os firmware='efi'>${isSecure ? " with <loader secure='yes'/>" : ''}`
  const why =
    'libvirt then finds the firmware of this system; if the guest does not start with its old variables, restore them or let it make new ones'
  const changes: Change[] = [{ code: 'FIRMWARE', path, before, after, why, ...place(loader) }]
  for (const nvram of draftsIn(os, 'nvram')) {
    const template = attributeOf(nvram, 'template')
    if (template === undefined) continue
    setAttribute(nvram, 'template', undefined)
    setAttribute(nvram, 'templateFormat', undefined)
    const reason = 'the template belongs to the firmware, which libvirt now finds by itself'
    changes.push({
      ...{ code: 'FIRMWARE', path: 'os/nvram', before: `template='${template}'`, after: null },
      ...{ why: reason, ...place(nvram) }
    })
    if (textOf(nvram).trim() === '' && nvram.attributes.length === 0) removeChild(os, nvram)
  }
  return { changes, remarks: [] }
}

const VIRTIOFSD =
  /^(?:\/nix\/store\/[^/]+\/(?:bin|libexec)|\/usr\/(?:lib|libexec|lib\/qemu|lib\/kvm|bin))\/virtiofsd$/

/** The program that shares folders; other paths into the store are told. */
export function mendStorePaths(root: Draft): Mended {
  const mended: Mended = { changes: [], remarks: [] }
  const [devices] = draftsIn(root, 'devices')
  for (const filesystem of draftsIn(devices, 'filesystem')) {
    for (const binary of draftsIn(filesystem, 'binary')) {
      const before = attributeOf(binary, 'path')
      if (before === undefined || !VIRTIOFSD.test(before)) continue
      const after = '/run/current-system/sw/bin/virtiofsd'
      setAttribute(binary, 'path', after)
      mended.changes.push({
        ...{ code: 'PROGRAM', path: 'devices/filesystem/binary', before, after },
        why: 'it is there with: environment.systemPackages = [ pkgs.virtiofsd ]',
        ...place(binary)
      })
    }
  }
  tellStorePaths(root, [], mended)
  return mended
}

function tellStorePaths(element: Draft, path: readonly string[], { remarks }: Mended): void {
  const texts = [
    ...element.attributes.map(it => it.value),
    ...element.children.map(it => (it.kind === 'text' ? it.text : ''))
  ]
  for (const text of texts) {
    const found = /\/nix\/store\/[^\s,"]+/.exec(text)?.[0]
    if (found === undefined || path.at(-1) === 'loader') continue
    const what = `${found} goes when the store is cleaned; name the package in the Nix instead, like "\${pkgs.virtio-win}/…", or copy the file`
    remarks.push({ code: 'STORE_PATH', path: path.join('/'), what, ...place(element) })
  }
  for (const it of element.children) {
    if (it.kind === 'element') tellStorePaths(it, [...path, it.name], { changes: [], remarks })
  }
}
