import { dirname, join } from 'node:path'
import { parseDocument } from '../nix/index.ts'
import { stampOf } from './stamp.ts'

/** Gives a file's text, or that of a folder's default.nix; undefined if there is none to read. */
export type ReadModule = (path: string) => { path: string; text: string } | undefined

/** What the files say that a configuration imports, as far as fixed paths lead. */
export interface ImportClosure {
  /** The folders of ours that are imported, and by whom. */
  ours: OwnFolder[]
  /** The first declaration of one of our options in a file that is not ours. */
  foreign: Declaration | undefined
}

export interface OwnFolder {
  /** The folder, links resolved. */
  path: string
  /** The file that imports it. */
  importer: string
}

export interface Declaration {
  /** The file that declares the option. */
  path: string
  /** The import in the configuration that leads there. */
  importer: string
  option: string
}

// Two modules that declare one option are an error even if both are switched off.
const DECLARED = [
  'virtualisation.vfio',
  'virtualisation.sharedMemoryFiles',
  'virtualisation.hugepages',
  'virtualisation.kvmfr',
  'virtualisation.libvirtd.deviceACL',
  'virtualisation.libvirtd.clearEmulationCapabilities'
]

// More files than any configuration at hand has; the bound is there for loops made of links.
const MOST_FILES = 2000

/** Follows the fixed paths in `imports` from a configuration on. Files that can't be read are passed over. */
export function followImports(
  configuration: { path: string; text: string },
  read: ReadModule
): ImportClosure {
  const closure: ImportClosure = { ours: [], foreign: undefined }
  const seen = new Set<string>([configuration.path])
  const queue: { path: string; text: string; importer: string | undefined }[] = [
    { ...configuration, importer: undefined }
  ]
  for (let module = queue.shift(); module; module = queue.shift()) {
    const doc = parseDocument(module.text)
    if (module.importer !== undefined) {
      const option = DECLARED.find(it => {
        const path = `options.${it}`
        return doc.getIn(path).length > 0 || doc.getBelow(path).length > 0
      })
      if (option !== undefined) {
        closure.foreign ??= { path: module.path, importer: module.importer, option }
      }
    }
    for (const spelling of doc.imports()) {
      if (!spelling.startsWith('.') && !spelling.startsWith('/')) continue
      const target = read(join(spelling.startsWith('/') ? '/' : dirname(module.path), spelling))
      if (!target || seen.has(target.path) || seen.size >= MOST_FILES) continue
      seen.add(target.path)
      const isOurs = stampOf(target.text) !== 'none'
      if (isOurs) closure.ours.push({ path: dirname(target.path), importer: module.path })
      else queue.push({ ...target, importer: module.importer ?? spelling })
    }
  }
  return closure
}
