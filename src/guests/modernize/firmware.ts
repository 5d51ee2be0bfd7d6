// The image of the firmware and what belongs to it: each distribution has its own.

import { attributeOf, textContent } from '../xml/tree.ts'
import {
  type Change,
  type Draft,
  draftsIn,
  type Modernized,
  removeChild,
  setAttribute,
  setText
} from './change.ts'

const OF_DISTRIBUTION = /^\/usr\/share\/(?:OVMF|ovmf|edk2|edk2-ovmf|qemu)(?:\/[\w-]+)*\//
const IN_STORE = /^\/nix\/store\/[^/]+\/(?:FV|share\/[\w/-]+)\//
const FORMER_LINK = /^\/run\/libvirt\/nix-ovmf\/(?:OVMF|AAVMF)_/
const CODE_IMAGE = /\/(?:OVMF_CODE|OVMF\.|OVMF-|ovmf-|edk2-x86_64-)[\w.-]*\.(fd|bin)$/i

/**
 * A firmware image by its path gives way to `<os firmware='efi'>`, with which libvirt finds the one of
 * this system. The guest's own variables stay where they are. An image for another processor, or in
 * another format, is left and told.
 */
export function modernizeFirmware(root: Draft, { changes, warnings }: Modernized): void {
  const [os] = draftsIn(root, 'os')
  const [loader] = draftsIn(os, 'loader')
  const before = loader ? textContent(loader).trim() : ''
  const isForeign = [OF_DISTRIBUTION, IN_STORE, FORMER_LINK].some(it => it.test(before))
  if (!os || !loader || !isForeign) return
  if (attributeOf(loader, 'type') !== 'pflash' || !CODE_IMAGE.test(before)) {
    const what = `${before} is not there on NixOS, or goes when the store is cleaned; ${advice(before, loader)}`
    warnings.push({ code: 'FIRMWARE', path: 'os/loader', what, start: loader.start })
    return
  }
  changes.push(replaceLoader(os, loader, before), ...dropTemplate(os))
  if (OF_DISTRIBUTION.test(before)) changes.push(...dropKeys(os))
}

function advice(image: string, loader: Draft): string {
  if (!image.endsWith('.qcow2')) return 'see what fits from /run/libvirt/nix-ovmf'
  const secure = attributeOf(loader, 'secure') === 'yes' ? " with <loader secure='yes'/>" : ''
  return `the images of NixOS are raw, so the variables have to be: qemu-img convert -O raw VARS.qcow2 VARS.fd; put that file into <nvram> without a format, and <os firmware='efi'>${secure} in place of this <loader>`
}

function replaceLoader(os: Draft, loader: Draft, before: string): Change {
  setAttribute(os, 'firmware', 'efi')
  // What a guest asks of any firmware.
  const kept = ['secure', 'stateless'].flatMap(name =>
    attributeOf(loader, name) === 'yes' ? [{ name, value: 'yes' }] : []
  )
  loader.attributes = kept
  setText(loader, '')
  if (kept.length === 0) removeChild(os, loader)
  const words = kept.map(it => ` ${it.name}='${it.value}'`).join('')
  return {
    code: 'FIRMWARE',
    path: 'os/loader',
    before,
    after: `<os firmware='efi'>${words === '' ? '' : ` with <loader${words}/>`}`,
    why: 'libvirt then finds the firmware of this system; if the guest does not start with its old variables, restore them or let it make new ones',
    start: loader.start
  }
}

function dropTemplate(os: Draft): Change[] {
  return draftsIn(os, 'nvram').flatMap((nvram): Change[] => {
    const template = attributeOf(nvram, 'template')
    if (template === undefined) return []
    setAttribute(nvram, 'template', undefined)
    setAttribute(nvram, 'templateFormat', undefined)
    if (textContent(nvram).trim() === '' && nvram.attributes.length === 0) removeChild(os, nvram)
    const why = 'the template belongs to the firmware, which libvirt now finds by itself'
    const before = `template='${template}'`
    const { start } = nvram
    return [{ code: 'FIRMWARE', path: 'os/nvram', before, after: null, why, start }]
  })
}

/** libvirt finds no firmware at all if it is to come with keys, as other distributions have it. */
function dropKeys(os: Draft): Change[] {
  const [firmware] = draftsIn(os, 'firmware')
  return draftsIn(firmware, 'feature').flatMap((feature): Change[] => {
    const isWanted = attributeOf(feature, 'enabled') === 'yes'
    if (attributeOf(feature, 'name') !== 'enrolled-keys' || !isWanted) return []
    setAttribute(feature, 'enabled', 'no')
    return [
      {
        code: 'FIRMWARE',
        path: 'os/firmware/feature',
        before: "enrolled-keys enabled='yes'",
        after: "enrolled-keys enabled='no'",
        why: 'the firmware of NixOS comes without keys for secure boot; variables that have them keep them, new ones need them put in',
        start: feature.start
      }
    ]
  })
}
