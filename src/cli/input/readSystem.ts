// The configuration with all that it imports, and what came there before us.

import { basename } from 'node:path'
import { innerModule } from '../../apply/innerModule.ts'
import { shippedModules } from '../../apply/modules/shippedModules.ts'
import { obsoleteIn } from '../../apply/old/obsolete.ts'
import { readTakeOver } from '../../apply/old/readTakeOver.ts'
import type { TakeOver } from '../../apply/old/takeOver.ts'
import { ownOptions } from '../../apply/own/ownOptions.ts'
import {
  followImports,
  type ImportClosure,
  type ImportedModule,
  walkImports
} from '../../apply/read/importClosure.ts'
import { moduleReader, tooBigImports } from '../../apply/read/readInputs.ts'
import { readTarget } from '../../files/target.ts'
import { parseDocument } from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import type { Context } from '../context.ts'
import type { Message } from '../message.ts'
import { list } from '../messages/deviceWords.ts'
import { readMessage } from '../messages/fileMessages.ts'
import { applyMessage } from '../messages/messages.ts'
import { VERSION } from '../version.ts'
import type { EarlierDevices } from './chooseEarlier.ts'

/** What a run finds besides the text of the configuration. */
export interface System {
  /** Our modules by file name, as they are to be installed. */
  shipped: ReadonlyMap<string, string>
  closure: ImportClosure
  /** The configuration and the files that it imports. */
  modules: readonly ImportedModule[]
  /** Those without the configuration. */
  imported: readonly ImportedModule[]
  /** Imported files that are too big to be read. */
  tooBig: readonly { path: string; size: number }[]
  /** How our modules take the place of others with the same options, where there are some. */
  takeOver: TakeOver | undefined
}

/**
 * Follows the imports of a configuration. Refused where other modules with our options can't be taken
 * over, unless these are to stay, or where a file that would change with that can't be had.
 */
export function readSystem(
  configuration: { path: string; text: string },
  root: string,
  keepsObsolete: boolean,
  context: Context
): Result<System, Message> {
  const shipped = shippedModules(VERSION)
  const own = ownOptions(shipped.values())
  const closure = followImports(configuration, moduleReader(root), own)
  const taken = keepsObsolete
    ? ok(undefined)
    : readTakeOver(configuration, root, [...shipped.values()])
  if (!taken.ok) return err(applyMessage(taken.error, context))
  // Imports may lead where nothing is to be edited: out of the root, or into the store.
  for (const file of taken.value?.files ?? []) {
    const found = readTarget(file.path, { root })
    if (!found.ok) return err(readMessage(found.error, context))
  }
  const walk = walkImports(configuration, moduleReader(root))
  const { modules } = walk
  const imported = modules.filter(it => it.path !== configuration.path)
  const tooBig = tooBigImports(walk, root)
  return ok({ shipped, closure, modules, imported, tooBig, takeOver: taken.value })
}

/** What the configuration gives to vfio-pci in other words than by our options below `prefix`. */
export function earlierDevices(
  text: string,
  { takeOver, imported }: System,
  prefix: readonly string[],
  release: string | undefined,
  { file }: Context
): EarlierDevices {
  const doc = parseDocument(text)
  const home = innerModule(doc, prefix)?.doc ?? doc
  const found = obsoleteIn(home, release, prefix).filter(
    it => it.devices !== undefined && !it.isOutside
  )
  const option = 'virtualisation.vfio.devices'
  const items = takeOver ? doc.itemsIn(option).filter(it => typeof it === 'string') : []
  const lines = [
    ...(items.length > 0 ? doc.getIn(option).map(it => it.at.line) : []),
    ...found.map(it => it.line)
  ]
  return {
    ids: [...new Set(found.flatMap(it => it.devices ?? []))],
    named: items.map(it => it.toLowerCase()),
    places: list([...new Set(lines)].map(it => `${basename(file)}:${it}`)),
    imported
  }
}
