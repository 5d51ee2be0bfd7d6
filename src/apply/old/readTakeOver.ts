import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { formatPath, parseDocument } from '../../nix/index.ts'
import type { Result } from '../../nix/result.ts'
import { stampOf } from '../modules/stamp.ts'
import { declaredOptions, ownOptions } from '../own/ownOptions.ts'
import type { ApplyProblem } from '../problem.ts'
import { declares, walkImports } from '../read/importClosure.ts'
import { moduleReader } from '../read/readInputs.ts'
import { nixFilesAround } from '../read/repository.ts'
import { isHandedOut, listedBeside } from './flakeModules.ts'
import { planTakeOver, type TakeOver, type TakeOverInput } from './takeOver.ts'

/**
 * Looks for other modules that declare options of ours, in what the configuration imports and in what a
 * flake lists beside it, and plans to take their place: see `planTakeOver`. `shipped` are our modules.
 */
export function readTakeOver(
  configuration: { path: string; text: string },
  root: string,
  shipped: readonly string[]
): Result<TakeOver | undefined, ApplyProblem> {
  const read = moduleReader(root)
  const walk = walkImports(configuration, read)
  const known = new Set(walk.modules.map(it => it.path))
  return planTakeOver({
    walk,
    own: ownOptions(shipped),
    declared: declaredOptions(shipped),
    listed: listedIn(configuration.path, read),
    others: word => {
      const pattern = new RegExp(word.replace(/[^\w]/g, '\\$&'))
      return nixFilesAround(configuration.path, pattern).filter(it => !known.has(it.path))
    }
  })
}

function listedIn(path: string, read: ReturnType<typeof moduleReader>): TakeOverInput['listed'] {
  const flake = nearestFlake(path)
  if (!flake) return []
  return listedBeside(flake, path).map(module => {
    const found = module.path === undefined ? undefined : read(module.path)
    const isOurs = found !== undefined && stampOf(found.text) !== 'none'
    const files = found && !isOurs ? walkImports(found, read).modules : []
    return { ...flake, module, files }
  })
}

function nearestFlake(path: string): { path: string; text: string } | undefined {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    const flake = join(folder, 'flake.nix')
    if (!existsSync(flake)) continue
    try {
      return { path: flake, text: readFileSync(flake).toString() }
    } catch {
      // What can't be read is no obstacle: Nix will tell of options that are declared twice.
      return undefined
    }
  }
  return undefined
}

/** A place that may bring options of ours into the same system; whether it does, nobody can tell. */
export interface Doubt {
  path: string
  line: number
  /** What is there: the module that a flake names, or the option that a file declares. */
  name: string
}

/**
 * Places around a configuration that name or declare what would be declared twice, if its system has it
 * as well: a flake that names such a module elsewhere than beside the configuration, and files that no
 * fixed path in its imports leads to. `shipped` are our modules.
 */
export function doubtsAround(
  configuration: { path: string; text: string },
  root: string,
  shipped: readonly string[]
): Doubt[] {
  const { path } = configuration
  const flake = nearestFlake(path)
  const lines = flake?.text.split('\n').map(it => it.replace(/(?:^|\s)#.*$/, '')) ?? []
  const line = lines.findIndex(isHandedOut)
  const known = new Set(walkImports(configuration, moduleReader(root)).modules.map(it => it.path))
  const own = ownOptions(shipped)
  const names = [...new Set(own.map(it => it.at(-1) ?? ''))]
  const pattern = new RegExp(`\\boptions\\b[^]*\\b(?:${names.join('|')})\\b`)
  const files = nixFilesAround(path, pattern).filter(
    it => !known.has(it.path) && stampOf(it.text) === 'none'
  )
  return [
    ...(flake && line !== -1
      ? [{ path: flake.path, line: line + 1, name: lines[line]?.trim() ?? '' }]
      : []),
    ...files.flatMap(file => {
      const doc = parseDocument(file.text)
      const option = own.find(it => declares(doc, it))
      const at =
        option && [...doc.getIn(['options', ...option]), ...doc.getBelow(['options', ...option])][0]
      return option ? [{ path: file.path, line: at?.at.line ?? 1, name: formatPath(option) }] : []
    })
  ]
}
