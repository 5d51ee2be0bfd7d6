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
import { followImports, walkImports } from '../../../src/configuration/imports.ts'
import { ownOptions, shippedModules } from '../../../src/configuration/modules.ts'
import { moduleReader, nixFilesAround, readFolder } from '../../../src/configuration/read.ts'
import { parseDocument } from '../../../src/nix/index.ts'
import type { Result } from '../../../src/nix/result.ts'
import { planApply } from '../../../src/plan/apply.ts'
import type { PlannedFile } from '../../../src/plan/changes.ts'
import type { RemoveProblem } from '../../../src/plan/problem.ts'
import { planRemove, type RemovePlan } from '../../../src/plan/remove.ts'
import type { Settings } from '../../../src/settings/settings.ts'

const shipped = shippedModules('1.0.0')
const own = ownOptions(shipped.values())

const folders: string[] = []
process.on('exit', () => {
  for (const it of folders) rmSync(it, { recursive: true, force: true })
})

/** A folder with a configuration that our plans are carried out in, without the write protocol. */
export interface Machine {
  folder: string
  write(name: string, text: string): void
  read(name: string): string
  rename(from: string, to: string): void
  delete(name: string): void
  /** The texts of all files but intact modules of ours, by name. */
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
      return Object.fromEntries(texts.filter(([, text]) => ![...shipped.values()].includes(text)))
    },
    apply(settings, name = 'configuration.nix', specialisation) {
      const text = read(name)
      const { path, listing } = folderAt(join(dirname(at(name)), 'vfio'))
      const plan = planApply({
        path: at(name),
        text,
        settings,
        specialisation,
        modulesDir: 'vfio',
        modulesFolder: path,
        listing,
        shipped,
        replaceModules: false,
        closure: followImports({ path: at(name), text }, moduleReader('/'), own),
        imported: walkImports({ path: at(name), text }, moduleReader('/')).modules.slice(1),
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
      const walk = walkImports({ path: at(name), text: read(name) }, moduleReader('/'))
      const usual = folderAt(join(dirname(at(name)), 'vfio'))
      const imported = walk.ours.map(it => folderAt(dirname(it.path)))
      const known = new Set(walk.modules.map(it => it.path))
      const plan = planRemove({
        modules: walk.modules.map(it => ({ ...it, doc: parseDocument(it.text) })),
        walk,
        usual: usual.path,
        folders: new Map([usual, ...imported].map(it => [it.path, it.listing])),
        own,
        others: nixFilesAround(at(name), /vfio|passthrough|gpu/)
          .filter(it => !known.has(it.path))
          .map(it => ({ path: it.path, doc: parseDocument(it.text) }))
      })
      if (plan.ok) carryOut(plan.value.files)
      return plan
    }
  }
}

function folderAt(path: string) {
  const folder = readFolder(path)
  if (!folder.ok) throw new Error(JSON.stringify(folder.error))
  return folder.value
}
