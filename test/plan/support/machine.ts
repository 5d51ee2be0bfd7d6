import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { openFiles } from '../../../src/configuration/files.ts'
import { loadConfiguration } from '../../../src/configuration/load.ts'
import { shippedModules } from '../../../src/configuration/modules.ts'
import type { Result } from '../../../src/nix/result.ts'
import { planApply } from '../../../src/plan/apply.ts'
import type { PlannedFile } from '../../../src/plan/changes.ts'
import type { RemoveProblem } from '../../../src/plan/problem.ts'
import { planRemove, type RemovePlan } from '../../../src/plan/remove.ts'
import type { Settings } from '../../../src/settings/settings.ts'

const shipped = shippedModules('1.0.0')

const folders: string[] = []
process.on('exit', () => {
  for (const it of folders) rmSync(it, { recursive: true, force: true })
})

/** A folder with a configuration, to which plans are written without the write protocol. */
export interface Machine {
  folder: string
  write(name: string, text: string): void
  read(name: string): string
  rename(from: string, to: string): void
  delete(name: string): void
  /** The texts of all files by name, except unedited installed modules. */
  files(): Record<string, string>
  apply(settings: Settings, name?: string, specialisation?: string): void
  remove(name?: string): Result<RemovePlan, RemoveProblem>
}

export function makeMachine(files: Record<string, string>): Machine {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'vfio-patch-remove-')))
  folders.push(folder)
  const at = (name: string) => join(folder, name)
  const write = (name: string, text: string) => {
    mkdirSync(dirname(at(name)), { recursive: true })
    writeFileSync(at(name), text)
  }
  for (const [name, text] of Object.entries(files)) write(name, text)
  const read = (name: string) => readFileSync(at(name), 'utf8')
  const carryOut = (planned: readonly PlannedFile[]) => {
    for (const { path, after, emptied } of planned) {
      if (after !== undefined) write(relative(folder, path), after)
      else rmSync(path)
      if (emptied !== undefined && readdirSync(emptied).length === 0)
        rmSync(emptied, { recursive: true })
    }
  }
  return {
    folder,
    write,
    read,
    rename(from, to) {
      write(to, read(from))
      rmSync(at(from))
    },
    delete: name => rmSync(at(name), { recursive: true }),
    files() {
      const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
      const texts = names.filter(it => statSync(at(it)).isFile()).map(it => [it, read(it)] as const)
      return Object.fromEntries(
        texts.filter(([, text]) => ![...shipped.texts.values()].includes(text))
      )
    },
    apply(settings, name = 'configuration.nix', specialisation) {
      const { configuration, folderAt } = load(at(name))
      const { path, listing } = folderAt(join(dirname(at(name)), 'vfio'))
      const plan = planApply({
        configuration,
        settings,
        specialisation,
        modulesDir: 'vfio',
        modulesFolder: path,
        listing,
        replaceModules: false,
        names: new Map()
      })
      if (!plan.ok) {
        const { error } = plan
        const it = error.code === 'NIX' ? error.error : error
        throw new Error(JSON.stringify(it).replaceAll(`${folder}/`, ''))
      }
      carryOut(plan.value.files)
    },
    remove(name = 'configuration.nix') {
      const { configuration, folderAt } = load(at(name))
      const { files, installedFolders, sources } = configuration
      const defaults = folderAt(join(dirname(at(name)), 'vfio'))
      const imported = installedFolders.map(it => folderAt(it.path))
      const known = new Set(files.map(it => it.path))
      const plan = planRemove({
        configuration,
        defaultFolder: defaults.path,
        folders: new Map([defaults, ...imported].map(it => [it.path, it.listing])),
        exclusive: shipped.exclusive,
        others: sources.around(at(name), /vfio|passthrough|gpu/).filter(it => !known.has(it.path))
      })
      if (plan.ok) carryOut(plan.value.files)
      return plan
    }
  }
}

/** The configuration at a path, and a function that reads folders. */
function load(path: string) {
  const sources = openFiles('/')
  const target = sources.module(path)
  if (!target) throw new Error(`no ${path}`)
  const folderAt = (at: string) => {
    const folder = sources.folder(at)
    if (!folder.ok) throw new Error(JSON.stringify(folder.error))
    return folder.value
  }
  return { configuration: loadConfiguration(target, shipped, sources), folderAt }
}
