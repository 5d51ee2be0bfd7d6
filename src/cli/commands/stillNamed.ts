// Who else needs the modules that an undo deletes.

import { basename, dirname, join, relative } from 'node:path'
import { nixFilesAround } from '../../apply/read/repository.ts'
import type { FileChange } from '../../files/change.ts'

/**
 * Sentences about the Nix files around the configuration that name a folder whose `default.nix` goes with
 * these changes, and stay: another configuration may have our modules from there since. Goes by the text
 * alone, as an undo has to work where the parser can't be loaded.
 */
export function stillNamed(changes: readonly FileChange[], configuration: string): string[] {
  const gone = changes.filter(it => it.after === null).map(it => it.realpath)
  const folders = gone.filter(it => basename(it) === 'default.nix').map(it => dirname(it))
  const changed = new Set(changes.map(it => it.realpath))
  return folders.flatMap(folder => {
    const files = nixFilesAround(configuration, new RegExp(literally(basename(folder))))
    const others = files.filter(
      ({ path }) => !changed.has(path) && !path.startsWith(join(folder, '/'))
    )
    return others
      .filter(({ path, text }) => names(text, relative(dirname(path), folder)))
      .map(({ path }) => `${path} imports ${folder}, which goes: without it that file fails.`)
  })
}

function names(text: string, path: string): boolean {
  const spelled = path.startsWith('../') ? path : `./${path}`
  return new RegExp(`(?<![\\w./])${literally(spelled)}(?:/default\\.nix)?(?![\\w./-])`).test(text)
}

function literally(text: string): string {
  return text.replace(/[^\w]/g, '\\$&')
}
