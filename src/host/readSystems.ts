import { dirname } from 'node:path'
import type { System, Systems } from './machine.ts'
import type { Source } from './source.ts'

/** What NixOS booted, what it runs now and what it boots next; undefined where there is none of these. */
export function readSystems(source: Source): Systems | undefined {
  const booted = readSystem(source, '/run/booted-system')
  const systems = {
    ...optional('booted', booted),
    ...optional('current', readSystem(source, '/run/current-system')),
    ...optional('next', readSystem(source, `${PROFILES}/system`))
  }
  if (Object.keys(systems).length === 0) return undefined
  const built = [systems.next, systems.current].flatMap(it => it ?? [])
  const entry = booted && (entryOf(booted.path, built) ?? olderEntry(source, booted.path))
  return { ...systems, ...optional('entry', entry) }
}

const PROFILES = '/nix/var/nix/profiles'

/** The boot entry of one of these systems that is at the path; blank for a system itself. */
function entryOf(path: string, systems: readonly System[]): string | undefined {
  if (systems.some(it => it.path === path)) return ''
  return systems.flatMap(it => it.specialisations).find(it => it.system.path === path)?.name
}

/** The same among all generations that are still there, the newest first. */
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

function readSystem(source: Source, link: string): System | undefined {
  const path = inStore(source, link)
  return path === undefined ? undefined : systemAt(source, path)
}

function systemAt(source: Source, path: string): System {
  const folder = `${path}/specialisation`
  const entries = (source.names(folder) ?? []).flatMap(name => {
    const inner = inStore(source, `${folder}/${name}`)
    return inner === undefined ? [] : [{ name, system: systemAt(source, inner) }]
  })
  return {
    path,
    kernelParams: (source.text(`${path}/kernel-params`) ?? '').split(/\s+/).filter(Boolean),
    specialisations: entries,
    ...optional('kernel', source.link(`${path}/kernel`)),
    ...optional('initrd', source.link(`${path}/initrd`)),
    ...optional('modules', source.link(`${path}/kernel-modules`))
  }
}

/**
 * The path in the store that a link leads to, over links between. It is followed by hand, as the links
 * are absolute, and the machine may lie in a folder.
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

function optional<K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [name]: value } as { [P in K]?: V })
}
