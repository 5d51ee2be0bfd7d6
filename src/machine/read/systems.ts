// Reads facts about the running kernel and the NixOS systems.

import { dirname } from 'node:path'
import { defined } from '../../collections.ts'
import type { KernelLog, System, Systems } from '../machine.ts'
import type { Source } from '../source.ts'

/** The names of the loaded modules, with underscores; undefined if unknown. */
export function readLoadedModules(source: Source): string[] | undefined {
  const text = source.text('/proc/modules')
  return text?.split('\n').flatMap(it => it.split(' ')[0] || [])
}

/** Facts from the kernel log since boot; undefined if it can't be read. */
export function readKernelLog(source: Source): KernelLog | undefined {
  const text = source.text('/dev/kmsg')
  if (text === undefined) return undefined
  return { isComplete: /\bLinux version \d/.test(text), hasAcsOverride: ACS.test(text) }
}

/** The message of a kernel in which the ACS override patch is active. */
const ACS = /PCIe ACS overrides enabled/

/** The addresses of the devices on which the kernel still uses the firmware's framebuffer. */
export function readFramebuffers(source: Source): Set<string> {
  return framebuffersIn(source.text('/proc/iomem') ?? '')
}

/** Parses `/proc/iomem`. Other users than root see no memory addresses in it, but the same names and nesting. */
export function framebuffersIn(text: string): Set<string> {
  const found = new Set<string>()
  const above: { indent: number; name: string }[] = []
  for (const line of text.split('\n')) {
    const [, indent, name = ''] = /^( *)[0-9a-f]+-[0-9a-f]+ : (.+)$/.exec(line) ?? []
    if (indent === undefined) continue
    while ((above.at(-1)?.indent ?? -1) >= indent.length) above.pop()
    const device = above.findLast(it => ADDRESS.test(it.name))?.name
    if (device !== undefined && FRAMEBUFFER.test(name)) found.add(device)
    above.push({ indent: indent.length, name })
  }
  return found
}

const ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/

/** The kernel's names for the framebuffer's memory, depending on the driver. */
const FRAMEBUFFER = /^(?:BOOTFB|efifb|vesafb|simplefb|simple-?drm|simple-framebuffer(?:\.\d+)?)$/

/** The booted, current and next NixOS system; undefined if all are missing. */
export function readSystems(source: Source): Systems | undefined {
  const [booted, current, next] = [
    '/run/booted-system',
    '/run/current-system',
    `${PROFILES}/system`
  ].map(it => readLinked(source, it))
  const built = [next, current].flatMap(it => it ?? [])
  if (!booted && built.length === 0) return undefined
  const entry = booted && (specialisationAt(booted.path, built) ?? olderEntry(source, booted.path))
  return defined({ booted, current, next, entry })
}

const PROFILES = '/nix/var/nix/profiles'

/** The name of the specialisation of these systems that is at `path`; empty if `path` is one of the systems itself. */
function specialisationAt(path: string, systems: readonly System[]): string | undefined {
  if (systems.some(it => it.path === path)) return ''
  return systems.flatMap(it => it.specialisations).find(it => it.system.path === path)?.name
}

/** Like `specialisationAt`, but searches all generations, newest first. */
function olderEntry(source: Source, path: string): string | undefined {
  const numberOf = (link: string) => Number(/^system-(\d+)-link$/.exec(link)?.[1] ?? Number.NaN)
  const links = (source.names(PROFILES) ?? []).filter(it => !Number.isNaN(numberOf(it)))
  for (const link of links.sort((a, b) => numberOf(b) - numberOf(a))) {
    const system = inStore(source, `${PROFILES}/${link}`)
    if (system === undefined) continue
    if (system === path) return ''
    const folder = `${system}/specialisation`
    const names = source.names(folder) ?? []
    const name = names.find(it => inStore(source, `${folder}/${it}`) === path)
    if (name !== undefined) return name
  }
  return undefined
}

function readLinked(source: Source, link: string): System | undefined {
  const path = inStore(source, link)
  return path === undefined ? undefined : readBuilt(source, path)
}

function readBuilt(source: Source, path: string): System {
  const folder = `${path}/specialisation`
  const entries = (source.names(folder) ?? []).flatMap(name => {
    const inner = inStore(source, `${folder}/${name}`)
    return inner === undefined ? [] : [{ name, system: readBuilt(source, inner) }]
  })
  const kernelParams = (source.text(`${path}/kernel-params`) ?? '').split(/\s+/).filter(Boolean)
  const [kernel, initrd, modules] = ['kernel', 'initrd', 'kernel-modules'].map(it =>
    source.link(`${path}/${it}`)
  )
  return { path, kernelParams, specialisations: entries, ...defined({ kernel, initrd, modules }) }
}

/**
 * The store path to which a symlink leads, possibly through other symlinks. Resolves them here, because absolute
 * targets are paths on the machine, whose root may be another folder.
 */
function inStore(source: Source, link: string): string | undefined {
  let path = link
  for (let hops = 0; hops < 5; hops++) {
    const target = source.link(path)
    if (target === undefined) return undefined
    path = target.startsWith('/') ? target : `${dirname(path)}/${target}`
    if (/^\/nix\/store\/[^/]+$/.test(path)) return path
  }
  return undefined
}
